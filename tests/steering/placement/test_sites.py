"""Which site a client belongs to, and by what."""

from __future__ import annotations

import pytest

from config.steering import SiteSettings
from steering.errors import SitesError
from steering.placement.geography import Point
from steering.placement.sites import By, Sites
from steering.prefixes.addresses import Address
from steering.prefixes.entries import Entries
from steering.prefixes.listed import Listing
from steering.prefixes.table import Match
from tests.steering.values import NORTH, SOUTH


class Somewhere:
    """Knows where everybody is: at one place."""

    def __init__(self, point: Point | None = None) -> None:
        self._point = point

    def find(self, address: Address) -> Point | None:
        return self._point


class Announced:
    """The routes of 127.0.0.0/9 and 127.0.0.0/8: the sites that announced them, best path first."""

    def __init__(self, *, longer: str, shorter: str) -> None:
        entries = Entries()
        entries.change({(4, 127 << 24, 9): tuple(longer.split()), (4, 127 << 24, 8): tuple(shorter.split())})
        self._table = entries.table()

    def find(self, address: Address, /) -> Match | None:
        return self._table.find(address)


NOWHERE = Somewhere()
SITES = Sites([NORTH, SOUTH])


def test_a_route_decides_before_a_list_and_those_that_announced_it_too_are_alternates() -> None:
    sites = Sites([NORTH, SOUTH], routes=Announced(longer="south north", shorter="south"))
    placement = sites.place("127.0.0.1", NOWHERE)
    assert (placement.site, placement.by, placement.prefix) == ("south", By.ROUTE, "127.0.0.0/9")
    assert placement.alternates == ("north",)
    assert placement.point == sites.point("south")
    assert placement.reason == "127.0.0.1 is in 127.0.0.0/9, which south announced by BGP; so did north"
    placement = sites.place("127.200.0.1", NOWHERE)
    assert (placement.site, placement.prefix, placement.alternates) == ("south", "127.0.0.0/8", ())
    assert placement.reason == "127.200.0.1 is in 127.0.0.0/8, which south announced by BGP"


def test_a_list_decides_where_no_route_does() -> None:
    sites = Sites([NORTH, SOUTH], "", [Listing("south", ["192.0.2.0/24"])], Announced(longer="north", shorter="north"))
    assert sites.place("192.0.2.1", NOWHERE).by is By.PREFIX


def test_a_site_that_is_not_declared_is_skipped_and_counted() -> None:
    sites = Sites([NORTH, SOUTH], routes=Announced(longer="west south east north", shorter="west"))
    placement = sites.place("127.0.0.1", NOWHERE)
    assert (placement.site, placement.alternates) == ("south", ("north",))
    assert sites.unknown == {"west": 1, "east": 1}
    assert sites.place("127.200.0.1", NOWHERE).by is By.PREFIX  # as if nobody had announced it
    assert sites.unknown == {"west": 2, "east": 1}


def test_the_prefixes_of_files_are_the_sites_too() -> None:
    sites = Sites([NORTH, SOUTH], "", [Listing("south", ["2001:db8::/32"], "south.txt", [1])])
    assert sites.place("2001:db8::1", NOWHERE).site == "south"


def test_a_prefix_decides_before_everything_else() -> None:
    placement = SITES.place("127.128.0.1", Somewhere(Point(59.9, 10.7)), session_site="north")
    assert (placement.site, placement.by, placement.prefix) == ("south", By.PREFIX, "127.128.0.0/9")
    assert placement.reason == "127.128.0.1 is in 127.128.0.0/9, which is listed for south"


def test_without_a_prefix_a_session_stays_at_its_site() -> None:
    placement = SITES.place("192.0.2.1", Somewhere(Point(59.9, 10.7)), session_site="south")
    assert (placement.site, placement.by) == ("south", By.SESSION)


def test_a_session_of_a_site_that_is_gone_is_placed_anew() -> None:
    assert SITES.place("192.0.2.1", Somewhere(Point(59.9, 10.7)), session_site="west").site == "north"


def test_without_a_prefix_the_nearest_site_is_the_clients() -> None:
    placement = SITES.place("192.0.2.1", Somewhere(Point(47.0, 12.0)))
    assert (placement.site, placement.by) == ("south", By.GEOGRAPHY)
    assert "south, is 126 km away" in placement.reason


def test_the_default_takes_whom_nothing_places() -> None:
    placement = Sites([NORTH, SOUTH], "north").place("192.0.2.1", NOWHERE)
    assert (placement.site, placement.by) == ("north", By.DEFAULT)


def test_without_a_default_a_client_may_belong_nowhere() -> None:
    placement = SITES.place("192.0.2.1", NOWHERE)
    assert (placement.site, placement.by) == ("", By.NOTHING)


def test_what_is_no_address_is_placed_like_an_unknown_one() -> None:
    assert SITES.place("unix:", NOWHERE).by is By.NOTHING


def test_sites_without_a_place_are_nobodys_nearest() -> None:
    unplaced = SiteSettings(name="unplaced")
    assert Sites([unplaced]).place("192.0.2.1", Somewhere(Point(1, 1))).by is By.NOTHING


def test_two_sites_of_one_name_are_refused() -> None:
    with pytest.raises(SitesError, match="found 2 sites of the name 'north', expected one"):
        Sites([NORTH, NORTH])


def test_a_default_that_is_no_site_is_refused() -> None:
    with pytest.raises(SitesError, match="default_site: found 'west', expected one of north, south"):
        Sites([NORTH, SOUTH], "west")


def test_a_place_off_the_globe_is_refused() -> None:
    with pytest.raises(SitesError, match=r"site 'moon': found latitude 91"):
        Sites([SiteSettings(name="moon", latitude=91.0)])
