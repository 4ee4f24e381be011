"""How far sites are from a place, the nearest first: of thousands of sites, in microseconds where it was asked before.

Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from steering.placement.geography import EARTH_RADIUS_KM, Point

# The nearest of a place that are kept in mind; and places. More are found again each time.
_KEPT_SITES, _KEPT_PLACES = 32, 4096


class Distances:
    """Of sites whose place is known."""

    def __init__(self, points: Mapping[str, Point]) -> None:
        self._names = sorted(points)
        degrees = np.array([points[name] for name in self._names], np.float64).reshape(-1, 2)
        self._north, self._east = np.radians(degrees[:, 0]), np.radians(degrees[:, 1])
        self._kept: LRUCache[Point, list[tuple[float, str]]] = LRUCache(_KEPT_PLACES)

    def __contains__(self, site: str) -> bool:
        at = bisect_left(self._names, site)
        return at < len(self._names) and self._names[at] == site

    def from_nearest(self, point: Point) -> Iterator[tuple[float, str]]:
        """Kilometres and the site's name."""
        nearest = self._kept.get(point)
        if nearest is None:
            nearest = self._kept[point] = list(self._all(point, _KEPT_SITES))
        yield from nearest
        if len(nearest) < len(self._names):
            yield from list(self._all(point, len(self._names)))[len(nearest) :]

    def to_all(self, point: Point) -> tuple[list[str], npt.NDArray[np.float64]]:
        """The sites by name, and the kilometres to each."""
        north, east = np.radians(point.latitude), np.radians(point.longitude)
        chord = np.sin((self._north - north) / 2) ** 2
        chord += np.cos(north) * np.cos(self._north) * np.sin((self._east - east) / 2) ** 2
        return self._names, 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(1.0, chord)))

    def _all(self, point: Point, count: int) -> Iterable[tuple[float, str]]:
        names, distance = self.to_all(point)
        order = np.argsort(distance, kind="stable")[:count]
        return zip(distance[order].tolist(), (names[number] for number in order.tolist()), strict=True)
