"""What a run came to: observations, their medians, and the ratios that say who is faster.

A ratio is always ours by theirs, medians of the same run, one worker against one worker: above 1 is good where more is
better, below 1 where less is.

Pure.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from bench.delivery.cases import METRICS, Case, main_metric

# Families; those of ours with more workers are called nearcast-N.
OURS, NGINX, BARE = "nearcast", "nginx", "bare"
# What a ratio is against: the best configuration of nginx, the best of all peers, the bare loop; or ourselves without
# the crowd, or with one player instead of many.
PEERS, ALONE, ONE_PLAYER = "peers", "alone", "one player"


class Observation(NamedTuple):
    subject: str
    case: str
    metric: str
    value: float


class Summary(msgspec.Struct, frozen=True):
    """One metric of one subject in one case, over the rounds."""

    subject: str
    case: str
    metric: str
    median: float
    min: float
    max: float


class Ratio(msgspec.Struct, frozen=True):
    case: str
    metric: str
    against: str
    ratio: float


class Measured(msgspec.Struct, frozen=True):
    """Somebody who was measured. Of several of one family the best counts, metric by metric."""

    name: str
    family: str
    note: str
    version: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What `nearcast bench delivery` says."""

    benchmark: str = "delivery"
    machine: dict[str, str | int]
    commit: str
    seconds: int  # of each measurement
    rounds: int
    subjects: list[Measured]
    results: list[Summary]
    ratios: list[Ratio]
    notes: list[str]  # what was left out, scaled down, or failed


def summarize(observations: Iterable[Observation]) -> list[Summary]:
    """One summary for each subject, case and metric, in the order of their first observations."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for subject, case, metric, value in observations:
        values.setdefault((subject, case, metric), []).append(value)
    return [Summary(*key, statistics.median(found), min(found), max(found)) for key, found in values.items()]


def best(results: Iterable[Summary], case: str, metric: str, names: Iterable[str]) -> Summary | None:
    """The best of these subjects by median; None if none of them was measured."""
    wanted = set(names)
    found = [one for one in results if (one.case, one.metric) == (case, metric) and one.subject in wanted]
    pick = max if METRICS[metric].more_is_better else min
    return pick(found, key=lambda one: one.median, default=None)


def ratios(results: Sequence[Summary], families: Mapping[str, str], cases: Iterable[Case]) -> list[Ratio]:
    """Every comparison that can be made; `families` is the family of each subject."""
    groups = {
        NGINX: _members(families, lambda family: family == NGINX),
        PEERS: _members(families, lambda family: not family.startswith(OURS) and family != BARE),
        BARE: _members(families, lambda family: family == BARE),
    }
    ours = _members(families, lambda family: family == OURS)
    made = []
    for case in cases:
        for metric in _compared(case):
            mine = best(results, case.name, metric, ours)
            for against, names in groups.items():
                made += _ratio(mine, best(results, case.name, metric, names), against)
        for metric, own, against in _WITH_OURSELVES.get(case.kind, ()):
            made += _ratio(best(results, case.name, metric, ours), best(results, case.name, own, ours), against)
    return made


def _members(families: Mapping[str, str], is_in: Callable[[str], bool]) -> list[str]:
    return [name for name, family in families.items() if is_in(family)]


def _compared(case: Case) -> tuple[str, ...]:
    match case.kind:
        case "throughput":
            return (main_metric(case), "cpu_s_per_gb")
        case "latency":
            return ("p99_s", "same_rate_p99_s")
        case "crowd":
            return ("idle_connection_bytes", "bytes_per_s")
        case "stampede":
            return ("first_byte_last_s",)
        case "pull":
            return ("bytes_per_s", "cpu_s_per_gb")


# What of ours is compared with ours.
_WITH_OURSELVES = {
    "crowd": (("bytes_per_s", "bytes_per_s_alone", ALONE),),
    "stampede": (("first_byte_last_s", "first_byte_one_s", ONE_PLAYER),),
}


def _ratio(mine: Summary | None, other: Summary | None, against: str) -> list[Ratio]:
    """None where one of them is missing, or nothing was measured that could be divided by."""
    if mine is None or other is None or not other.median:
        return []
    return [Ratio(mine.case, mine.metric, against, mine.median / other.median)]
