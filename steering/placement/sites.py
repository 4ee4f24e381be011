"""The sites an operator declared, and which of them a client belongs to.

Pure, but for the routes and the geographic database, which are asked through `find`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from config.steering import SiteSettings
from steering.errors import SitesError
from steering.placement.distances import Distances
from steering.placement.geography import Point
from steering.prefixes.addresses import Address, covering, parse_address, show_prefix
from steering.prefixes.listed import Listing, Prefixes
from steering.prefixes.table import Match, Names

# How many answers of the routes are remembered with the sites that are known; a fleet has some thousands of them.
_MOST_REMEMBERED = 2**16


class By(StrEnum):
    """What placed a client, best first."""

    ROUTE = "route"
    PREFIX = "prefix"
    SESSION = "session"
    GEOGRAPHY = "geography"
    DEFAULT = "default"
    NOTHING = "nothing"


# A Struct, because every request makes one: 0.2 us, where a frozen dataclass takes 1.5.
class Placement(msgspec.Struct, frozen=True):
    """The site a client belongs to ("" if none). Why, in words, is made only for whoever asks."""

    site: str
    by: By
    client: str = ""
    length: int = 0  # of the prefix, where one placed it
    point: Point | None = None  # where the client is taken to be
    alternates: tuple[str, ...] = ()  # further sites that announced the same prefix, best path first
    distance_km: float = 0.0  # to the site, where geography placed it

    @property
    def prefix(self) -> str:
        """ "127.0.0.0/9"; "" if none placed it."""
        address = parse_address(self.client) if self.by in (By.ROUTE, By.PREFIX) else None
        return show_prefix(covering(address, self.length)) if address is not None else ""

    @property
    def reason(self) -> str:
        client, site = self.client, self.site
        match self.by:
            case By.ROUTE:
                others = f"; so did {', '.join(self.alternates)}" if self.alternates else ""
                return f"{client} is in {self.prefix}, which {site} announced by BGP{others}"
            case By.PREFIX:
                return f"{client} is in {self.prefix}, which is listed for {site}"
            case By.SESSION:
                return f"no prefix covers {client}, but its session began at {site}"
            case By.GEOGRAPHY:
                away = f"{self.distance_km:.0f} km away"
                return f"no prefix covers {client}; the nearest site to where it is, {site}, is {away}"
            case By.DEFAULT:
                return f"neither prefix nor geography places {client}; {site} is the default"
            case By.NOTHING:
                return f"neither prefix nor geography places {client}, and there is no default site"


class Routes(Protocol):
    """What knows who announced an address over BGP; `steering.prefixes.table_file.TableReader`."""

    def find(self, address: Address, /) -> Match | None: ...


class Finder(Protocol):
    """What knows where an address is; `steering.placement.geography.Geography`."""

    def find(self, address: Address) -> Point | None: ...


class _Chosen(NamedTuple):
    """Of the sites that announced a prefix those that are known, and those that are not."""

    site: str
    alternates: tuple[str, ...]
    unknown: tuple[str, ...]


class Sites:
    """The sites, their prefixes and places. Raises SitesError if they contradict each other."""

    def __init__(
        self,
        declared: Iterable[SiteSettings] = (),
        default: str = "",
        listings: Iterable[Listing] = (),
        routes: Routes | None = None,
    ) -> None:
        """`listings` are the prefixes of the sites' files, beside those of their settings."""
        self.declared = tuple(declared)
        self.default = default
        counts = Counter(site.name for site in self.declared)
        for name, count in counts.items():
            if count > 1:
                raise SitesError(f"sites: found {count} sites of the name {name!r}, expected one")
        if default and default not in counts:
            raise SitesError(f"default_site: found {default!r}, expected one of {', '.join(counts) or '(no sites)'}")
        written = [Listing(site.name, site.prefixes) for site in self.declared]
        self.prefixes = Prefixes([*written, *listings])
        self.unknown: Counter[str] = Counter()  # look-ups whose route named a site that is not declared, by its name
        self._routes = routes
        self._chosen: dict[Names, _Chosen] = {}
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
        if address is not None:
            placement = self._by_prefix(client, address)
            if placement is not None:
                return placement
        if session_site in self._isps:
            return Placement(session_site, By.SESSION, client, point=self._points.get(session_site))
        point = geography.find(address) if address is not None else None
        nearest = self._nearest(point) if point is not None else None
        if nearest is not None:
            site, distance = nearest
            return Placement(site, By.GEOGRAPHY, client, point=point, distance_km=distance)
        if self.default:
            return Placement(self.default, By.DEFAULT, client, point=self._points.get(self.default))
        return Placement("", By.NOTHING, client, point=point)

    def _by_prefix(self, client: str, address: Address) -> Placement | None:
        if self._routes is not None and (match := self._routes.find(address)) is not None:
            site, alternates, unknown = self._chosen.get(match.sites) or self._choose(match.sites)
            if unknown:
                self.unknown.update(unknown)
            if site:
                return Placement(site, By.ROUTE, client, match.length, self._points.get(site), alternates)
        if (match := self.prefixes.find(address)) is not None:
            site = match.sites[0]
            return Placement(site, By.PREFIX, client, match.length, self._points.get(site))
        return None

    def _choose(self, announced: Names) -> _Chosen:
        known = [name for name in announced if name in self]
        chosen = _Chosen(
            known[0] if known else "", tuple(known[1:]), tuple(name for name in announced if name not in self)
        )
        if len(self._chosen) >= _MOST_REMEMBERED:
            self._chosen.clear()
        self._chosen[announced] = chosen
        return chosen

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
