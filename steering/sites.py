"""The sites an operator declared, and which of them a client belongs to.

Pure, but for the geographic database, which is asked through `find`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from config.steering import SiteSettings
from steering.distances import Distances
from steering.errors import SitesError
from steering.geography import Point
from steering.prefixes import Address, Prefixes, parse_address


class By(StrEnum):
    """What placed a client, best first."""

    PREFIX = "prefix"
    SESSION = "session"
    GEOGRAPHY = "geography"
    DEFAULT = "default"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Placement:
    """The site a client belongs to ("" if none), and why, in words."""

    site: str
    by: By
    reason: str
    prefix: str = ""
    point: Point | None = None  # where the client is taken to be


class Finder(Protocol):
    """What knows where an address is; `steering.geography.Geography`."""

    def find(self, address: Address) -> Point | None: ...


class Sites:
    """The sites, their prefixes and places. Raises SitesError if they contradict each other."""

    def __init__(self, declared: Iterable[SiteSettings] = (), default: str = "") -> None:
        self.declared = tuple(declared)
        self.default = default
        names = [site.name for site in self.declared]
        for name in names:
            if names.count(name) > 1:
                raise SitesError(f"sites: found {names.count(name)} sites of the name {name!r}, expected one")
        if default and default not in names:
            raise SitesError(f"default_site: found {default!r}, expected one of {', '.join(names) or '(no sites)'}")
        self.prefixes = Prefixes((site.name, site.prefixes) for site in self.declared)
        self._isps = {site.name: site.isp for site in self.declared}
        self._points = {site.name: point for site in self.declared if (point := _point(site)) is not None}
        self.distances = Distances(self._points)

    def __contains__(self, site: str) -> bool:
        return site in self._isps

    def isp(self, site: str) -> str:
        """Whose network the site stands in; "" where nobody said."""
        return self._isps.get(site, "")

    def point(self, site: str) -> Point | None:
        return self._points.get(site)

    def place(self, client: str, geography: Finder, session_site: str = "") -> Placement:
        """The site of a client's address; `session_site` is where its session was placed when it began."""
        address = parse_address(client)
        match = self.prefixes.find(address) if address is not None else None
        if match is not None:
            reason = f"{client} is in {match.prefix}, announced by {match.site}"
            return Placement(match.site, By.PREFIX, reason, match.prefix, self.point(match.site))
        if session_site in self:
            reason = f"no prefix covers {client}, but its session began at {session_site}"
            return Placement(session_site, By.SESSION, reason, point=self.point(session_site))
        point = geography.find(address) if address is not None else None
        nearest = self._nearest(point) if point is not None else None
        if point is not None and nearest is not None:
            site, distance = nearest
            reason = f"no prefix covers {client}; the nearest site to where it is, {site}, is {distance:.0f} km away"
            return Placement(site, By.GEOGRAPHY, reason, point=point)
        if self.default:
            reason = f"neither prefix nor geography places {client}; {self.default} is the default"
            return Placement(self.default, By.DEFAULT, reason, point=self.point(self.default))
        reason = f"neither prefix nor geography places {client}, and there is no default site"
        return Placement("", By.NOTHING, reason, point=point)

    def _nearest(self, point: Point) -> tuple[str, float] | None:
        for distance, site in self.distances.from_nearest(point):
            return site, distance
        return None


def _point(site: SiteSettings) -> Point | None:
    """Where the site is. 0 N 0 E, the default, is open sea: it means that nobody said."""
    if not (-90 <= site.latitude <= 90 and -180 <= site.longitude <= 180):
        raise SitesError(
            f"site {site.name!r}: found latitude {site.latitude}, longitude {site.longitude}, "
            "expected -90 to 90 and -180 to 180"
        )
    return Point(site.latitude, site.longitude) if (site.latitude, site.longitude) != (0, 0) else None
