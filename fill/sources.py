"""Whom to fetch a file from, in order: peers of the site, then other sites' appliances, then the origin.

A peer costs the ISP nothing, another site's appliance costs it transit, the origin costs everybody. Among equals the
order is drawn from the file's name, so that many files come from many sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

from fill.appliances import Seen
from fill.placement import order

# More appliances than this are not asked for one file: if so many failed, the next will not be better than the origin.
MOST_APPLIANCES = 4
# A full appliance still answers, but players come first there. One that drains does too, while it lasts.
_WILLINGNESS = {"healthy": 0, "full": 1, "draining": 2}


class Source(NamedTuple):
    """`name` is an appliance, or "origin"."""

    name: str
    url: str
    reason: str


def rank(
    title: str,
    package: str,
    file: str,
    *,
    appliance: str,
    site: str,
    fleet: Iterable[Seen],
    origin: str,
    failed: Set[str] = frozenset(),
) -> list[Source]:
    """Sources of a file for `appliance` of `site`, best first; who `failed` (by name) comes last."""
    key = f"{title}/{package}/{file}"
    holders = {
        seen.report.name: seen
        for seen in fleet
        if seen.report.name != appliance and seen.health in _WILLINGNESS and seen.holds(title, package, file)
    }
    drawn = {name: position for position, name in enumerate(order(key, dict.fromkeys(holders, 1.0)))}

    def preference(name: str) -> tuple[bool, bool, int, int]:
        seen = holders[name]
        return (name in failed, seen.report.site != site, _WILLINGNESS[seen.health], drawn[name])

    sources = [_source(holders[name], site) for name in sorted(holders, key=preference)[:MOST_APPLIANCES]]
    if origin:
        sources.append(Source("origin", origin.rstrip("/"), "the origin has everything"))
    return sorted(sources, key=lambda source: source.name in failed)


def _source(seen: Seen, site: str) -> Source:
    place = "a peer of this site" if seen.report.site == site else f"an appliance of site {seen.report.site}"
    return Source(seen.report.name, seen.report.url, f"{place} that holds it ({seen.health})")
