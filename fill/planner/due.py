"""When a site is planned, and of what: each night before its window opens, on publish, and within the day.

    night     so long before the window opens, and anew while it is open if there is news: whole plans, which the window
              limits
    by day    what is news may be fetched at once, at the site's small rate for that, and nothing else; what is held and
              may not be any more is dropped

News are files that are watched more than the night's forecast expected, and those of titles published since, while
nobody at the site holds them. A plan by day is always of all the news there is: it takes the place of the one before,
whose transfers are under way.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from fill.names import FileName

Key = tuple[str, str, str]  # title, package, file


class Site(StrEnum):
    """Who of a site is there to be planned for."""

    COMPLETE = "complete"
    LACKING = "lacking"  # somebody who has a plan is not in the fleet, or what he holds is not known yet
    NEW = "new"  # nobody has a plan


class Standing(NamedTuple):
    """How a site stands: the window that is open or opens soon (None by day), and what its plans are."""

    now: float  # seconds since the epoch, as the next two
    opens_at: float | None
    night: float  # that was planned last, the earliest of its appliances'
    planned: frozenset[Key]  # files in its plans, held or to be fetched
    members: Site = Site.COMPLETE
    has_joined: bool = False  # somebody has no plan yet
    is_stale: bool = False  # holds or fetches what it may not, or not from then on


class Due(NamedTuple):
    """Sites by what is to be planned: from a new forecast, from today's, or by day and only these files."""

    nightly: frozenset[str]
    anew: frozenset[str]
    by_day: Mapping[str, frozenset[FileName]]

    def __bool__(self) -> bool:
        return bool(self.nightly or self.anew or self.by_day)


def due(
    sites: Mapping[str, Standing], news: Mapping[str, frozenset[Key]], considered: Mapping[str, frozenset[Key]]
) -> Due:
    """`news` are by site; `considered` those that a plan of today was made of already, whatever came of it."""
    nightly, anew = set(), set()
    by_day: dict[str, frozenset[FileName]] = {}
    for name, site in sites.items():
        if site.members is Site.NEW or _has_no_plan_of_its_night(site):
            nightly.add(name)
            continue
        fresh = news.get(name, frozenset()) - site.planned - considered.get(name, frozenset())
        if site.members is Site.LACKING or not (fresh or site.is_stale or site.has_joined):
            continue
        if site.opens_at is not None:
            anew.add(name)
        else:
            by_day[name] = frozenset(FileName(title, file) for title, _, file in news.get(name, ()))
    return Due(frozenset(nightly), frozenset(anew), by_day)


def _has_no_plan_of_its_night(site: Standing) -> bool:
    """Who is lacking is waited for until the window opens."""
    if site.opens_at is None or site.night >= site.opens_at:
        return False
    return site.members is Site.COMPLETE or site.opens_at <= site.now
