"""What is compared: each policy decides by night what a site holds, and by day serves what it holds.

    no-fill          nothing is held
    yesterday        what was watched most yesterday, file by file
    title-level      the same, but whole titles
    ours, by night   the planner's choice on our forecast, rewriting as little as its band allows
    ours             the same, corrected within the day: a file that turns out to be watched more than the least that
                     is held takes its place, by the rule of several that would have served most on the days before
    oracle-by-night  the planner's choice on what will be watched: the best that nights alone can do

A policy is told of a day after it has served it, but for the oracle. Caches that fill themselves are in caches.py, and
what nobody can exceed is in bound.py: they need no nights.

Ours is what production does (fill/planner, fill/forecast), but for this: forecasts are of whole days, by half-lives and
cohorts, not by the learnt models; corrections come every hour, of all that was asked for until then, and are carried
out at once; what is displaced counts as gone from the hour's beginning; a site's disks are one; production has one rule
(`Rule` in fill/forecast/within.py) where several are tried here, and leaves what a miss brings in to the appliance,
which drops the oldest of it, where here it is judged like everything else.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from fill.forecast.within import ADMIT_AT, MARGIN
from fill.simulate.catalogue import DAY_SHAPE, HOURS, Floats, Ints
from fill.simulate.disk import refill, swap, take_in

# A file is fetched by night if it is expected to be watched once within so many days. What fill brings costs as much of
# the upstream link as the first miss that it saves, so what is less sure to be asked for is left to be pulled through.
PAYS_WITHIN_DAYS = 1.0
# How much of what was expected of the files that were fetched came: what is expected of the next ones is cut by that.
_TRUST_STEP = 0.5
# Where what is asked for comes by day, a night may begin with doubt.
_FIRST_TRUST = 0.5
# However often a file was watched yesterday, today may differ: the variance of (watched / expected) beyond what chance
# alone makes. Learnt from files expected so often that chance is small; each counts for no more than the largest.
_FIRST_VARIANCE, _LARGEST_VARIANCE, _OFTEN = 0.25, 4.0, 10.0
# Files from which a variance is learnt at least.
_ENOUGH = 20
# What a rule served on earlier days fades by this factor a day.
_FADE = 0.8
# Copies of hot files, where there are several appliances to share their load: see planner/spread.py.
COPIES_SHARE = 0.01


@dataclass(frozen=True)
class Disks:
    """A site's, as one. `night`: bytes that a fill window can bring."""

    size: int
    reserve: float
    night: float
    appliances: int = 1

    @property
    def by_night(self) -> int:
        return int(self.by_day * (1 - self.reserve))

    @property
    def by_day(self) -> int:
        return int(self.size / (1 + COPIES_SHARE)) if self.appliances > 1 else self.size


class Known(NamedTuple):
    """What is known the evening before, in plays a day of each file at the site."""

    yesterday: Floats
    expected: Floats


class Night(NamedTuple):
    fetched: int = 0  # bytes
    put_off: int = 0


class Served(NamedTuple):
    hits: Floats  # bytes by hour
    written: int = 0  # bytes that came onto the disks within the day
    fetched: int = 0  # bytes that the oracle fetched the night before


class Policy(Protocol):
    def night(self, known: Known) -> Night: ...

    def day(self, counts: Floats) -> Served:
        """`counts`: requests [hour, file]."""
        ...


class NoFill:
    def night(self, known: Known) -> Night:
        return Night()

    def day(self, counts: Floats) -> Served:
        return Served(np.zeros(HOURS))


class Yesterday:
    def __init__(self, disks: Disks, size: Ints) -> None:
        self._disks, self._size = disks, size
        self.held = np.zeros(len(size), dtype=np.bool_)

    def night(self, known: Known) -> Night:
        filled = refill(
            self.held, known.yesterday, self._size, self._disks.by_night, self._disks.by_day, self._disks.night, band=0
        )
        self.held = filled.held
        return Night(filled.fetched, filled.put_off)

    def day(self, counts: Floats) -> Served:
        return Served(_bytes(counts, self.held, self._size))


class TitleLevel(Yesterday):
    """A title is held whole or not at all."""

    def __init__(self, disks: Disks, size: Ints, title: Ints) -> None:
        titles = int(title.max()) + 1 if len(title) else 0
        self._title, self._files = title, size
        super().__init__(disks, np.bincount(title, weights=size, minlength=titles).astype(np.int64))

    def night(self, known: Known) -> Night:
        watched = np.bincount(self._title, weights=known.yesterday * self._files, minlength=len(self._size))
        return super().night(Known(watched / np.maximum(self._size, 1), known.expected))

    def day(self, counts: Floats) -> Served:
        return Served(_bytes(counts, self.held[self._title], self._files))


class Nightly:
    def __init__(self, disks: Disks, size: Ints) -> None:
        self._disks, self._size = disks, size
        self.held = np.zeros(len(size), dtype=np.bool_)
        self._trust = 1.0
        self._bet = np.zeros(len(size))  # bytes that the files fetched last night are expected to serve

    def night(self, known: Known) -> Night:
        before = self.held
        pays = known.expected * self._trust * PAYS_WITHIN_DAYS >= 1
        plays = np.where(before | pays, known.expected, 0.0)
        filled = refill(self.held, plays, self._size, self._disks.by_night, self._disks.by_day, self._disks.night)
        self.held = filled.held
        self._bet = np.where(self.held & ~before, known.expected, 0.0) * self._size
        return Night(filled.fetched, filled.put_off)

    def day(self, counts: Floats) -> Served:
        self._settle(counts)
        return Served(_bytes(counts, self.held, self._size))

    def _settle(self, counts: Floats) -> None:
        fetched = self._bet > 0
        if fetched.any():
            came = float(counts[:, fetched].sum(axis=0) @ self._size[fetched])
            self._trust += _TRUST_STEP * (min(1.0, came / float(self._bet.sum())) - self._trust)


