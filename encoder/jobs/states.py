"""What a job is, what may become of it, and when it is tried again.

A job is *running* as long as its runner renews the lease. A runner that is killed does not, and its job is queued
again; what it had finished is kept by the steps of the encode, so the next runner goes on there. A passing failure (a
full disk, a worker that was lost) makes the job *wait* for another try, a permanent one (a film that is none) ends it.

Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from encoder.errors import JobError

if TYPE_CHECKING:
    from pathlib import Path

# A runner renews its lease each BEAT_S; one that says nothing for LEASE_S is taken for dead.
BEAT_S = 5.0
LEASE_S = 30.0
# Tries of one job, those that ended with its runner among them: a film that kills its runner must not kill all.
MOST_ATTEMPTS = 5
_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 30 * 60.0


class State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # to be tried again
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Event(Enum):
    CLAIM = "claim"
    FINISH = "finish"
    FAIL = "fail"
    PUT_OFF = "put off"
    GIVE_BACK = "give back"  # its runner was told to end, or was lost
    CANCEL = "cancel"
    RETRY = "retry"


# Every legal move; all others are refused.
_MOVES = {
    Event.CLAIM: {State.QUEUED: State.RUNNING, State.WAITING: State.RUNNING},
    Event.FINISH: {State.RUNNING: State.DONE},
    Event.FAIL: {State.RUNNING: State.FAILED},
    Event.PUT_OFF: {State.RUNNING: State.WAITING},
    Event.GIVE_BACK: {State.RUNNING: State.QUEUED},
    Event.CANCEL: {
        State.QUEUED: State.CANCELLED,
        State.WAITING: State.CANCELLED,
        State.RUNNING: State.CANCELLED,
    },
    Event.RETRY: {State.FAILED: State.QUEUED, State.CANCELLED: State.QUEUED, State.WAITING: State.QUEUED},
}


def sources(event: Event) -> tuple[State, ...]:
    """The states in which `event` may happen."""
    return tuple(_MOVES[event])


def moved(state: State, event: Event) -> State:
    """What `event` makes of a job. Raises JobError."""
    try:
        return _MOVES[event][state]
    except KeyError:
        possible = " or ".join(source.value for source in sources(event))
        raise JobError(f"is {state.value}; to {event.value} it must be {possible}") from None


@dataclass(frozen=True)
class Request:
    """What was asked for. `settings` are those that differ from the defaults, as an operator writes them."""

    film: Path
    title: str
    name: str
    out: Path | None = None
    publish: str = ""
    replace: bool = False
    s3_endpoint: str = ""
    priority: int = 0  # higher first
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Job:
    """Times are seconds since 1970, 0 for what was not yet."""

    id: int
    request: Request
    state: State
    added_at: float
    added_by: str
    attempts: int = 0
    error: str = ""
    not_before: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    runner: str = ""
    step: str = ""
    per_mille: int = 0  # of the step
    left_s: float | None = None  # of the step, as it looks
    package: str = ""  # its folder


def pause_s(attempts: int) -> float:
    """How long to wait after so many tries: twice as long each time, but no longer than half an hour."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(max(0, attempts - 1), 10))


def after_failure(attempts: int, *, is_passing: bool) -> Event:
    return Event.PUT_OFF if is_passing and attempts < MOST_ATTEMPTS else Event.FAIL
