"""Sites that are nearly alike, simulated as one: of a thousand that all differ somewhat, most tell nothing new.

Sites are taken together that have one region, hour and reserve, and whose viewers, disk for each viewer, capacity for
each viewer and share of disk that a night can fill are within a few per cent. What is found of the mean site is told of
each in proportion to its viewers.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from math import log
from typing import NamedTuple

from fill.simulate.fleet import Box, Fleet, Site

# Within so much of each other, and as much more as it takes; never more than the last.
_FIRST_STEP, _GROWTH, _LAST_STEP = 0.02, 1.3, 1.0
# So many times what viewers take in the busiest hour no day exceeds: a site that can serve more is no other.
_AMPLE = 2.0
# And no night but the first fills so much of the disks.
_AMPLE_NIGHT = 0.5


class Kind(NamedTuple):
    """A site to be simulated, and those that it stands for."""

    site: Site
    members: tuple[Site, ...]


class Kinds(NamedTuple):
    kinds: tuple[Kind, ...]
    within: float  # the factor by which viewers and disks of one kind differ; 1 where none are taken together


def group(fleet: Fleet, most: int, apart: Collection[str] = ()) -> Kinds:
    """About `most` kinds. Sites named in `apart`, those that failed and those with guests stay by themselves."""
    if len(fleet) <= most:
        return Kinds(tuple(Kind(site, (site,)) for site in fleet), 1.0)
    step = _FIRST_STEP
    while True:
        groups: dict[object, list[Site]] = {}
        for site in fleet:
            groups.setdefault(_key(site, step, apart), []).append(site)
        if len(groups) <= most or step >= _LAST_STEP:
            return Kinds(tuple(_kind(tuple(members)) for members in groups.values()), 1 + step)
        step = min(_LAST_STEP, step * _GROWTH)


def _key(site: Site, step: float, apart: Collection[str]) -> object:
    if site.name in apart or site.is_lost or site.guests or not site.viewers:
        return site.name
    exact = (site.region, site.offset_h, site.reserve, len(site.boxes) > 1)
    amounts = (
        site.viewers,
        site.disk / site.viewers,
        min(_AMPLE, site.capacity / site.viewers),
        min(_AMPLE_NIGHT, site.night_bytes / site.disk),
    )
    return (*exact, *(round(log(amount) / log(1 + step)) for amount in amounts))


def _kind(members: tuple[Site, ...]) -> Kind:
    first = members[0]
    if len(members) == 1:
        return Kind(first, members)
    count = sum(site.count for site in members)

    def mean(amounts: Iterable[float]) -> float:
        return sum(amount * site.count for amount, site in zip(amounts, members, strict=True)) / count

    boxes, hours = len(first.boxes), mean(site.window_h for site in members)
    box = Box(
        disk=int(mean(site.disk for site in members) / boxes),
        capacity=int(mean(site.capacity for site in members) / boxes),
    )
    # Where there is no limit, as much as the disks hold.
    night = mean(min(site.night_bytes, site.disk) for site in members)
    merged = replace(
        first,
        boxes=(box,) * boxes,
        count=count,
        viewers=mean(site.viewers for site in members),
        window_h=hours,
        rate=max(1, int(night * 8 / (hours * 3600 * boxes))),
    )
    return Kind(merged, members)
