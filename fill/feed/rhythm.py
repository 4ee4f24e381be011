"""The rhythm of a week: how a region's bytes spread over its hours, as far as the hours that were seen tell.

Pure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fill.history import HOURS_OF_WEEK, flat_rhythm

# 1970-01-01 was a Thursday: hour 0 of the epoch is hour 72 of a week that begins on Monday.
_FIRST_HOUR_OF_WEEK = 72
# What the days have in common weighs like so many weeks against what an hour of the week was itself.
_COMMON_WEEKS = 2.0


def rhythm_of(hours: npt.NDArray[np.int64], sent: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of a week's bytes in each of its hours, UTC, Monday 00:00 first; sum 1.

    `hours` (since the epoch) are the consecutive hours that were watched over, `sent` the bytes in each. Hours of the
    day that were not seen count as the mean of those that were, and weekdays that were not seen as the others.
    """
    if not len(hours) or sent.sum() <= 0:
        return flat_rhythm()
    slots = (hours + _FIRST_HOUR_OF_WEEK) % HOURS_OF_WEEK
    seen = np.bincount(slots, minlength=HOURS_OF_WEEK)
    summed = np.bincount(slots, weights=sent, minlength=HOURS_OF_WEEK)
    seen_of_day, summed_of_day = (values.reshape(7, 24).sum(axis=0) for values in (seen, summed))
    day = np.where(seen_of_day > 0, summed_of_day / np.maximum(seen_of_day, 1), sent.mean())
    week = (summed + _COMMON_WEEKS * np.tile(day, 7)) / (seen + _COMMON_WEEKS)
    return np.asarray(week / week.sum(), dtype=np.float64)
