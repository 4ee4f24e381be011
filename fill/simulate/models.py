"""A synthetic catalogue: Zipf popularity that drifts from day to day, tastes by region, new releases.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from fill.simulate.catalogue import Floats, with_ladder
from fill.simulate.source import EVERYWHERE, Model

# A release is watched so many times as much on its first day as later, and half of that is gone after four days: the
# first week of a title is a third of its hours among a large service's ten most watched.
_DEBUT, _DEBUT_HALF_LIFE = 8.0, 4.0
# Regions' tastes: the standard deviation of the logarithm of what a title is watched there.
_TASTE = 0.5
# Saturday and Sunday; the first day is a Monday.
_WEEKEND = 1.15
# Regions x days x files that are held in memory (half a GB); of more each region is made when it is asked for, and soon
# thinned.
MOST_AT_ONCE = 60_000_000
_SHORTEST_S, _MEDIAN_S, _LONGEST_S = 10 * 60, 45 * 60, 3 * 3600


@dataclass(frozen=True)
class Shape:
    """What the catalogue is like: shares are of its titles."""

    titles: int = 3000
    exponent: float = 0.9  # Zipf's
    drift: float = 0.03  # standard deviation of a day's change of the logarithm of popularity
    new: float = 0.002  # titles that come a day
    scheduled: float = 0.8  # of these, what is known before


def synthetic(shape: Shape, days: int, regions: Iterable[str], seed: int) -> Model:
    rng = np.random.default_rng([seed, shape.titles, days])
    coming = min(shape.titles, round(shape.titles * shape.new * days))
    total = shape.titles + coming
    weight = _zipf(shape.titles, shape.exponent, rng)
    # A new title is as likely a hit as an old one.
    weight = np.concatenate([weight, rng.choice(weight, coming)])
    released = np.concatenate([np.zeros(shape.titles, int), np.sort(rng.integers(1, max(2, days), coming))])
    is_known = rng.random(total) < shape.scheduled
    announced = np.where(released == 0, 0, np.where(is_known, np.maximum(0, released - 7), released + 1))
    seconds = np.clip(rng.lognormal(np.log(_MEDIAN_S), 0.6, total), _SHORTEST_S, _LONGEST_S)
    titles = [f"title-{number:05d}" for number in range(total)]
    catalogue, share = with_ladder(titles, seconds, announced, released, rng)
    walk = np.cumsum(rng.normal(0, shape.drift, (days, total)), axis=0)
    daily = weight * np.exp(walk) * _debuts(released, days)
    daily *= np.where(np.arange(days) % 7 >= 5, _WEEKEND, 1.0)[:, None]
    plays = _Regions(frozenset({*regions, EVERYWHERE}), daily, share, seed)
    is_small = len(plays) * days * len(share) <= MOST_AT_ONCE
    return Model(catalogue, dict(plays) if is_small else plays, seed)


class _Regions(Mapping[str, Floats]):
    """Plays by region, [day, file], made whenever they are asked for."""

    def __init__(self, regions: frozenset[str], daily: Floats, share: Floats, seed: int) -> None:
        self._regions, self._daily, self._share, self._seed = regions, daily, share, seed

    def __getitem__(self, region: str) -> Floats:
        if region not in self._regions:
            raise KeyError(region)
        titles = self._daily.shape[1]
        tastes = np.random.default_rng([self._seed, crc32(region.encode())]).lognormal(0, _TASTE, titles)
        daily = self._daily * (tastes if region else 1.0)
        return np.asarray(np.repeat(daily, len(self._share) // titles, axis=1) * self._share)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._regions))

    def __len__(self) -> int:
        return len(self._regions)


def _zipf(count: int, exponent: float, rng: np.random.Generator) -> Floats:
    weight = 1.0 / np.arange(1, count + 1) ** exponent
    return np.asarray(rng.permutation(weight))


def _debuts(released: np.ndarray, days: int) -> Floats:
    """How a day's plays of a title differ from its later ones: [day, title]; 0 before its release."""
    age = np.arange(days)[:, None] - released[None, :]
    debut = 1 + (_DEBUT - 1) * 0.5 ** (age / _DEBUT_HALF_LIFE)
    return np.asarray(np.where(age < 0, 0.0, np.where(released[None, :] == 0, 1.0, debut)))
