"""What became of one carrying out of a plan: what an agent leaves for the report, as JSON beside the plans.

Key: outcomes/{appliance}/{plan version}-{start, seconds since the epoch}.json. A pass that is killed leaves none; the
next one counts what it finds as kept.

Pure.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from fill.errors import PlanError

FOLDER = "outcomes"

# The plan is carried out as far as it can be; the window closed; what may come from outside the site was used up; the
# agent was stopped; another plan took this one's place.
Why: TypeAlias = Literal["done", "window closed", "budget", "stopped", "plan changed"]


class Failure(msgspec.Struct, frozen=True):
    title: str
    file: str
    reason: str


class Left(msgspec.Struct, frozen=True):
    """Files of the plan that were not come to, or not to their end."""

    files: int = 0
    bytes: int = 0


class Outcome(msgspec.Struct, kw_only=True):
    """Times are seconds since the epoch. `fetched` is bytes that came in this pass, by who gave them (an appliance's
    name, "origin", or a URL that steering does not know)."""

    appliance: str
    site: str = ""
    version: int = 0  # of the plan
    at_once: bool = False  # the plan was made within the day
    started: float = 0.0
    ended: float = 0.0
    planned_files: int = 0
    planned_bytes: int = 0
    fetched: dict[str, int] = msgspec.field(default_factory=dict)
    fetched_files: int = 0
    kept: int = 0
    dropped: int = 0
    failed: list[Failure] = msgspec.field(default_factory=list)
    left: Left = Left()
    why: Why = "done"

    @property
    def fetched_bytes(self) -> int:
        return sum(self.fetched.values())

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.started)

    @property
    def is_done(self) -> bool:
        """All of the plan was carried out."""
        return not self.failed and not self.left.files


def outcome_key(outcome: Outcome) -> str:
    return f"{FOLDER}/{outcome.appliance}/{outcome.version}-{int(outcome.started)}.json"


def encode_outcome(outcome: Outcome) -> bytes:
    return msgspec.json.encode(outcome)


def decode_outcome(data: bytes, where: str) -> Outcome:
    """Raises PlanError that says what is wrong with the outcome kept at `where`."""
    try:
        return msgspec.json.decode(data, type=Outcome)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{where} is no outcome of a fill: {error}") from error
