"""When a site is planned, and of what: each night before its window opens, on publish, and within the day.

    night     so long before the window opens, and anew while it is open if there is news: whole plans, which the window
              limits
    by day    what is news may be fetched at once, at the site's small rate for that, and nothing else; what is held and
              may not be any more is dropped

News are files that are watched more than the night's forecast expected, and those of titles published since, if no plan
of the site has them yet.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fill.names import FileName

Key = tuple[str, str, str]  # title, package, file


class Standing(NamedTuple):
    """How a site stands: the window that is open or opens soon (None by day), and what its plans are."""

    opens_at: float | None  # seconds since the epoch
    planned_at: float  # for a night; 0: never, or somebody there has no plan
    planned: frozenset[Key]  # files in its plans, held or to be fetched
    is_stale: bool = False  # holds what it may not any more


class Due(NamedTuple):
    """Sites by what is to be planned: from a new forecast, from today's, or by day and only these files."""

    nightly: frozenset[str]
    anew: frozenset[str]
    by_day: Mapping[str, frozenset[FileName]]

    def __bool__(self) -> bool:
        return bool(self.nightly or self.anew or self.by_day)


def due(sites: Mapping[str, Standing], news: Mapping[str, frozenset[Key]], ahead: float) -> Due:
    """`news` are by site; a night is planned `ahead` seconds before its window opens."""
    nightly, anew = set(), set()
    by_day: dict[str, frozenset[FileName]] = {}
    for name, site in sites.items():
        fresh = news.get(name, frozenset()) - site.planned
        if not site.planned_at or (site.opens_at is not None and site.planned_at < site.opens_at - ahead):
            nightly.add(name)
        elif not fresh and not site.is_stale:
            continue
        elif site.opens_at is not None:
            anew.add(name)
        else:
            by_day[name] = frozenset(FileName(title, file) for title, _, file in fresh)
    return Due(frozenset(nightly), frozenset(anew), by_day)
