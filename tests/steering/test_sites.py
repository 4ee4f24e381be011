"""Which site a client belongs to, and by what."""

from __future__ import annotations

import pytest

from config.steering import SiteSettings
from steering.errors import SitesError
from steering.geography import Point
from steering.prefixes import Address
from steering.sites import By, Sites
from tests.steering.values import NORTH, SOUTH


class Somewhere:
    """Knows where everybody is: at one place."""

    def __init__(self, point: Point | None = None) -> None:
        self._point = point

    def find(self, address: Address) -> Point | None:
        return self._point


NOWHERE = Somewhere()
SITES = Sites([NORTH, SOUTH])


def test_a_prefix_decides_before_everything_else() -> None:
    placement = SITES.place("127.128.0.1", Somewhere(Point(59.9, 10.7)), session_site="north")
    assert (placement.site, placement.by, placement.prefix) == ("south", By.PREFIX, "127.128.0.0/9")
    assert placement.reason == "127.128.0.1 is in 127.128.0.0/9, announced by south"


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
