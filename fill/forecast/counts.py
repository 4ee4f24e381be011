"""Running totals into what came in a day, and how it goes on: the cheap forecast that every other one must beat.

A counter that is read once a day says what came since by its increment. Of a file that was counted in any region the
evening before, the reference is that count; of one that was published since, everything came since. Of others the
increment is not known: its total over its age is the best estimate.

Pure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Tomorrow over today by age in days, of what goes on being watched (110 countries' daily lists).
DECAY_AGES = np.array([0.0, 0.15, 0.5, 0.75, 1.5, 2.0, 4.0, 8.0, 12.0])
DECAY = np.array([1.47, 1.2, 0.67, 0.47, 0.47, 0.75, 0.89, 0.91, 0.96])
# A total over an age below this says nothing of a day.
YOUNGEST_DAYS = 0.3


class Totals:
    """The last count of each item, whoever counted it, and the day of it."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, int]] = {}

    def increments(self, day: int, items: Ints, totals: Floats, published: Floats, taken: float) -> Floats:
        """What came of each item since the evening before, NaN where that is not known; then remembers the counts.

        `published` is in days on the scale of `day`; counts are read at `taken`, a share of the day after its start.
        An item may be there several times (regions); its highest count is the one that counts.
        """
        unique, inverse = np.unique(items, return_inverse=True)
        highest = np.zeros(len(unique))
        np.maximum.at(highest, inverse, totals)
        since = np.full(len(unique), np.nan)
        born = np.full(len(unique), -np.inf)
        np.maximum.at(born, inverse, published)
        for number, (item, total) in enumerate(zip(unique.tolist(), highest.tolist(), strict=True)):
            last = self._last.get(item)
            if last is not None:
                since[number] = max(0.0, total - last[0]) / max(1, day - last[1])
            elif born[number] > day - 1 + taken:
                since[number] = total
            self._last[item] = (total, day)
        return since[inverse]

    def forget(self, before: int) -> None:
        """Drops what was last counted before this day."""
        self._last = {item: last for item, last in self._last.items() if last[1] >= before}


def estimate(increments: Floats, totals: Floats, ages: Floats) -> Floats:
    """What comes of each in a day: its increment, or, where that is not known, its total over its age."""
    by_age = totals / np.maximum(ages, YOUNGEST_DAYS)
    return np.asarray(np.where(np.isnan(increments), by_age, increments), np.float64)


def decay(ages: Floats) -> Floats:
    """Tomorrow over today of items of these ages in days."""
    return np.asarray(np.interp(ages, DECAY_AGES, DECAY), np.float64)
