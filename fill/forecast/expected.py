"""What a file is expected to be watched: the one value that forecasts give to planners, simulations and reports.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fill.names import FileName


class Expected(NamedTuple):
    """Plays of a file in the day to come (bytes served for each byte of it); `reason` says from what."""

    plays: float
    reason: str
    error: float = 0.0  # the standard error of `plays`


@dataclass(frozen=True)
class Forecast:
    """What a region is expected to watch in the 24 h from `made_at` on."""

    region: str
    made_at: float  # seconds since the epoch
    model: str  # which forecast this is: "persistence", "boosted", ...
    expected: Mapping[FileName, Expected]
    hours: npt.NDArray[np.float64]  # share of the day's bytes in each of the 24 hours from `made_at` on; sum 1

    @property
    def peak(self) -> float:
        """The busiest hour's share of the day: a file's peak rate is plays x size x 8 x peak / 3600 bit/s."""
        return float(self.hours.max())
