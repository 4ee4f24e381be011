"""The order of the sites for a place, and which of thousands of them a new session looks at.

A site's grade is what the client's network, the operator and the way between them make of it; less is better, and each
step decides only among those that the steps before left equal:

    1  route: the client's own site; then those that announced its prefix too; then all others
    2  peering, of all but its own: embedded in an ISP, private peering, public peering
    3  cost, as the operator set it
    4  the way: for those that announced the prefix which path is the better one; for others the round trip

A round trip is what was measured between the client's network and the site, else what its distance allows:

    expected = 5 ms + 1.7 ms for each 100 km

Light takes 1 ms for 100 km of fibre there and back, cables are 1.5 to 2 times as long as the great circle (Singla and
others, "The Internet at the Speed of Light", 2014), and the 5 ms are the client's own line. What a slower line adds to
all that is measured is taken off before they are compared (steering.placement.paths). Ways are compared in steps of 2
ms, above 14 ms of 15 %: what differs by less is equally near. A client that geography placed, or that only its session
remembers, has no route, so its nearest site is one of those "others" that the round trip orders.

What depends on the place alone is computed once and kept: its nearest sites, whoever is healthy there, for to pass over
a dead one is a look at one byte. Beyond them, where only sessions get whose whole neighbourhood died, the next sites
are kept where somebody is healthy; the few that revive are put back where they belong. So a session looks at a handful
of sites, whatever the size of the fleet and whatever of it is gone.

Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from steering.appliances.roll import MOST_REVIVED, Cluster, Roll
from steering.placement.distances import Distances
from steering.placement.geography import Point, distance_km
from steering.placement.paths import comparable
from steering.placement.sites import By, Placement, Sites
from steering.recent import Recent

OWN, ALTERNATE, OTHER = 0, 1, 2
PEERINGS = ("embedded", "private", "public")
# The way to a site whose place, or the client's, nobody knows.
UNKNOWN = 10**6

LINE_MS, MS_PER_100_KM = 5.0, 1.7
_FINE_MS, _COARSE_FROM_MS, _COARSE = 2.0, 14.0, math.log(1.15)
_FINE_STEPS = int(_COARSE_FROM_MS / _FINE_MS)

# A client that geography places is taken to be in the middle of a square of so many degrees, 28 km: databases know no
# better, and what is computed for one client is good for its neighbours.
_SQUARE = 0.25
# A place is a site and those that announced the same prefix: 6,000 sites are some 12,000, and each is dear to make.
_KEPT_PLACES, _KEPT_SITES = 2**15, 32
# Of many sites that are equally near a session looks at some, others than the next session does.
MOST_EQUAL, MOST_UNKNOWN = 16, 64


class Grade(NamedTuple):
    """What a site is to a client; the least is the best."""

    route: int  # OWN, ALTERNATE or OTHER
    peering: int  # a position in PEERINGS
    cost: float
    way: int  # which path, or which step of round trips


Rung: TypeAlias = tuple[Grade, Sequence[Cluster]]
_GRADE_OF_OWN = Grade(OWN, 0, 0.0, 0)
NOTHING_MEASURED: Mapping[str, float] = {}
# What says where a client is, and not whose. A session's site may be where geography had placed it.
_BY_PLACE = (By.GEOGRAPHY, By.SESSION)


def expected_ms(distance_km: float) -> float:
    """The round trip that a distance allows."""
    return LINE_MS + MS_PER_100_KM * distance_km / 100


def step(rtt_ms: float) -> int:
    """Round trips that are as good as equal are of one step."""
    if rtt_ms < _COARSE_FROM_MS:
        return int(rtt_ms / _FINE_MS)
    return _FINE_STEPS + int(math.log(rtt_ms / _COARSE_FROM_MS) / _COARSE)


class _Group:
    """The sites of one peering and cost."""

    def __init__(self, peering: int, cost: float) -> None:
        self.peering, self.cost = peering, cost
        self.names: list[str] = []  # sorted, as the next
        self.unplaced: list[str] = []
        self.distances = Distances({})


class Nearby:
    """All places' orders of the sites that are declared, for the appliances of the roll."""

    def __init__(self, sites: Sites, roll: Roll) -> None:
        self.sites, self.roll = sites, roll
        self._declared = {site.name: site for site in sites.declared}
        self._facilities = {site.name: site.facility for site in sites.declared if site.facility}
        self._groups = self._grouped()
        self._undeclared = self._groups[0, 0.0]
        self._noticed = 0  # of the sites that appeared
        self._places: Recent[tuple[object, ...], Place] = Recent(_KEPT_PLACES)

    def facility(self, site: str) -> str:
        """The building that the site is in."""
        return self._facilities.get(site, site)

    def peering(self, site: str) -> int:
        declared = self._declared.get(site)
        return PEERINGS.index(declared.peering) if declared is not None else 0

    def cost(self, site: str) -> float:
        declared = self._declared.get(site)
        return declared.cost if declared is not None else 0.0

    def place(self, placement: Placement) -> Place:
        """The order of the sites for the client's place."""
        is_routed = placement.site and (placement.by not in _BY_PLACE or placement.point is None)
        key = (placement.site, placement.alternates) if is_routed else (_square(placement.point),)
        place = self._places.get(key)
        if place is None:
            place = self._routed(placement) if is_routed else Place(self, {}, _square(placement.point))
            self._places.put(key, place)
        return place

    def unknown(self, peering: int, cost: float, is_placed: bool) -> Sequence[str]:
        """The sites of this peering and cost that are an unknown way off, for whom something is known of the client."""
        group = self._groups[peering, cost]
        return group.unplaced if is_placed else group.names

    def groups(self) -> Iterable[_Group]:
        """In the order of their grades."""
        return self._groups.values()

    def notice(self) -> None:
        """Takes note of sites that nobody declared and somebody stands at."""
        appeared = self.roll.appeared
        while self._noticed < len(appeared):
            site = appeared[self._noticed]
            self._noticed += 1
            if site not in self._declared:
                insort(self._undeclared.names, site)
                insort(self._undeclared.unplaced, site)

    def _grouped(self) -> dict[tuple[int, float], _Group]:
        # Sites that nobody declared are taken for embedded ones that cost nothing.
        found: dict[tuple[int, float], _Group] = {(0, 0.0): _Group(0, 0.0)}
        for site in sorted(self._declared.values(), key=lambda one: one.name):
            key = PEERINGS.index(site.peering), site.cost
            group = found.setdefault(key, _Group(*key))
            group.names.append(site.name)
            if self.sites.point(site.name) is None:
                group.unplaced.append(site.name)
        for group in found.values():
            points = {name: point for name in group.names if (point := self.sites.point(name)) is not None}
            group.distances = Distances(points)
        return dict(sorted(found.items()))

    def _routed(self, placement: Placement) -> Place:
        routes = {placement.site: _GRADE_OF_OWN}
        for way, site in enumerate(placement.alternates):
            routes.setdefault(site, Grade(ALTERNATE, self.peering(site), self.cost(site), way))
        return Place(self, routes, placement.point)


