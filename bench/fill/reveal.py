"""Reveals daily lists one day after the other, and keeps what each evening could know apart from what came then.

    day a is counted -> evening: candidates of each country, from days up to a -> day b = a + 1 is counted -> demand

What a country watched on day b is the increment of each item of its list: from the count of any country's list the
evening before, or everything if it was published since. Items that were published earlier and counted nowhere then have
no known increment and are left out, of the oracle as well. The lead time is none: a plan is made when a is counted, and
scored from then on.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.fill.reading import Floats, Ints, Lists
from fill.forecast.counts import Totals
from fill.forecast.features import RECENT_DAYS, Candidates, Day, Tracker

# A list of fewer known items is no day to be scored.
FEWEST = 5


@dataclass(frozen=True)
class Demand:
    """What a country's list got in a day."""

    item: Ints
    amount: Floats  # >= 0
    is_published: npt.NDArray[np.bool_]  # the evening before
    listed: Ints  # also those without a known amount

    def best(self, slots: int) -> float:
        """What the best choice of so many would have got."""
        return _top(self.amount, slots)

    def best_published(self, slots: int) -> float:
        """What the best choice among what was published the evening before would have got: no plan can do better."""
        return _top(self.amount[self.is_published], slots)

    def of(self, items: Ints) -> Floats:
        """What each of these got; nothing if it is not in the list."""
        if not len(self.item):
            return np.zeros(len(items))
        order = np.argsort(self.item)
        at = np.minimum(np.searchsorted(self.item, items, sorter=order), len(order) - 1)
        found = order[at]
        return np.where(self.item[found] == items, self.amount[found], 0.0)


@dataclass(frozen=True)
class Evening:
    """A country's evening before `day`, and what came."""

    day: int
    region: int
    candidates: Candidates
    demand: Demand

    def score(self, expected: Floats, slots: int) -> float:
        """The share of the best choice that the highest of the expected get."""
        chosen = np.argsort(-expected, kind="stable")[:slots]
        return float(self.demand.of(self.candidates.item[chosen]).sum() / self.demand.best(slots))


def evenings(lists: Lists) -> Iterator[Evening]:
    """In order of days; evenings without a list before or after them are left out."""
    most = int(lists.position.max()) + 1
    tracker, totals = Tracker(len(lists.countries), lists.taken, most), Totals()
    bounds = np.searchsorted(lists.day, np.arange(lists.days + 1))
    for number in range(lists.days - 1):
        today, tomorrow = (slice(bounds[day], bounds[day + 1]) for day in (number, number + 1))
        if today.start == today.stop:
            continue
        tracker.observe(number, _day(lists, today, number, totals))
        totals.forget(number - RECENT_DAYS)
        if tomorrow.start == tomorrow.stop:
            continue
        amount, is_published = _came(lists, today, tomorrow)
        for candidates in tracker.candidates():
            rows = np.flatnonzero(lists.country[tomorrow] == candidates.region) + tomorrow.start
            known = rows[~np.isnan(amount[rows - tomorrow.start])]
            at = known - tomorrow.start
            demand = Demand(lists.item[known], amount[at], is_published[at], lists.item[rows])
            if len(known) >= FEWEST and demand.best(1) > 0 and len(candidates.item):
                yield Evening(number + 1, candidates.region, candidates, demand)


def _day(lists: Lists, rows: slice, number: int, totals: Totals) -> Day:
    item, views, published = lists.item[rows], lists.views[rows], lists.published[rows]
    amount = totals.increments(number, item, views, published, lists.taken)
    return Day(
        lists.country[rows], item, amount, views, lists.likes[rows], lists.position[rows], published,
        lists.category[rows], lists.duration[rows],
    )  # fmt: skip


def _came(lists: Lists, today: slice, tomorrow: slice) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Increments of tomorrow's rows, NaN where not known, and which were published when today was counted."""
    counted: dict[int, float] = {}
    for item, views in zip(lists.item[today].tolist(), lists.views[today].tolist(), strict=True):
        counted[item] = max(views, counted.get(item, 0.0))
    counted_at = lists.day[today.start] + lists.taken
    before = np.array([counted.get(item, np.nan) for item in lists.item[tomorrow].tolist()])
    is_published = (lists.published[tomorrow] <= counted_at) | ~np.isnan(before)
    views = lists.views[tomorrow]
    since = np.where(np.isnan(before), np.where(is_published, np.nan, views), np.maximum(0.0, views - before))
    return since, is_published


def _top(amounts: Floats, count: int) -> float:
    return float(np.sort(amounts)[::-1][:count].sum())
