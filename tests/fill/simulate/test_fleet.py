from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from fill.simulate.fleet import read_fleet
from tests.fill.simulate.fleets import FLEET, write_fleet


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read_fleet(write_fleet(folder, text))
    return str(raised.value)


def test_a_fleet_is_read_with_its_windows_and_time_zones(tmp_path: Path) -> None:
    north, east = read_fleet(write_fleet(tmp_path))
    assert (north.count, north.names()) == (3, ["north-1", "north-2", "north-3"])
    assert (north.disk, north.capacity, north.offset_h) == (400 * 10**9, 6 * 10**9, 1)
    assert (east.window_h, east.night_bytes) == (4.0, 4 * 3600 * 10**8 / 8)
    assert north.night_bytes == float("inf")


def test_every_problem_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    text = FLEET.replace('"200 GB"', '"much"').replace("02:00-06:00", "night").replace("count = 3", "count = 0")
    told = problems(tmp_path, text)
    assert "fleet.toml sites[0] appliances[0]: disk: found 'much', expected a size such as" in told
    text = FLEET.replace("02:00-06:00", "night").replace("count = 3", "count = 0")
    told = problems(tmp_path, text)
    assert "sites[0]: count: found 0, expected 1 to" in told
    assert "sites[1]: window: found 'night'" in told


def test_a_fleet_without_sites_or_a_site_without_appliances_is_none(tmp_path: Path) -> None:
    assert "sites: found nothing" in problems(tmp_path, "")
    assert "appliances: found nothing" in problems(tmp_path, '[[sites]]\nname = "a"\nviewers = "1 Gbit/s"\n')


def test_names_are_there_once_also_with_their_numbers(tmp_path: Path) -> None:
    assert "name: found north-2" in problems(tmp_path, FLEET.replace('"east"', '"north-2"'))


def test_viewers_are_told_for_all_sites_or_none(tmp_path: Path) -> None:
    told = problems(tmp_path, FLEET.replace('viewers = "1 Gbit/s"\n', ""))
    assert "viewers: found nothing for east" in told


def test_what_is_no_toml_is_said_so(tmp_path: Path) -> None:
    assert "syntax: found" in problems(tmp_path, "[[sites")
    with pytest.raises(ConfigError, match="a readable TOML file"):
        read_fleet(tmp_path / "none.toml")
