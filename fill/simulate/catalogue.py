"""The files that a simulation is about, and the hours at which people watch.

Titles are given as what is watched of them; players choose among a title's files. So each title gets a ladder of files
with sizes and with shares of its plays, as an encode of it would have.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fill.names import FileName

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOURS = 24
DAY_S = 86400
# Bytes sent in each hour of a local day, the mean hour being 1: an evening peak of 1.9 and a trough at four in the
# morning, as two metropolitan sites of a large CDN showed on a day of 2024, evened out.
_SHAPE = (
    0.98, 0.64, 0.44, 0.34, 0.30, 0.30, 0.36, 0.48, 0.62, 0.74, 0.84, 0.93,
    1.02, 1.06, 1.06, 1.08, 1.16, 1.32, 1.56, 1.80, 1.90, 1.84, 1.66, 1.57,
)  # fmt: skip
# Share of a day's bytes in each hour of it.
DAY_SHAPE: Floats = np.array(_SHAPE) / sum(_SHAPE)
PEAK_TO_MEAN = float(DAY_SHAPE.max() * HOURS)


class Rung(NamedTuple):
    """A file that every title has: its rate, and which share of the title's plays it gets."""

    name: str
    bit_s: float
    share: float


# Five video files whose shares of the viewing fall off at both ends, and two tracks of audio (128 kbit/s); a play of a
# title is one of a video file and one of an audio file.
LADDER = (
    Rung("v360.mp4", 0.6e6, 0.10),
    Rung("v480.mp4", 1.2e6, 0.15),
    Rung("v720.mp4", 2.6e6, 0.30),
    Rung("v1080.mp4", 5.0e6, 0.40),
    Rung("v2160.mp4", 14.0e6, 0.05),
    Rung("audio-1.mp4", 128e3, 0.85),
    Rung("audio-2.mp4", 128e3, 0.15),
)
_VIDEO = 5
# How much shares differ from title to title (the sum of a Dirichlet distribution's parameters).
_ALIKE = 20.0


@dataclass(frozen=True)
class Catalogue:
    """Files, as rows of every array. Days are counted from the simulation's first, warm-up included."""

    names: Sequence[FileName]
    title: Ints  # which title a file is of: 0, 1, ...
    size: Ints  # bytes
    cohort: Ints  # what a file not yet watched is expected to be like: the same rung of other titles
    announced: Ints  # the first day for which a plan may count on the file: it is made the evening before
    released: Ints  # the first day on which it is watched

    @property
    def total_bytes(self) -> int:
        return int(self.size.sum())


def with_ladder(
    titles: Sequence[str], seconds: Floats, announced: Ints, released: Ints, rng: np.random.Generator
) -> tuple[Catalogue, Floats]:
    """A catalogue in which each title has the ladder's files, and each file's share of its title's plays."""
    count, rungs = len(titles), len(LADDER)
    rates = np.array([rung.bit_s for rung in LADDER])
    prior = np.array([rung.share for rung in LADDER])
    shares = np.empty((count, rungs))
    shares[:, :_VIDEO] = rng.dirichlet(prior[:_VIDEO] * _ALIKE, count)
    shares[:, _VIDEO:] = rng.dirichlet(prior[_VIDEO:] * _ALIKE, count)
    catalogue = Catalogue(
        names=[FileName(title, rung.name) for title in titles for rung in LADDER],
        title=np.repeat(np.arange(count), rungs),
        size=np.maximum(1, seconds[:, None] * rates[None, :] / 8).astype(np.int64).ravel(),
        cohort=np.tile(np.arange(rungs), count),
        announced=np.repeat(announced, rungs),
        released=np.repeat(released, rungs),
    )
    return catalogue, shares.ravel()
