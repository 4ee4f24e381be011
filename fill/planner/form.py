"""The plan's format: what one appliance is told to fetch, keep and drop, and why.

Pure.
"""

from __future__ import annotations

import math

import msgspec

from encoder.package import FILE_PATTERN, PACKAGE_PATTERN, TITLE_PATTERN
from fill.errors import PlanError
from oca.report import EVERY_FILE

FORMAT = 2
# Every file of a package; only of packages whose files the planner cannot know.
WHOLE_PACKAGE = EVERY_FILE[0]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file to fetch, keep or drop. `value` is the bytes a day that the file is expected to serve here."""

    title: str
    package: str
    file: str  # "*" in a drop: every file of the package
    size: int
    value: float
    reason: str
    not_before: float = 0.0  # not to be served to players before (seconds since the epoch)
    master: bool = False  # fetches it from outside the site, for the others to copy

    @property
    def key(self) -> tuple[str, str, str]:
        return self.title, self.package, self.file


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one appliance should do, in order."""

    format: int
    appliance: str
    site: str
    version: int  # grows with each plan of this appliance; 0: not published
    made_at: float  # seconds since the epoch
    fetches: tuple[Line, ...]
    keeps: tuple[Line, ...]
    drops: tuple[Line, ...]
    share: float  # of the region's expected demand, what this appliance will hold when all that is wanted is there
    gap: float  # of the cluster's plan to `bound`: 0 is the best there can be
    bound: float  # value that no choice for the cluster exceeds, bytes a day, held files weighed up by `stay`
    rate_bps: int = 0  # that the fill may take; 0: no limit
    budget_bytes: int = 0  # that may come from outside the site; 0: no limit
    stay: float = 1.0  # what is held is given up only for what is so many times as dense
    peak_bps: float = 0.0  # expected of its players in the busiest hour
    left_files: int = 0  # wanted as well, and left for later nights
    left_bytes: int = 0
    at_once: bool = False  # made within the day: does not wait for the window
    night: float = 0.0  # the opening of the window that was planned for last (seconds since the epoch); 0: none

    @property
    def fetch_bytes(self) -> int:
        return sum(line.size for line in self.fetches)

    @property
    def held_bytes(self) -> int:
        """What the appliance holds when the plan is done."""
        return self.fetch_bytes + sum(line.size for line in self.keeps)


def encode_plan(plan: Plan) -> bytes:
    """The same bytes for the same plan."""
    return msgspec.json.encode(plan, order="deterministic")


def decode_plan(data: bytes, appliance: str) -> Plan:
    """The plan for `appliance`. Raises PlanError that says what is wrong with it."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"the plan for {appliance} is no plan: {error}") from error
    return checked(plan, appliance)


def checked(plan: Plan, appliance: str) -> Plan:
    """The plan itself, if `appliance` may carry it out. Raises PlanError."""
    if plan.format != FORMAT:
        raise PlanError(f"the plan for {appliance} has format {plan.format}, this version reads {FORMAT}")
    if plan.appliance != appliance:
        raise PlanError(f"the plan for {appliance} is that of {plan.appliance!r}")
    if min(plan.version, plan.rate_bps, plan.budget_bytes) < 0 or not math.isfinite(plan.made_at):
        raise PlanError(f"the plan for {appliance} has a negative version, rate or budget, or was made at no time")
    for line in (*plan.fetches, *plan.keeps):
        _check_line(line, appliance, may_be_whole=False)
    for line in plan.drops:
        _check_line(line, appliance, may_be_whole=True)
    return plan


def _check_line(line: Line, appliance: str, *, may_be_whole: bool) -> None:
    """A plan comes over the network, and its names become paths: they are checked like a URL's."""
    is_file = FILE_PATTERN.fullmatch(line.file) or (may_be_whole and line.file == WHOLE_PACKAGE)
    names = TITLE_PATTERN.fullmatch(line.title) and PACKAGE_PATTERN.fullmatch(line.package)
    if not names or not is_file or line.size < 0:
        raise PlanError(f"the plan for {appliance} names {line.title}/{line.package}/{line.file}, which cannot be")
