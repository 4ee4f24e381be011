"""What is known of each candidate on the evening before, as numbers that a model can learn from.

A `Tracker` is told of one day after the other and never of a later one; after each it says, for each region, which
items could be watched there tomorrow and what is known of them: what they got, where they stood, how old they are,
where else they are watched, how alike those regions were so far, and how long things lasted in this region and kind
lately. Nothing names the region, so that a model learnt on some regions applies to others.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fill.forecast.counts import YOUNGEST_DAYS, Floats, Ints, estimate

Matrix = npt.NDArray[np.float32]

# An item that was in no list for so many days is no candidate any more.
RECENT_DAYS = 3
# Of what is watched elsewhere only, the likeliest are candidates (they get some 4 % of a day).
MOST_FROM_ELSEWHERE = 60
# How fast likeness of regions and survival in a region are forgotten, a day.
KEEP_LIKENESS, KEEP_SURVIVAL = 0.97, 0.95
CATEGORIES = 64
_BUCKETS = 10
_NOT_LISTED = 99.0
# Survival before a region has any of its own, and how many observations that is worth.
_USUAL_SURVIVAL = 0.4

NAMES = (
    "amount", "own_rank", "of_own_best", "rank", "amount_before", "growth", "amount_unknown", "age", "total",
    "total_by_age", "above_its_mean", "likes_by_total", "category", "duration", "regions", "likeness_sum",
    "likeness_best", "is_own", "position", "days_own", "days_any", "days_since_own", "days_since_any", "weekday",
    "size_of_day", "published_hour", "position_before", "position_change", "position_elsewhere",
    "best_position_anywhere", "mean_position", "survival_here", "survival_of_category", "survival", "is_total_unknown",
    "likes", "rank_by_age", "rank_in_category", "listed", "age_of_list",
)  # fmt: skip
IS_OWN = NAMES.index("is_own")


class Day(NamedTuple):
    """What was counted in one day: a row for each item of each region."""

    region: Ints
    item: Ints
    amount: Floats  # what it got that day, NaN if not known
    total: Floats  # all it ever got
    likes: Floats
    position: Floats  # its place in the region, from 0
    published: Floats  # days, on the scale of day numbers
    category: Ints  # 0 to CATEGORIES - 1
    duration: Floats  # seconds


class Candidates(NamedTuple):
    """Of one region, for its next day; rows of `features` are items, its columns NAMES."""

    region: int
    item: Ints
    amount: Floats  # what each got in the last day known
    age: Floats  # days
    is_own: npt.NDArray[np.bool_]
    features: Matrix


class Tracker:
    """`taken` is when the counts are read, as a share of a day after its start."""

    def __init__(self, regions: int, taken: float = 0.0, most: int = 50) -> None:
        self._regions, self._taken, self._most = regions, taken, most
        self.items: Ints = np.zeros(0, np.int64)  # sorted: those of the last days
        self._of_item = {name: np.zeros(0) for name in ("amount", "before", "total", "likes", "published", "category")}
        self._of_item |= {name: np.zeros(0) for name in ("duration", "last", "days")}
        self._place = np.zeros((regions, 0))
        self._place_before = self._place
        self._last_own = np.zeros((regions, 0))
        self._days_own = np.zeros((regions, 0))
        self._own_amount = np.zeros((regions, 0))
        self._shared = np.zeros((regions, regions))
        self._by_place = _prior_survival((regions, _BUCKETS))
        self._by_category = _prior_survival((regions, CATEGORIES))
        self._day = 0

    def observe(self, number: int, day: Day) -> None:
        """Tells of a day; days come in order."""
        self._day = number
        self._make_room(np.unique(day.item))
        at = np.searchsorted(self.items, day.item)
        listed = np.zeros((self._regions, len(self.items)), bool)
        listed[day.region, at] = True
        self._survive(listed)
        self._note_items(number, day, at)
        self._place_before, self._place = self._place, np.full(listed.shape, _NOT_LISTED)
        self._place[day.region, at] = day.position
        self._own_amount[day.region, at] = day.amount
        self._last_own[listed] = number
        self._days_own += listed
        now = listed.astype(np.float64)
        self._shared = KEEP_LIKENESS * self._shared + now @ now.T

    def _make_room(self, seen: Ints) -> None:
        """Carries over what is recent and adds what is new."""
        recent = self._of_item["last"] >= self._day - RECENT_DAYS
        kept = self.items[recent]
        items = np.union1d(kept, seen)
        at = np.searchsorted(items, kept)

        def carried(old: Floats, fill: float) -> Floats:
            new = np.full((*old.shape[:-1], len(items)), fill)
            new[..., at] = old[..., recent]
            return new

        fills = {"amount": np.nan, "before": np.nan, "last": -_NOT_LISTED}
        self._of_item = {name: carried(old, fills.get(name, 0.0)) for name, old in self._of_item.items()}
        self._place = carried(self._place, _NOT_LISTED)
        self._last_own = carried(self._last_own, -_NOT_LISTED)
        self._days_own = carried(self._days_own, 0.0)
        self._own_amount = carried(self._own_amount, np.nan)
        self.items = items

    def _survive(self, listed: npt.NDArray[np.bool_]) -> None:
        """Counts which of yesterday's are still there, by region and place, and by region and category."""
        region, at = np.nonzero(self._place < _NOT_LISTED)
        stayed = listed[region, at]
        bucket = np.minimum(self._place[region, at] * _BUCKETS // self._most, _BUCKETS - 1).astype(np.int64)
        category = self._of_item["category"][at].astype(np.int64)
        for counts, key in ((self._by_place, bucket), (self._by_category, category)):
            counts *= KEEP_SURVIVAL
            np.add.at(counts[..., 0], (region, key), stayed)
            np.add.at(counts[..., 1], (region, key), 1.0)

    def _note_items(self, number: int, day: Day, at: Ints) -> None:
        of = self._of_item
        amount, total, likes = (np.full(len(self.items), -1.0) for _ in range(3))
        for highest, values in ((amount, np.nan_to_num(day.amount, nan=-1.0)), (total, day.total), (likes, day.likes)):
            np.maximum.at(highest, at, values)
        seen = np.unique(at)
        yesterday = of["last"][seen] == number - 1
        of["before"][seen] = np.where(yesterday, of["amount"][seen], np.nan)
        of["amount"][seen] = np.where(amount[seen] < 0, np.nan, amount[seen])
        of["total"][seen], of["likes"][seen] = total[seen], likes[seen]
        of["published"][at], of["category"][at], of["duration"][at] = day.published, day.category, day.duration
        of["last"][seen] = number
        of["days"][seen] += 1

    def candidates(self) -> list[Candidates]:
        """Of each region, after the last day that was observed."""
        if not len(self.items):
            return []
        own_diagonal = np.maximum(np.diag(self._shared)[:, None], 1e-9)
        likeness = self._shared / own_diagonal
        np.fill_diagonal(likeness, 0.0)
        return [self._of_region(region, likeness[region]) for region in range(self._regions)]

    def _of_region(self, region: int, likeness: Floats) -> Candidates:
        """The columns are stacked in the order of NAMES."""
        listed = self._place < _NOT_LISTED
        height = np.where(listed, 1 - self._place / self._most, 0.0)
        elsewhere = likeness @ height
        recently = self._last_own[region] >= self._day - RECENT_DAYS
        others = np.flatnonzero(~recently & (elsewhere > 0))
        others = others[np.argsort(-elsewhere[others], kind="stable")[:MOST_FROM_ELSEWHERE]]
        chosen = np.sort(np.concatenate([np.flatnonzero(recently), others]))
        of = {name: values[chosen] for name, values in self._of_item.items()}
        place, place_before = self._place[region, chosen], self._place_before[region, chosen]
        own = listed[region, chosen]
        age = self._day + self._taken - of["published"]
        own_amount = self._own_amount[region, chosen]
        counted = np.where(own & ~np.isnan(own_amount), own_amount, of["amount"])
        amount = estimate(counted, of["total"], age)
        by_age = of["total"] / np.maximum(age, YOUNGEST_DAYS)
        own_best = np.sort(amount[own])[::-1][: max(1, self._most // 2)].sum() + 1.0
        rank = _ranks(amount)
        count = listed[:, chosen].sum(axis=0)
        category = of["category"].astype(np.int64)
        by_place = self._by_place[region]
        bucket = np.minimum(place * _BUCKETS // self._most, _BUCKETS - 1).astype(np.int64)
        survival_place = by_place[bucket, 0] / by_place[bucket, 1]
        by_category = self._by_category[region][category]
        few = len(chosen)
        columns = (
            np.log1p(amount), np.where(own, _ranks(np.where(own, amount, -1.0)), _NOT_LISTED), amount / own_best,
            rank / max(1, few), np.log1p(np.nan_to_num(of["before"])), np.log1p(amount) - np.log1p(of["before"]),
            np.isnan(of["amount"]), age, np.log1p(of["total"]), np.log1p(by_age), np.log1p(amount) - np.log1p(by_age),
            np.log1p(of["likes"]) - np.log1p(of["total"]), category, np.log1p(of["duration"]), count,
            likeness @ listed[:, chosen], (likeness[:, None] * listed[:, chosen]).max(axis=0), own, place,
            self._days_own[region, chosen], of["days"], self._day - self._last_own[region, chosen],
            self._day - of["last"], np.full(few, self._day % 7), np.full(few, np.log(own_best)),
            of["published"] % 1 * 24, place_before,
            np.where((place < _NOT_LISTED) & (place_before < _NOT_LISTED), place - place_before, np.nan),
            elsewhere[chosen], height[:, chosen].max(axis=0), height[:, chosen].sum(axis=0) / np.maximum(count, 1),
            survival_place, by_category[:, 0] / by_category[:, 1],
            np.full(few, by_place[:, 0].sum() / by_place[:, 1].sum()), of["total"] == 0, np.log1p(of["likes"]),
            _ranks(np.where(own, by_age, -1.0)), _ranks_within(category, place), np.full(few, own.sum()),
            np.full(few, np.median(age[own]) if own.any() else 0.0),
        )  # fmt: skip
        features = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
        return Candidates(region, self.items[chosen], amount, age, own, features)


def _prior_survival(shape: tuple[int, ...]) -> Floats:
    """Stayed and counted, as if one had been observed."""
    counts = np.ones((*shape, 2))
    counts[..., 0] = _USUAL_SURVIVAL
    return counts


def _ranks(values: Floats) -> Ints:
    """From 0, the largest first."""
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return ranks


def _ranks_within(groups: Ints, values: Floats) -> Ints:
    """From 0 in each group, the smallest first."""
    order = np.lexsort((values, groups))
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, np.int64)
    ranks = np.empty(len(values), np.int64)
    ranks[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return ranks
