"""What was watched in one region, as forecasts read it: plays of each file a day, and the week's rhythm.

A *play* of a file is its size in bytes, sent to viewers: plays a day are the value of a byte of it, bytes served a day
for each byte stored.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fill.names import FileName

HOURS_OF_WEEK = 7 * 24


@dataclass(frozen=True)
class History:
    """What is known of a region at `now`: nothing in it is later than that.

    Days are the 24 h that end at `now`, the 24 h before them, and so on, so no day is ever half over.
    """

    region: str
    now: float  # seconds since the epoch
    files: Sequence[FileName]  # rows of `served`
    served: npt.NDArray[np.float64]  # bytes sent, [file, day], oldest day first; days before the first record are 0
    days_known: int  # the last so many columns are covered by records; the others are empty because nothing was kept
    sessions: npt.NDArray[np.float64]  # [file, day]: distinct viewers or, where that is not known, an estimate
    rhythm: npt.NDArray[np.float64]  # share of a week's bytes in each hour of the week, UTC, Monday 00:00 first; sum 1
    records: int = 0  # that counted
    refused: Mapping[str, int] = field(default_factory=dict)  # reason -> records that did not count

    @property
    def bytes_per_day(self) -> float:
        """All files' mean over the days that are known."""
        days = self.served[:, -self.days_known :] if self.days_known else self.served[:, :0]
        return float(days.sum() / self.days_known) if self.days_known else 0.0


def flat_rhythm() -> npt.NDArray[np.float64]:
    """Every hour alike: what is assumed of a region of which nothing is known."""
    return np.full(HOURS_OF_WEEK, 1 / HOURS_OF_WEEK)
