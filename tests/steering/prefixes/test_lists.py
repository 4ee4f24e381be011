"""Lists of prefixes as operators and ISPs write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.steering import SiteSettings
from steering.errors import SitesError
from steering.placement.geography import Geography
from steering.placement.sites import By, Sites
from steering.prefixes.listed import Prefixes
from steering.prefixes.lists import parse_geofeed, parse_list, read_lists
from tests.steering.values import NORTH

GEOFEED = """\
# A geofeed of an ISP
192.0.2.0/25,DE,DE-BY,Munich,
192.0.2.128/25,de,DE-BY,"Nürnberg",90402
198.51.100.0/24, "DE", DE-BE ,"Berlin" # the capital

203.0.113.0/24,AT,,Salzburg,,more
2001:db8::/32,,,,
2001:db8:1::/48
"""
MUNICH, NUREMBERG, BERLIN, SALZBURG = "192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/24", "203.0.113.0/24"


def test_a_list_has_a_prefix_a_line_and_comments() -> None:
    listing = parse_list("north", "north.txt", "# ours\n\n10.0.0.0/8\r\n 2001:db8::/32 # theirs\n#192.0.2.0/24\n")
    assert list(listing.prefixes) == ["10.0.0.0/8", "2001:db8::/32"]
    assert [listing.where(position) for position in (0, 1)] == ["north.txt, line 3", "north.txt, line 4"]


@pytest.mark.parametrize(
    ("places", "prefixes"),
    [
        ((), [MUNICH, NUREMBERG, BERLIN, SALZBURG, "2001:db8::/32", "2001:db8:1::/48"]),
        (("DE",), [MUNICH, NUREMBERG, BERLIN]),
        (("de-by",), [MUNICH, NUREMBERG]),
        (("DE-BY/Munich", "DE-BE"), [MUNICH, BERLIN]),
        (("DE-BY/nürnberg",), [NUREMBERG]),
        (("AT/Salzburg",), [SALZBURG]),
        (("AT/Munich", "FR"), []),
    ],
)
def test_of_a_geofeed_the_prefixes_of_the_places_are_listed(places: tuple[str, ...], prefixes: list[str]) -> None:
    assert list(parse_geofeed("north", "feed.csv", GEOFEED, places).prefixes) == prefixes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("192.0.2.0/24,Germany", "feed.csv, line 2: found country 'Germany', expected two letters such as DE"),
        ('192.0.2.0/24,"DE', "feed.csv, line 2: found '192.0.2.0/24,\"DE' .*, expected prefix,country,region,city"),
    ],
)
def test_a_line_that_is_none_of_a_geofeed_is_refused_with_its_place(line: str, said: str) -> None:
    with pytest.raises(SitesError, match=said):
        parse_geofeed("north", "feed.csv", f"# A geofeed\n{line}\n")


@given(st.text(max_size=200))
def test_whatever_a_file_says_it_is_taken_or_refused(text: str) -> None:
    for parse in (parse_list, parse_geofeed):
        try:
            Prefixes([parse("north", "file", text)])
        except SitesError as error:
            assert str(error).startswith("file, line ")


def test_sites_are_known_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("198.51.100.0/24\n")
    (tmp_path / "feed").write_bytes(b"\xef\xbb\xbf" + GEOFEED.encode())  # as a Windows editor writes it
    west = SiteSettings(
        name="west", prefix_files=(tmp_path / "list",), geofeed=tmp_path / "feed", geofeed_places=("DE-BY",)
    )
    sites = Sites([NORTH, west], listings=read_lists([NORTH, west]))
    for address in ("198.51.100.1", "192.0.2.1", "192.0.2.200"):
        placement = sites.place(address, Geography(None))
        assert (placement.site, placement.by) == ("west", By.PREFIX)
    assert sites.place("203.0.113.1", Geography(None)).by is By.NOTHING


def test_a_prefix_of_two_sites_files_is_refused_with_both_places(tmp_path: Path) -> None:
    west = SiteSettings(name="west", prefix_files=(tmp_path / "list",))
    (tmp_path / "list").write_text("# ours\n127.0.0.0/9\n")
    with pytest.raises(SitesError, match=r"list, line 2: 127\.0\.0\.0/9 is listed for site 'north' already"):
        Sites([NORTH, west], listings=read_lists([NORTH, west]))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SitesError, match="none cannot be read: No such file or directory, expected a list of prefixes"):
        read_lists([SiteSettings(name="west", prefix_files=(tmp_path / "none",))])
    (tmp_path / "binary").write_bytes(b"10.0.0.0/8\n\xff\n")
    with pytest.raises(SitesError, match="binary: found byte 11 to be no UTF-8, expected a text of prefixes"):
        read_lists([SiteSettings(name="west", geofeed=tmp_path / "binary")])
