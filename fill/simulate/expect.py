"""What a region is expected to watch tomorrow, learnt day by day from what it watched: arrays instead of names.

A forecast has seen the days it was given to learn and no other, so it cannot look ahead.

    watched before    days weighed by a half-life, the one that would have forecast the days before best
    new               the mean of its cohort's files on their first day; until there was one, of all its cohort's
    not yet announced nothing

Pure.
"""

from __future__ import annotations

import numpy as np

from fill.simulate.catalogue import Catalogue, Floats

# Days after which a day counts half; 0: yesterday alone. Which is best depends on what is watched: 0 for news.
HALF_LIVES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
# Forecasts are compared by the bytes of the next day that they put first, on disks of these shares of the catalogue.
_DISKS = (0.02, 0.1, 0.3)
# Scores of earlier days fade by this factor a day.
_FADE = 0.8
# A new file's first days are like others' first days, as far as it has not been watched for that long itself.
_NEW_DAYS = 1


class Expectation:
    """One region's. `learn` each day's plays in turn; `plays` is the forecast for the next."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._day = 0
        files = len(catalogue.size)
        self._sums = np.zeros((len(HALF_LIVES), files))
        self._weights = np.zeros((len(HALF_LIVES), files))
        self._scores = np.zeros(len(HALF_LIVES))
        cohorts = int(catalogue.cohort.max()) + 1 if files else 0
        self._first_plays, self._firsts = np.zeros(cohorts), np.zeros(cohorts)

    @property
    def half_life(self) -> float:
        """The one that served best so far; before anything is known the middle one."""
        return HALF_LIVES[int(self._scores.argmax())] if self._scores.any() else HALF_LIVES[2]

    def learn(self, plays: Floats) -> None:
        """What was watched of each file on the day that comes next."""
        catalogue, day = self._catalogue, self._day
        if self._weights.any():
            self._scores = _FADE * self._scores + [self._score(self._of(i), plays) for i in range(len(HALF_LIVES))]
        out = (catalogue.released <= day).astype(np.float64)
        for position, half_life in enumerate(HALF_LIVES):
            keep = 0.5 ** (1 / half_life) if half_life else 0.0
            self._sums[position] = keep * self._sums[position] + plays * out
            self._weights[position] = keep * self._weights[position] + out
        is_first = (catalogue.released == day) & (day > 0)
        np.add.at(self._first_plays, catalogue.cohort[is_first], plays[is_first])
        np.add.at(self._firsts, catalogue.cohort[is_first], 1.0)
        self._day += 1

    def plays(self) -> Floats:
        """For the day that was not learnt yet."""
        catalogue, day = self._catalogue, self._day
        expected = self._of(HALF_LIVES.index(self.half_life))
        is_new = (catalogue.announced <= day) & (catalogue.released <= day) & (catalogue.released > day - _NEW_DAYS)
        expected = np.where(is_new, self._of_new(expected), expected)
        may_be = (catalogue.announced <= day) & (catalogue.released <= day)
        return np.asarray(np.where(may_be, expected, 0.0))

    def _of(self, position: int) -> Floats:
        return np.asarray(self._sums[position] / np.maximum(self._weights[position], 1e-9))

    def _of_new(self, expected: Floats) -> Floats:
        cohort = self._catalogue.cohort
        known = self._weights[0] > 0
        files = np.maximum(1, np.bincount(cohort[known], minlength=len(self._firsts)))
        mean = np.bincount(cohort[known], weights=expected[known], minlength=len(self._firsts)) / files
        first = np.where(self._firsts > 0, self._first_plays / np.maximum(self._firsts, 1), mean)
        return np.asarray(first[cohort])

    def _score(self, expected: Floats, plays: Floats) -> float:
        """The share of the day's bytes that disks filled by the forecast would have served."""
        size = self._catalogue.size
        order = np.argsort(-expected, kind="stable")
        ends, value = np.cumsum(size[order]), np.cumsum((plays * size)[order])
        if not value[-1]:
            return 0.0
        return float(np.mean(value[np.searchsorted(ends, np.array(_DISKS) * ends[-1])] / value[-1]))
