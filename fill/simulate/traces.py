"""A trace of requests as a source for simulations: its own requests at its own times, or the popularity that it shows.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fill.errors import TraceError
from fill.names import FileName
from fill.simulate.catalogue import DAY_S, HOURS, Catalogue, Floats
from fill.simulate.source import EVERYWHERE, Model, Requests

REQUESTS = "time,object,size"
_HOUR_S = DAY_S // HOURS


class Asked(NamedTuple):
    """A row: an object of so many bytes; or, with `part`, an answer with some of the object's bytes."""

    time: float
    object: str
    size: float
    site: str = ""
    part: str = ""
    session: int = 0


@dataclass(frozen=True)
class Trace:
    """Requests as they came: each site its own, or EVERYWHERE those of which no site is known."""

    catalogue: Catalogue
    days: int
    by_site: Mapping[str, tuple[Requests, ...]]  # a day each

    @property
    def sites(self) -> list[str]:
        """Those that the trace names."""
        return sorted(self.by_site.keys() - {EVERYWHERE})

    def _of(self, site: str) -> tuple[Requests, ...]:
        return self.by_site[site] if site in self.by_site else self.by_site[EVERYWHERE]

    def requests(self, site: str, region: str, viewers: float, day: int) -> Requests:
        return self._of(site)[day]

    def watched(self, site: str, region: str, viewers: float, day: int) -> Floats:
        requests = self._of(site)[day]
        counted = np.bincount(requests.files, weights=requests.amounts, minlength=len(self.catalogue.size))
        return np.asarray(counted, dtype=np.float64)

    def alone(self, site: str, region: str) -> Trace:
        return Trace(self.catalogue, self.days, {site: self._of(site)})

    def as_model(self, seed: int) -> Model:
        """What was watched on each day, whichever site it was at, to be drawn from for sites of any size."""
        plays = np.zeros((self.days, len(self.catalogue.size)))
        for days in self.by_site.values():
            for day, requests in enumerate(days):
                plays[day] += np.bincount(requests.files, weights=requests.amounts, minlength=plays.shape[1])
        return Model(self.catalogue, {EVERYWHERE: plays}, seed)


def from_requests(rows: Iterable[Asked], days: int, most: int) -> Trace:
    """The last `days` of the rows; days begin at midnight UTC. Raises TraceError where nothing is left."""
    numbers: dict[str, int] = {}
    sites: dict[str, int] = {}
    times: list[float] = []
    amounts: list[float] = []
    objects: list[int] = []
    places: list[int] = []
    sizes: dict[int, dict[str, float]] = {}
    running: dict[tuple[int, int, int], int] = {}  # object, session, hour -> the request that goes on
    for row in rows:
        number = numbers.setdefault(row.object, len(numbers))
        parts = sizes.setdefault(number, {})
        parts[row.part] = max(parts.get(row.part, 0.0), row.size)
        key = (number, row.session, int(row.time // _HOUR_S))
        if row.part and key in running:
            amounts[running[key]] += row.size
            continue
        running[key] = len(times)
        times.append(row.time)
        objects.append(number)
        amounts.append(row.size)
        places.append(sites.setdefault(row.site, len(sites)))
        if len(times) > most:
            raise TraceError(f"more than {most} requests: cut the trace to fewer days, or to fewer sites")
    if not times:
        raise TraceError("the trace has no request that can be used")
    # Of an object known by its parts, the parts that were ever sent are its size.
    size = np.array([sum(sizes[number].values()) for number in range(len(numbers))])
    moments, files = np.array(times), np.array(objects, dtype=np.int64)
    plays = np.minimum(np.array(amounts) / size[files], 1.0)
    return _trace(list(numbers), size, moments, files, plays, np.array(places), list(sites), days)


def _trace(
    names: list[str],
    size: Floats,
    moments: Floats,
    files: np.ndarray,
    plays: Floats,
    places: np.ndarray,
    sites: list[str],
    days: int,
) -> Trace:
    last = int(moments.max() // DAY_S)
    day = (moments // DAY_S).astype(np.int64) - (last - days + 1)
    first = max(0, int(day.min()))
    day -= first
    count = days - first
    order = np.argsort(moments, kind="stable")
    order = order[day[order] >= 0]
    released = np.full(len(names), count)
    np.minimum.at(released, files[order], day[order])
    watched = np.flatnonzero(released < count)  # what was only asked for before is not in the catalogue
    rows = np.zeros(len(names), dtype=np.int64)
    rows[watched] = np.arange(len(watched))
    catalogue = _catalogue([names[number] for number in watched], size[watched], released[watched])
    hours = (moments // _HOUR_S).astype(np.int64) % HOURS
    by_site = {}
    for number, site in enumerate(sites):
        of_days = []
        for one in range(count):
            which = order[(places[order] == number) & (day[order] == one)]
            of_days.append(Requests(rows[files[which]], hours[which].astype(np.int8), plays[which]))
        by_site[site] = tuple(of_days)
    return Trace(catalogue, count, by_site)


def _catalogue(names: list[str], size: Floats, released: np.ndarray) -> Catalogue:
    """Nobody announced anything: what is first asked for today may be planned for tomorrow."""
    split = [FileName(*(name.rsplit("/", 1) if "/" in name else (name, ""))) for name in names]
    titles: dict[str, int] = {}
    title = np.array([titles.setdefault(name.title, len(titles)) for name in split], dtype=np.int64)
    rounded = np.maximum(1, np.round(size)).astype(np.int64)
    return Catalogue(split, title, rounded, np.zeros(len(names), np.int64), released + 1, released)
