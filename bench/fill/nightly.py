"""The nightly plan: which share of the best possible choice of the next day each forecast's choice gets.

The mean over countries of the mean over days; the interval is a bootstrap over countries. Beside it the share of what
was published when the plan was made, which is all that a plan can choose from, and the six big markets apart.

Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from bench.fill.evening import PERSISTENCE, Expectations
from bench.fill.reading import Lists
from bench.rows import OURS, Row

GOALS = {10: (0.55, 0.60), 25: (0.54, 0.58)}
BIG = frozenset({"US", "GB", "DE", "BR", "IN", "JP"})
SHARE, KNOWABLE, GAIN = "share of oracle", "share of knowable", "over yesterday's, share of oracle"
_RESAMPLES = 2000


def measure_nightly(lists: Lists, found: Expectations, slots: Sequence[int], *, name: str = "") -> list[Row]:
    rows: list[Row] = []
    for count in slots:
        shares, ceilings = _shares(found, count)
        case = f"{name}nightly/K{count}"
        rows += _rows(case, shares, ceilings, GOALS.get(count))
        big = {region for region in ceilings if lists.countries[region] in BIG}
        if big and big != set(ceilings):
            rows += _rows(f"{case}/big markets", *_only(shares, ceilings, big), None)
    return rows


Means = Mapping[int, float]  # by region


def _shares(found: Expectations, slots: int) -> tuple[dict[str, Means], Means]:
    """By forecast and region the mean over days; and of the best choice of what was published."""
    shares: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in found.of}
    ceilings: dict[int, list[float]] = defaultdict(list)
    for number in found.scored:
        evening = found.evenings[number]
        ceilings[evening.region].append(evening.demand.best_published(slots) / evening.demand.best(slots))
        for name, expected in found.of.items():
            shares[name][evening.region].append(evening.score(expected[number], slots))
    return {name: _means(by_region) for name, by_region in shares.items()}, _means(ceilings)


def _means(by_region: Mapping[int, Sequence[float]]) -> Means:
    return {region: float(np.mean(values)) for region, values in by_region.items()}


def _only(shares: Mapping[str, Means], ceilings: Means, regions: set[int]) -> tuple[dict[str, Means], Means]:
    def chosen(means: Means) -> Means:
        return {region: mean for region, mean in means.items() if region in regions}

    return {name: chosen(means) for name, means in shares.items()}, chosen(ceilings)


def _rows(case: str, shares: Mapping[str, Means], ceilings: Means, goals: tuple[float, float] | None) -> list[Row]:
    if not ceilings:
        return []
    limit = float(np.mean(list(ceilings.values())))
    rows = [_row("ceiling", case, SHARE, list(ceilings.values()), note="knows the day, only what is published")]
    for name, means in shares.items():
        values = list(means.values())
        if name == OURS and goals is not None:
            rows.append(_row(name, case, SHARE, values, *goals, limit=limit))
        else:
            rows.append(_row(name, case, SHARE, values, limit=limit if name == OURS else None))
        if limit > 0:
            rows.append(_row(name, case, KNOWABLE, [mean / limit for mean in values]))
    gains = [shares[OURS][region] - shares[PERSISTENCE][region] for region in ceilings]
    better = sum(gain > 0 for gain in gains)
    rows.append(_row(OURS, case, GAIN, gains, note=f"better in {better} of {len(gains)} countries"))
    return rows


def _row(
    subject: str,
    case: str,
    metric: str,
    values: Sequence[float],
    must: float | None = None,
    aim: float | None = None,
    *,
    limit: float | None = None,
    note: str = "",
) -> Row:
    low, high = interval(values)
    return Row(
        subject=subject, case=case, metric=metric, median=float(np.mean(values)), min=low, max=high, must=must,
        aim=aim, limit=limit, note=note,
    )  # fmt: skip


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean: 95 % by resampling what it is the mean of."""
    random = np.random.default_rng(1)
    found = np.asarray(values)
    means = found[random.integers(0, len(found), (_RESAMPLES, len(found)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
