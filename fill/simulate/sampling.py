"""Fewer requests for caches to be simulated on: some of the files with all their requests, and a cache as much smaller.

Leaving out requests would make every file rarer and each first miss weigh more; leaving out files does neither (spatial
sampling: Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015). Whether the first file of a Zipf
distribution is in the sample would decide the result, so that is not left to chance: the hottest files are asked for so
often that every policy keeps them, and need no simulation; of the others a sample in order of popularity is drawn, and
each degree of popularity weighs what it weighs among all.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fill.simulate.catalogue import HOURS, Floats, Ints

# The hottest files up to this share of the cache are taken to stay: they are asked for ten times and more in the time
# that a file stays that is not asked for again.
_HOT_SHARE = 0.05


@dataclass(frozen=True)
class Sample:
    """What of all requests is asked, of a cache of which size."""

    requests: npt.NDArray[np.bool_]
    is_first: npt.NDArray[np.bool_]  # of each request: its file was not asked for before
    stays: npt.NDArray[np.bool_]  # of each file: hit from its second request on
    degree: Ints  # of each file, how popular it is: 0 for the first, 1 for the next two, then four, ...
    capacity: int

    @property
    def is_all(self) -> bool:
        return bool(self.requests.all())


def sample(files: Ints, size: Ints, capacity: int, most: int, rng: np.random.Generator) -> Sample:
    """A sample of about `most` requests. `files`: of each request; `size`: of each file."""
    stays = np.zeros(len(size), dtype=np.bool_)
    degree = np.zeros(len(size), dtype=np.int64)
    is_first = np.zeros(len(files), dtype=np.bool_)
    if len(files) <= most:
        return Sample(np.ones(len(files), dtype=np.bool_), is_first, stays, degree, capacity)
    is_first[np.unique(files, return_index=True)[1]] = True
    asked = np.bincount(files, minlength=len(size))
    order = np.argsort(-asked, kind="stable")
    stays[order[np.cumsum(size[order]) <= capacity * _HOT_SHARE]] = True
    cold = order[~stays[order] & (asked[order] > 0)]
    degree[cold] = np.log2(np.arange(len(cold)) + 1).astype(np.int64)
    share = min(1.0, most / max(1, int(asked[cold].sum())))
    steps = np.floor(np.arange(len(cold) + 1) * share + rng.random())
    drawn = cold[np.diff(steps) > 0]
    is_drawn = np.zeros(len(size), dtype=np.bool_)
    is_drawn[drawn] = True
    left = max(0, capacity - int(size[stays].sum()))
    return Sample(
        is_drawn[files], is_first, stays, degree, int(left * (int(size[drawn].sum()) / max(1, int(size[cold].sum()))))
    )


def whole(hit: npt.NDArray[np.bool_], made: Sample, files: Ints, amounts: Floats, hours: Ints, count: int) -> Floats:
    """Bytes hit in each of `count` hours, from the answers to the sampled requests (`hit`, one each).

    `files`, `amounts` (bytes) and `hours` are of all requests.
    """
    answers = np.zeros(len(files), dtype=np.bool_)
    answers[made.requests] = hit
    if made.is_all:
        return _sums(hours, amounts * answers, count)
    staying = made.stays[files]
    found = _sums(hours, amounts * (staying & ~made.is_first), count)
    # Of each degree and day, the share of the sample's bytes that was hit: hours alone would be too few requests.
    days, degrees = count // HOURS + 1, int(made.degree.max()) + 1
    cell = (hours // HOURS) * degrees + made.degree[files]
    drawn = made.requests
    asked = _sums(cell[drawn], amounts[drawn], days * degrees)
    got = _sums(cell[drawn], (amounts * answers)[drawn], days * degrees)
    ratio = _filled(got.reshape(days, degrees), asked.reshape(days, degrees)).ravel()
    return found + _sums(hours, amounts * ~staying * ratio[cell], count)


def _sums(places: Ints, amounts: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(places, weights=amounts, minlength=count), dtype=np.float64)


def _filled(got: Floats, asked: Floats) -> Floats:
    """got / asked [day, degree]; where nothing was asked, what the day's nearest degree with a sample had."""
    ratio = np.zeros_like(got)
    for day in range(len(got)):
        known = np.flatnonzero(asked[day] > 0)
        if len(known):
            ratio[day] = np.interp(np.arange(got.shape[1]), known, got[day, known] / asked[day, known])
    return ratio
