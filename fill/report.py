"""What last night's fill did: planned, done, missed and why, for each appliance; gathered from plans and outcomes.

What was done since within the day is told apart: a plan of the day says nothing of what the night left.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from fill.errors import NoPlan, PlanError
from fill.planner.form import Plan
from fill.planner.store import FOLDER as PLANS
from fill.planner.store import head_key, read_published
from fill.transfer.outcome import FOLDER as OUTCOMES
from fill.transfer.outcome import Failure, Outcome, decode_outcome
from origin.errors import NotFound
from origin.storage import Storage
from origin.together import for_each

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Reads of storage at once: S3 takes some 50 ms for each.
_AT_ONCE = 16
# No pass is longer: it would be another night's.
_LONGEST_PASS_S = 86400.0
# What is shown of many failures alike; all are in the outcome.
MOST_FAILURES = 20


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one appliance's plans for the night, or of those within the day, since a moment."""

    appliance: str
    site: str
    at_once: bool  # within the day
    version: int  # of the newest plan; 0: there is none
    passes: int
    started: float  # seconds since the epoch, of the first pass; 0: there was none
    ended: float
    planned_files: int  # of the newest plan that was carried out, else of the one that waits
    planned_bytes: int
    fetched_files: int
    fetched: dict[str, int]  # bytes, by who gave them
    kept: int
    dropped: int
    failed: tuple[Failure, ...]
    failures: int
    left_files: int
    left_bytes: int
    why: str  # how the last pass ended, or why there was none

    @property
    def fetched_bytes(self) -> int:
        return sum(self.fetched.values())

    @property
    def is_done(self) -> bool:
        return self.why == "done" and not self.failures and not self.left_files


class Gathered(msgspec.Struct, frozen=True):
    nights: tuple[Night, ...]  # by site and appliance, the day after its night
    unreadable: tuple[str, ...]  # plans and outcomes that are not what the format says


async def gather(storage: Storage, since: float, keys: Sequence[Ed25519PublicKey] = ()) -> Gathered:
    """Every appliance that has a plan or an outcome since `since`. Raises StorageError."""
    unreadable: list[str] = []
    outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)
    plans: dict[str, Plan] = {}

    async def read_outcome(key: str) -> None:
        try:
            outcome = decode_outcome(await storage.read_bytes(key), key)
        except NotFound:  # cleaned away since it was listed
            return
        except PlanError as error:
            unreadable.append(str(error))
            return
        if outcome.ended >= since:
            outcomes[outcome.appliance].append(outcome)

    async def read_plan(appliance: str) -> None:
        try:
            plans[appliance] = await read_published(storage, appliance, keys)
        except (NoPlan, NotFound):  # withdrawn since it was listed
            return
        except PlanError as error:
            unreadable.append(str(error))

    kept = [one.key async for one in storage.list(f"{OUTCOMES}/") if one.key.endswith(".json")]
    await for_each([key for key in kept if _may_end_after(key, since)], read_outcome, at_once=_AT_ONCE)
    plan_keys = {one.key async for one in storage.list(f"{PLANS}/")}
    heads = sorted({name for key in plan_keys if head_key(name := key.split("/")[1]) in plan_keys})
    await for_each(heads, read_plan, at_once=_AT_ONCE)
    nights = [one for name in {*outcomes, *plans} for one in told_apart(name, outcomes.get(name, ()), plans.get(name))]
    nights.sort(key=lambda one: (one.site, one.appliance, one.at_once))
    return Gathered(tuple(nights), tuple(sorted(unreadable)))


def told_apart(appliance: str, outcomes: Collection[Outcome], plan: Plan | None) -> list[Night]:
    """One appliance's night, and what came within the day if anything did; `plan` is its newest."""
    by_day = [one for one in outcomes if one.at_once]
    found = [night(appliance, [one for one in outcomes if not one.at_once], plan)]
    if by_day or (plan is not None and plan.at_once):
        found.append(night(appliance, by_day, plan, at_once=True))
    site = next((one.site for one in reversed(found) if one.site), "")
    return [msgspec.structs.replace(one, site=one.site or site) for one in found]


def night(appliance: str, outcomes: Iterable[Outcome], newest: Plan | None, *, at_once: bool = False) -> Night:
    """One appliance's passes of one kind as one; its newest plan may be of the other."""
    plan = newest if newest is not None and newest.at_once == at_once else None
    passes = sorted(outcomes, key=lambda outcome: (outcome.started, outcome.version))
    last = passes[-1] if passes else None
    fetched: Counter[str] = Counter()
    for one in passes:
        fetched.update(one.fetched)
    version = plan.version if plan is not None else 0
    if last is None:
        files, size = (len(plan.fetches), plan.fetch_bytes) if plan is not None else (0, 0)
        has_nothing = plan is not None and not plan.fetches and not plan.drops
        return Night(
            appliance=appliance,
            site=plan.site if plan is not None else "",
            at_once=at_once,
            version=version,
            passes=0,
            started=0.0,
            ended=0.0,
            planned_files=files,
            planned_bytes=size,
            fetched_files=0,
            fetched={},
            kept=0,
            dropped=0,
            failed=(),
            failures=0,
            left_files=files,
            left_bytes=size,
            why="nothing to do" if has_nothing else "no agent has ended a pass",
        )
    return Night(
        appliance=appliance,
        site=last.site or (plan.site if plan is not None else ""),
        at_once=at_once,
        version=max(version, last.version),
        passes=len(passes),
        started=passes[0].started,
        ended=max(one.ended for one in passes),
        planned_files=last.planned_files,
        planned_bytes=last.planned_bytes,
        fetched_files=sum(one.fetched_files for one in passes),
        fetched=dict(fetched.most_common()),
        kept=last.kept,
        dropped=sum(one.dropped for one in passes),
        # What failed in an earlier pass of a night and does no longer was fetched since, or is not wanted any more.
        failed=tuple(last.failed[:MOST_FAILURES]),
        failures=len(last.failed),
        left_files=last.left.files,
        left_bytes=last.left.bytes,
        why=f"{last.why}; a newer plan waits" if version > last.version else last.why,
    )


def nights_end(nights: Iterable[Night]) -> dict[str, float]:
    """When the night of each site that had one ended (seconds since the epoch): from then on its content is served."""
    ends: dict[str, float] = {}
    for one in nights:
        if one.passes and not one.at_once:
            ends[one.site] = max(one.ended, ends.get(one.site, 0.0))
    return ends


def by_source(nights: Iterable[Night]) -> Mapping[str, int]:
    """Bytes that all appliances fetched, by what they came from: the origin, or appliances."""
    sums: Counter[str] = Counter()
    for one in nights:
        for source, size in one.fetched.items():
            sums["origin" if source == "origin" else "appliances"] += size
    return sums


def _may_end_after(key: str, since: float) -> bool:
    """Whether it can be an outcome of interest, as far as its key tells when it began."""
    start = key.removesuffix(".json").rpartition("-")[2]
    return not start.isdigit() or int(start) + _LONGEST_PASS_S >= since
