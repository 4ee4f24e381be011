from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.fill import FillSettings, FillSite
from config.loader import load
from fill.errors import FeedError
from fill.feed.places import find_sites, places_of
from fill.feed.store import Store
from tests.fill.catalogs import make_seen
from tests.fill.network import Network


def settings(steering: str) -> FillSettings:
    sites = (FillSite(name="north", region="no"), FillSite(name="south"))
    return FillSettings(steering=steering, origin=steering, region="rest", sites=sites)


def test_sites_without_a_region_are_in_the_planners_own() -> None:
    places = places_of(settings("http://127.0.0.1:1"), {"a": "north", "b": "south", "c": "elsewhere"})
    assert [places.of(name) for name in "abcd"] == [
        ("north", "no"),
        ("south", "rest"),
        ("elsewhere", "rest"),
        ("", "rest"),
    ]


async def test_appliances_stand_where_steering_said_last(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/events")
    async with Network([], [make_seen("a", site="north"), make_seen("b", site="north")]) as network:
        assert await find_sites(settings(network.url), store) == ({"a": "north", "b": "north"}, "")
    async with Network([], [make_seen("b", site="south")]) as network:
        assert await find_sites(settings(network.url), store) == ({"a": "north", "b": "south"}, "")
    sites, trouble = await find_sites(settings("http://127.0.0.1:1"), store)
    assert sites == {"a": "north", "b": "south"}
    assert "cannot be asked" in trouble


@pytest.mark.parametrize("region", ["../../escape", "a/b", "."])
def test_a_region_is_a_name_and_no_path(tmp_path: Path, region: str) -> None:
    file = tmp_path / "nearcast.toml"
    file.write_text(f'[fill]\n[[fill.sites]]\nname = "north"\nregion = "{region}"\n')
    with pytest.raises(ConfigError, match=f"region: found '{re.escape(region)}', expected a name of letters"):
        load(FillSettings, "fill", file=file, environ={})


def test_a_site_may_say_that_it_has_no_region_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "nearcast.toml"
    file.write_text('[fill]\n[[fill.sites]]\nname = "north"\nregion = ""\n[[fill.sites]]\nname = "south"\n')
    assert [site.region for site in load(FillSettings, "fill", file=file, environ={}).sites] == ["", ""]


async def test_damage_is_one_sentence(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/events")
    store.folder.mkdir()
    store.places.write_text("{")
    with pytest.raises(FeedError, match=r"places\.json is damaged: .*; delete it, and steering is asked again"):
        await find_sites(settings("http://127.0.0.1:1"), store)