class Place:
    """The order of the sites for one place."""

    def __init__(self, nearby: Nearby, routes: Mapping[str, Grade], point: Point | None) -> None:
        self._nearby, self._routes, self.point = nearby, routes, point
        self._with_route: list[Rung] = [
            (grade, (nearby.roll.cluster(site),)) for site, grade in sorted(routes.items(), key=lambda one: one[1])
        ]
        self._grades: Recent[str, Grade] = Recent(4 * _KEPT_SITES)
        self._expected: Recent[str, float] = Recent(_KEPT_SITES)  # round trips in ms
        self._near: tuple[Rung, ...] | None = None  # the nearest sites, whoever is healthy there
        self._is_all = False  # there are no others
        self._kept: list[Rung] = []  # the next ones where somebody is healthy
        self._is_whole = False  # there is nobody healthy beyond what is kept
        self._revivals = -1 - MOST_REVIVED

    def rungs(self, seed: float, rtts: Mapping[str, float] = NOTHING_MEASURED) -> Iterator[Rung]:
        """Clusters by grade, the best first; of many equals some where somebody is healthy, by the seed.

        `rtts` are the round trips that were measured to the client's network, in ms by site.
        """
        yield from self._with_route
        for grade, clusters in self._merged(rtts) if rtts else self._others():
            if grade.way == UNKNOWN:
                unknown = _some(
                    self._nearby.unknown(grade.peering, grade.cost, self.point is not None), seed, MOST_UNKNOWN
                )
                known = self._nearby.roll.cluster
                yield grade, [known(site) for site in unknown if site not in rtts and site not in self._routes]
            else:
                yield grade, clusters if len(clusters) <= MOST_EQUAL else self._some_alive(clusters, seed)

    def grade(self, site: str, rtts: Mapping[str, float] = NOTHING_MEASURED) -> Grade:
        grade = self._static_grade(site)
        if grade.route == OTHER and site in rtts:
            return Grade(OTHER, grade.peering, grade.cost, self._measured(rtts)[site])
        return grade

    def _static_grade(self, site: str) -> Grade:
        grade = self._routes.get(site) or self._grades.get(site)
        if grade is None:
            here, there = self.point, self._nearby.sites.point(site)
            way = UNKNOWN
            if here is not None and there is not None:
                way = step(expected_ms(round(distance_km(here, there))))
            grade = Grade(OTHER, self._nearby.peering(site), self._nearby.cost(site), way)
            self._grades.put(site, grade)
        return grade

    def _others(self) -> Iterator[Rung]:
        """Rungs of sites without a route."""
        self._nearby.notice()
        near = self._near if self._near is not None else self._find_near()
        yield from near
        if self._is_all:
            return
        self._catch_up()
        at = 0
        while True:
            while at < len(self._kept):
                yield self._kept[at]
                at += 1
            if self._is_whole:
                return
            last = self._kept[-1][0] if self._kept else None
            self._keep(2 * _count(self._kept))
            at = bisect_right(self._kept, last, key=_grade_of) if last is not None else 0

    def _merged(self, rtts: Mapping[str, float]) -> Iterator[Rung]:
        """The same when the ways to some sites were measured: those are where that puts them."""
        measured: dict[Grade, list[Cluster]] = {}
        for site, way in self._measured(rtts).items():
            grade = self._static_grade(site)
            if grade.route == OTHER:
                measured.setdefault(Grade(OTHER, grade.peering, grade.cost, way), []).append(
                    self._nearby.roll.cluster(site)
                )
        waiting = sorted(measured.items(), key=_grade_of, reverse=True)
        for grade, clusters in self._others():
            while waiting and waiting[-1][0] < grade:
                yield waiting.pop()
            left = [cluster for cluster in clusters if cluster.site not in rtts]
            if waiting and waiting[-1][0] == grade:
                left += waiting.pop()[1]
            if left or grade.way == UNKNOWN:
                yield grade, left
        while waiting:
            yield waiting.pop()

    def _measured(self, rtts: Mapping[str, float]) -> dict[str, int]:
        """The steps of measured round trips, less what of them is the client's own line."""
        return {site: step(rtt_ms) for site, rtt_ms in comparable(rtts, self._expected_ms).items()}

    def _expected_ms(self, site: str) -> float | None:
        expected = self._expected.get(site)
        if expected is None:
            here, there = self.point, self._nearby.sites.point(site)
            if here is None or there is None:
                return None
            expected = expected_ms(round(distance_km(here, there)))
            self._expected.put(site, expected)
        return expected

    def _catch_up(self) -> None:
        """Puts back the sites that somebody is healthy at again."""
        roll = self._nearby.roll
        missed = roll.revivals - self._revivals
        if not missed:
            return
        if missed > len(roll.revived):
            self._keep(_KEPT_SITES)
            return
        self._revivals = roll.revivals
        for site in islice(roll.revived, len(roll.revived) - missed, None):
            self._put_back(site)

    def _put_back(self, site: str) -> None:
        grade = self._static_grade(site)
        is_near = self._near is not None and grade <= self._near[-1][0]
        is_beyond = not self._is_whole and (not self._kept or grade > self._kept[-1][0])
        if grade.route != OTHER or grade.way == UNKNOWN or is_near or is_beyond:
            return
        at, cluster = bisect_left(self._kept, grade, key=_grade_of), self._nearby.roll.cluster(site)
        if at == len(self._kept) or self._kept[at][0] != grade:
            self._kept.insert(at, (grade, (cluster,)))
        elif cluster not in self._kept[at][1]:
            self._kept[at] = grade, tuple(sorted((*self._kept[at][1], cluster), key=lambda one: one.site))

    def _find_near(self) -> tuple[Rung, ...]:
        """Looks at all sites, and keeps the nearest of them, and all that are as near."""
        near: list[Rung] = []
        for rung in self._all():
            if _count(near) >= _KEPT_SITES:
                break
            near.append(rung)
        else:
            self._is_all = True
        self._near = tuple(near)
        return self._near

    def _keep(self, most: int) -> None:
        """Looks at all sites, and keeps of those that are not near the nearest `most` where somebody is healthy."""
        self._revivals = self._nearby.roll.revivals
        self._kept, self._is_whole = [], False
        for grade, clusters in islice(self._all(), len(self._near or ()), None):
            if _count(self._kept) >= max(most, _KEPT_SITES):
                return
            alive = self._alive(clusters)
            if alive or grade.way == UNKNOWN:
                self._kept.append((grade, alive))
        self._is_whole = True

    def _all(self) -> Iterator[Rung]:
        cluster = self._nearby.roll.cluster
        for group in self._nearby.groups():
            if self.point is not None:
                for way, sites in _by_way(group.distances, self.point):
                    around = tuple([cluster(site) for site in sites if site not in self._routes])
                    if around:
                        yield Grade(OTHER, group.peering, group.cost, way), around
            yield Grade(OTHER, group.peering, group.cost, UNKNOWN), ()

    def _alive(self, clusters: Iterable[Cluster]) -> tuple[Cluster, ...]:
        is_healthy = self._nearby.roll.is_healthy
        return tuple([cluster for cluster in clusters if is_healthy(cluster)])

    def _some_alive(self, clusters: Sequence[Cluster], seed: float) -> Sequence[Cluster]:
        start = int(seed * len(clusters))
        around = chain(islice(clusters, start, None), islice(clusters, start))
        return list(islice(filter(self._nearby.roll.is_healthy, around), MOST_EQUAL))


