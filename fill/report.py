"""What last night's fill did: planned, done, missed and why, for each appliance; gathered from plans and outcomes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    """What became of one appliance's plans since a moment, all passes together."""

    appliance: str
    site: str
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
    nights: tuple[Night, ...]  # by site and appliance
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
    nights = [night(name, outcomes.get(name, ()), plans.get(name)) for name in {*outcomes, *plans}]
    nights.sort(key=lambda one: (one.site, one.appliance))
    return Gathered(tuple(nights), tuple(sorted(unreadable)))


def night(appliance: str, outcomes: Iterable[Outcome], plan: Plan | None) -> Night:
    """One appliance's passes as one; `plan` is its newest."""
    passes = sorted(outcomes, key=lambda outcome: (outcome.started, outcome.version))
    last = passes[-1] if passes else None
    fetched: Counter[str] = Counter()
    for one in passes:
        fetched.update(one.fetched)
    newest = plan.version if plan is not None else 0
    if last is None:
        assert plan is not None, "an appliance is named by a plan or an outcome"
        return Night(
            appliance=appliance,
            site=plan.site,
            version=newest,
            passes=0,
            started=0.0,
            ended=0.0,
            planned_files=len(plan.fetches),
            planned_bytes=plan.fetch_bytes,
            fetched_files=0,
            fetched={},
            kept=0,
            dropped=0,
            failed=(),
            failures=0,
            left_files=len(plan.fetches),
            left_bytes=plan.fetch_bytes,
            why="no agent has ended a pass" if plan.fetches or plan.drops else "nothing to do",
        )
    return Night(
        appliance=appliance,
        site=last.site or (plan.site if plan is not None else ""),
        version=max(newest, last.version),
        passes=len(passes),
        started=passes[0].started,
        ended=max(one.ended for one in passes),
        planned_files=last.planned_files,
        planned_bytes=last.planned_bytes,
        fetched_files=sum(one.fetched_files for one in passes),
        fetched=dict(fetched.most_common()),
        kept=last.kept,
        dropped=sum(one.dropped for one in passes),
        # What failed in an earlier pass and does no longer was fetched since.
        failed=tuple(last.failed[:MOST_FAILURES]),
        failures=len(last.failed),
        left_files=last.left.files,
        left_bytes=last.left.bytes,
        why=f"{last.why}; a newer plan waits" if newest > last.version else last.why,
    )


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