class Rule(NamedTuple):
    """A file that is not held displaces others from its request number `admit_at` on; see Corrected for `kappa`."""

    admit_at: int
    kappa: float  # days of requests that the forecast is worth


# Those that a site tries. Where files are asked for often, or for a day alone, waiting for a second request keeps out
# what is never asked for again; where each is asked for once in days, its second request may come too late, and what
# was watched over weeks says more than today. The first is followed until another has served more.
RULES = (Rule(1, 3.0), Rule(ADMIT_AT, 0.3), Rule(1, 1.0), Rule(1, 12.0))


class Corrected(Nightly):
    """Files' plays a day are gamma distributed; of the forecast alone, mean p and variance p / kappa + v p^2."""

    def __init__(self, disks: Disks, size: Ints, rule: Rule) -> None:
        super().__init__(disks, size)
        self._trust = _FIRST_TRUST
        self.rule = rule
        self._expected = np.zeros(len(size))
        self.variance = _FIRST_VARIANCE

    def night(self, known: Known) -> Night:
        self._expected = known.expected
        return super().night(known)

    def day(self, counts: Floats) -> Served:
        self._settle(counts)
        hits, written = np.zeros(HOURS), 0
        seen = np.zeros(len(self._size))
        # The forecast is worth so many plays, in so many days.
        kappa = self.rule.kappa
        days = kappa / (1 + self.variance * kappa * self._expected)
        plays = days * self._expected
        for hour, elapsed in enumerate(np.cumsum(DAY_SHAPE)):
            asked = counts[hour]
            seen += asked
            before = self.held
            swapped_in, misses = self._correct(plays, days + elapsed, asked, seen)
            both = before & self.held  # what is displaced counts as gone from the hour's beginning
            hits[hour] = float((asked[both] * self._size[both]).sum())
            hits[hour] += float(((asked[swapped_in] - misses) * self._size[swapped_in]).sum())
            written += int(self._size[swapped_in].sum())
        self._learn(counts.sum(axis=0))
        return Served(hits, written)

    def _correct(self, plays: Floats, days: Floats, asked: Floats, seen: Floats) -> tuple[Ints, Floats]:
        """Swaps; which files came in, and how many of the hour's requests each of them missed before it was there."""
        rates = (plays + seen) / days
        asked_for = ~self.held & (asked > 0)
        several = np.flatnonzero(asked_for & (seen >= self.rule.admit_at))
        swapped = swap(self.held, rates, several, self._size, self._disks.by_day, MARGIN)
        least = MARGIN * rates[swapped.displaced].max(initial=0.0)
        earlier = (seen - asked)[swapped.files]
        enough = np.ceil(least * days[swapped.files] - plays[swapped.files])
        first = self.rule.admit_at if len(swapped.displaced) else 1
        misses = np.clip(np.maximum(enough, first) - earlier, 1, asked[swapped.files])
        rest = np.flatnonzero(asked_for & ~swapped.held)
        self.held, more = take_in(swapped.held, rates, rest, self._size, self._disks.by_day)
        return np.concatenate([swapped.files, more]), np.concatenate([misses, np.ones(len(more))])

    def _learn(self, watched: Floats) -> None:
        """From the variance of what came, of files watched often."""
        expected = self._expected
        often = expected > _OFTEN
        if often.sum() >= _ENOUGH:
            beyond = (watched - expected)[often] ** 2 - watched[often]
            each = np.minimum(beyond / expected[often] ** 2, _LARGEST_VARIANCE)
            self.variance = (self.variance + max(0.0, float(each.mean()))) / 2


class Ours:
    """Corrected within the day, by the one of RULES that would have served most until now.

    Each rule runs beside the site on a disk that is imagined: names of what was asked for are all that it needs.
    """

    def __init__(self, disks: Disks, size: Ints) -> None:
        self._size = size
        self._imagined = [Corrected(disks, size, rule) for rule in RULES]
        self._scores = np.zeros(len(RULES))
        self._fetched = np.zeros(len(RULES))
        self._site = Corrected(disks, size, RULES[0])

    def night(self, known: Known) -> Night:
        self._fetched = np.array([one.night(known).fetched for one in self._imagined], dtype=np.float64)
        self._site.rule = RULES[int(self._scores.argmax())]
        return self._site.night(known)

    def day(self, counts: Floats) -> Served:
        hits = np.array([float(one.day(counts).hits.sum()) for one in self._imagined])
        asked = max(1e-9, float((counts @ self._size).sum()))
        self._scores = _FADE * self._scores + (hits - self._fetched) / asked
        return self._site.day(counts)


class Oracle(Nightly):
    """Is told of the day before it plans, and the window is never too short for it."""

    def night(self, known: Known) -> Night:
        return Night()

    def day(self, counts: Floats) -> Served:
        watched = counts.sum(axis=0)
        # Fetching what is watched once saves nothing.
        worth = np.where(self.held | (watched > 1), watched, 0.0)
        filled = refill(self.held, worth, self._size, self._disks.by_day, self._disks.by_day, np.inf, band=0)
        self.held = filled.held
        return Served(_bytes(counts, self.held, self._size), fetched=filled.fetched)


def _bytes(counts: Floats, held: np.ndarray, size: Ints) -> Floats:
    """By hour, of the files that are held."""
    return np.asarray(counts[:, held] @ size[held].astype(np.float64))