def _by_way(distances: Distances, point: Point) -> Iterator[tuple[int, list[str]]]:
    """The sites by step, each step's by name."""
    names, distance = distances.to_all(point)
    if not names:
        return
    rtt_ms = LINE_MS + MS_PER_100_KM * np.round(distance) / 100
    coarse = _FINE_STEPS + (np.log(np.maximum(rtt_ms, _COARSE_FROM_MS) / _COARSE_FROM_MS) / _COARSE).astype(np.int64)
    ways = np.where(rtt_ms < _COARSE_FROM_MS, (rtt_ms / _FINE_MS).astype(np.int64), coarse)
    order = np.argsort(ways, kind="stable")
    starts = np.flatnonzero(np.diff(ways[order], prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(names)], strict=True):
        yield int(ways[order[start]]), [names[number] for number in order[start:end].tolist()]


def _some(around: Sequence[Any], seed: float, most: int) -> Sequence[Any]:
    if len(around) <= most:
        return around
    start = int(seed * len(around))
    return (*around[start : start + most], *around[: max(0, start + most - len(around))])


def _square(point: Point | None) -> Point | None:
    if point is None:
        return None
    north, east = math.floor(point.latitude / _SQUARE), math.floor(point.longitude / _SQUARE)
    return Point((north + 0.5) * _SQUARE, (east + 0.5) * _SQUARE)


def _grade_of(rung: tuple[Grade, object]) -> Grade:
    return rung[0]


def _count(rungs: Sequence[Rung]) -> int:
    return sum(len(clusters) for _, clusters in rungs)
