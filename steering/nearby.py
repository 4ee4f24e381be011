"""Whom a new session may be told of: appliances of the nearest sites, until there are enough of them.

Ranking looks at each appliance that it is given, and a network has thousands. A manifest lists three, so it is given
those of the client's site and of as many more, by distance, as could come before the last that is listed. The order
that `steering.ranking` makes of these begins as the order of all would.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import blake2b

from steering.distances import Distances
from steering.fleet import Appliance, Health
from steering.sites import Placement

# Ranking counts whole kilometres, so what is less than this further off may come before.
_SLACK_KM = 2.0
# Of sites that are an unknown way off, so many appliances are looked at: another place's for each session.
_MOST_UNKNOWN = 64

AppliancesAt = Callable[[str], Mapping[str, Appliance]]


def nearby(
    placement: Placement,
    distances: Distances,
    appliances_at: AppliancesAt,
    sites: Collection[str],
    *,
    most: int,
    session: str,
) -> list[Appliance]:
    """`sites` are all where appliances stand; `most` is how many a manifest lists."""
    found = list(appliances_at(placement.site).values())
    usable = _count(found)
    enough_at = {placement.site} if usable else set()
    limit_km = float("inf")
    if placement.point is not None:
        for distance, site in distances.from_nearest(placement.point):
            if distance > limit_km:
                return found
            here = appliances_at(site)
            if site == placement.site or not here:
                continue
            found += here.values()
            if (count := _count(here.values())) and limit_km == float("inf"):
                usable += count
                enough_at.add(site)
                # One of another site is listed if there is any, whoever else is.
                if usable >= most and len(enough_at) > 1:
                    limit_km = distance + _SLACK_KM
    if limit_km == float("inf"):
        is_placed = placement.point is not None
        far = [site for site in sites if site != placement.site and not (is_placed and site in distances)]
        found += _unknown(far, appliances_at, session)
    return found


def _unknown(sites: Iterable[str], appliances_at: AppliancesAt, session: str) -> Iterator[Appliance]:
    """Of sites an unknown way off, beginning anywhere: sessions spread over all of them."""
    ordered = sorted(sites)
    if not ordered:
        return
    start = int.from_bytes(blake2b(session.encode(), digest_size=4).digest()) % len(ordered)
    looked_at = 0
    for site in (*ordered[start:], *ordered[:start]):
        here = appliances_at(site)
        yield from here.values()
        looked_at += len(here)
        if looked_at >= _MOST_UNKNOWN:
            return


def _count(appliances: Iterable[Appliance]) -> int:
    return sum(appliance.health is Health.HEALTHY for appliance in appliances)
