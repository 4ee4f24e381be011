"""Where a simulation's requests come from: drawn from how much each file is watched, or as a trace recorded them.

Pure: draws depend on the seed, the site and the day alone, so a day is the same whatever comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from zlib import crc32

import numpy as np
import numpy.typing as npt

from fill.simulate.catalogue import DAY_S, DAY_SHAPE, HOURS, PEAK_TO_MEAN, Catalogue, Floats, Ints

# Of a file that is watched more often on a day no more requests are drawn, and each stands for several: such a file is
# held by every policy, and one first miss in so many weighs nothing. What is watched seldom is drawn as it is.
MOST_OF_FILE = 300.0
# Of one site on one day no more are drawn in all, as far as even fewer of each file make that possible.
MOST_A_DAY = 1_000_000
LEAST_OF_FILE = 10.0
# What every region watches, where regions are not told apart.
EVERYWHERE = ""


class Requests(NamedTuple):
    """One day's at one site, in the order in which they came."""

    files: Ints
    hours: npt.NDArray[np.int8]  # local hour of the day
    amounts: Floats  # plays that each stands for: below 1 where not all of the file was watched

    def plays(self, files: int) -> Floats:
        """[hour, file]"""
        keys = self.hours.astype(np.int64) * files + self.files
        counted = np.bincount(keys, weights=self.amounts, minlength=HOURS * files).reshape(HOURS, files)
        return np.asarray(counted, dtype=np.float64)  # without any request bincount counts in integers


class Source(Protocol):
    """`viewers`: what the site's viewers take in the busiest hour, bit/s; a recorded trace knows by itself."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def days(self) -> int: ...

    def watched(self, site: str, region: str, viewers: float, day: int) -> Floats:
        """Plays of each file: what all of `requests` come to, sooner had than they."""
        ...

    def requests(self, site: str, region: str, viewers: float, day: int) -> Requests: ...

    def alone(self, site: str, region: str) -> Source:
        """As much of it as one site needs."""
        ...


def bytes_of_peak(viewers: float) -> float:
    """Bytes a day of viewers who take so many bit/s in the busiest hour."""
    return viewers / 8 * DAY_S / PEAK_TO_MEAN


@dataclass(frozen=True)
class Model:
    """Draws requests (Poisson, at the hours of DAY_SHAPE) from the plays that each file is given."""

    catalogue: Catalogue
    plays: Mapping[str, Floats]  # region, or EVERYWHERE -> [day, file], in any unit
    seed: int = 0

    @property
    def days(self) -> int:
        return len(next(iter(self.plays.values())))

    def of_region(self, region: str) -> Floats:
        return self.plays[region] if region in self.plays else self.plays[EVERYWHERE]

    def scale(self, region: str, viewers: float) -> float:
        """Requests for each unit of `plays`, such that the days' mean is what the viewers take."""
        daily = float((self.of_region(region) @ self.catalogue.size).mean())
        return bytes_of_peak(viewers) / daily if daily > 0 else 0.0

    def watched(self, site: str, region: str, viewers: float, day: int) -> Floats:
        files, counts, amounts, _ = self._draw(site, region, viewers, day)
        plays = np.zeros(len(self.catalogue.size))
        plays[files] = counts * amounts
        return plays

    def requests(self, site: str, region: str, viewers: float, day: int) -> Requests:
        watched, counts, amounts, rng = self._draw(site, region, viewers, day)
        files = np.repeat(watched, counts)
        hours = rng.choice(HOURS, len(files), p=DAY_SHAPE).astype(np.int8)
        order = np.argsort(hours + rng.random(len(files)))
        return Requests(files[order], hours[order], np.repeat(amounts, counts)[order])

    def alone(self, site: str, region: str) -> Model:
        return Model(self.catalogue, {region: self.of_region(region)}, self.seed)

    def most_of_file(self, plays: Floats) -> float:
        """Requests that are drawn of a file at most, if files are watched so often."""
        most = MOST_OF_FILE
        while most > LEAST_OF_FILE and np.minimum(plays, most).sum() > MOST_A_DAY:
            most /= 2
        return most

    def _draw(self, site: str, region: str, viewers: float, day: int) -> tuple[Ints, Ints, Floats, np.random.Generator]:
        """The files that are watched, requests of each, what each of these stands for, and what draws the rest."""
        rng = np.random.default_rng([self.seed, crc32(site.encode()), day])
        plays = self.of_region(region)[day] * self.scale(region, viewers)
        files = np.flatnonzero(plays > 0)
        watched = rng.poisson(plays[files])
        files, watched = files[watched > 0], watched[watched > 0]
        weight = np.maximum(1.0, plays[files] / self.most_of_file(plays))
        counts = np.ceil(watched / weight).astype(np.int64)
        return files, counts, watched / counts, rng
