"""Whom to fetch a file from, in order: peers of the site, then other sites' appliances, then the origin.

A peer costs the ISP nothing, another site's appliance costs it transit, the origin costs everybody. Among equals the
order is drawn from the file's name, so that many files come from many sources; which of them gives a block is then
decided by the appliance, by what each gave of late (oca.miss.upstream).

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from hashlib import blake2b
from typing import NamedTuple

from fill.appliances import Seen
from fill.transfer.escalation import Reach

# More appliances than this are not asked for one file: if so many failed, the next will not be better than the origin.
MOST_APPLIANCES = 4
# A full appliance still answers, but players come first there. One that drains does too, while it lasts.
_WILLINGNESS = {"healthy": 0, "full": 1, "draining": 2}


class Source(NamedTuple):
    """`name` is an appliance, or "origin"."""

    name: str
    url: str
    reason: str
    reach: Reach
    is_equal: bool  # as good as the first of its list


def rank(
    title: str,
    package: str,
    file: str,
    *,
    appliance: str,
    site: str,
    fleet: Iterable[Seen],
    origin: str,
    reach: Reach = Reach.ORIGIN,
    failed: Set[str] = frozenset(),
) -> list[Source]:
    """Sources of a file for `appliance` of `site` within `reach`, best first; who `failed` (by name) comes last."""
    key = f"{title}/{package}/{file}"
    holders = {
        seen.report.name: seen
        for seen in fleet
        if seen.report.name != appliance
        and seen.health in _WILLINGNESS
        and seen.holds(title, package, file)
        and _reach_of(seen, site) <= reach
    }

    def preference(name: str) -> tuple[bool, Reach, int, bytes]:
        seen = holders[name]
        return (name in failed, _reach_of(seen, site), _WILLINGNESS[seen.health], _drawn(key, name))

    names = sorted(holders, key=preference)[:MOST_APPLIANCES]
    best = preference(names[0])[:3] if names else None
    sources = [_source(holders[name], site, is_equal=preference(name)[:3] == best) for name in names]
    if origin and reach >= Reach.ORIGIN:
        is_only = not sources
        sources.append(Source("origin", origin.rstrip("/"), "the origin has everything", Reach.ORIGIN, is_only))
    return sorted(sources, key=lambda source: source.name in failed)


def equals(sources: Sequence[Source]) -> int:
    """How many of the first are as good as each other; 1 at least."""
    count = 0
    for source in sources:
        if not source.is_equal:
            break
        count += 1
    return max(1, count)


def has_peers(appliance: str, site: str, fleet: Iterable[Seen]) -> bool:
    """Whether the site has another appliance that may come to hold what this one lacks."""
    return any(
        seen.report.name != appliance and seen.report.site == site and seen.health in _WILLINGNESS for seen in fleet
    )


def _reach_of(seen: Seen, site: str) -> Reach:
    return Reach.PEERS if seen.report.site == site else Reach.TIER


def _drawn(key: str, name: str) -> bytes:
    return blake2b(f"{key} {name}".encode(), digest_size=8).digest()


def _source(seen: Seen, site: str, *, is_equal: bool) -> Source:
    place = "a peer of this site" if seen.report.site == site else f"an appliance of site {seen.report.site}"
    reason = f"{place} that holds it ({seen.health})"
    return Source(seen.report.name, seen.report.url, reason, _reach_of(seen, site), is_equal)
