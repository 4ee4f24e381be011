"""Whether an upstream is to be asked in its turn: what a circuit breaker decides from how its requests ended.

A *closed* breaker lets requests through. It opens at the first failure that costs a player time (no connection, no
bytes), because each further one would cost another player as much. A failure that is over at once (a cut, a status)
costs nothing while the next upstream has the bytes, and an upstream that is right most of the time spares the origin
more than it hurts; so only several of those in a row open it, or half of the latest requests.

An *open* one rests. When the rest is over it is *half-open*: one request is the trial, and decides. A trial is also
given while it rests, where nobody else is left to ask; there is never more than one of them, so what recovers is not
knocked over again by all who waited.

The first bytes of a trial close the breaker, since those who wait for its outcome should not wait for a whole block;
until a request has ended well, one failure of any kind opens it again. A rest doubles when it follows the one before
it sooner than that one lasted, so what keeps failing after some good bytes is not asked every few seconds for ever.

Requests are told apart by tickets, because many end after the breaker has opened: what was asked before says nothing of
the upstream that comes back.

Pure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from enum import StrEnum

# Failures one after another that open: two may be one restart seen by the blocks that one answer reads ahead.
IN_A_ROW = 3
# The latest requests of which half must have ended well. By number and not by time: where few are made, failures lie
# far apart, and half of them failing is as bad.
LATEST = 10
# An appliance that is restarted is back within seconds; each rest of a dead one costs one request up to a second.
FIRST_REST_S = 5.0
# One that was away for a day is found again within a minute; until then it costs one request a minute, or two.
LONGEST_REST_S = 60.0


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One upstream's. Times are of any clock that never goes back; `draw` gives numbers in [0, 1) for the jitter."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self.opened = 0  # how often
        self.is_open = False  # or half-open
        self._draw = draw
        self._ticket = 0  # changes whenever what was asked before stops to count
        self._is_tried = False
        self._is_on_probation = False
        self._in_a_row = 0
        self._latest: deque[bool] = deque(maxlen=LATEST)
        self._closed_at = -math.inf
        self._rest_s = 0.0
        self._rests_until = 0.0

    def state(self, now: float) -> State:
        if not self.is_open:
            return State.CLOSED
        return State.OPEN if now < self._rests_until else State.HALF_OPEN

    def is_next(self, now: float) -> bool:
        """True if the upstream is to be asked in its turn, False if only when nobody else is left."""
        return not self.is_open or (now >= self._rests_until and not self._is_tried)

    @property
    def admits(self) -> bool:
        """False while a trial is under way: whoever asks now has to wait for its outcome."""
        return not self._is_tried

    def begin(self) -> int:
        """A request is made, the trial if the breaker is not closed. The ticket is for the methods below."""
        assert self.admits, "there is a trial under way, and only one is let through"
        self._is_tried = self.is_open
        return self._ticket

    def answers(self, ticket: int, now: float) -> None:
        """The first bytes of an answer came."""
        if self.is_open and ticket == self._ticket:
            self.is_open, self._is_tried = False, False
            self._is_on_probation = True
            self._closed_at = now

    def succeed(self, ticket: int, now: float) -> None:
        """The answer was what was asked for, or an honest word that it is not there."""
        self.answers(ticket, now)
        if ticket == self._ticket and not self.is_open:
            self._is_on_probation = False
            self._in_a_row = 0
            self._latest.append(True)

    def fail(self, ticket: int, now: float, *, is_costly: bool) -> None:
        """A costly failure is one that took somebody's time."""
        if ticket != self._ticket:
            return
        if self.is_open:
            if now >= self._rests_until:
                self._open(now)
            else:  # a trial out of turn says nothing new: the rest stays as it is
                self._ticket += 1
                self._is_tried = False
            return
        self._in_a_row += 1
        self._latest.append(False)
        too_many = self._in_a_row >= IN_A_ROW or self._latest.count(False) * 2 >= LATEST
        if is_costly or self._is_on_probation or too_many:
            self._open(now)

    def give_up(self, ticket: int) -> None:
        """Whoever asked has gone before the end: nothing is known, and the next one may be the trial."""
        if ticket == self._ticket:
            self._is_tried = False

    def trip(self, now: float) -> None:
        """Opens at once: the upstream gave wrong bytes."""
        if not self.is_open:
            self._open(now)

    def _open(self, now: float) -> None:
        doubles = self.is_open or now - self._closed_at < self._rest_s
        self._rest_s = min(self._rest_s * 2, LONGEST_REST_S) if doubles else FIRST_REST_S
        # Half of it by chance: those who lost an upstream in the same instant must not all come back in one.
        self._rests_until = now + self._rest_s * (0.5 + self._draw() / 2)
        self.opened += 1
        self._ticket += 1
        self.is_open, self._is_tried, self._is_on_probation = True, False, False
        self._in_a_row = 0
        self._latest.clear()
