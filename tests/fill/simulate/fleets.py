"""Small fleets and sources for tests."""

from __future__ import annotations

from pathlib import Path

from fill.simulate.fleet import Box, Fleet, Site
from fill.simulate.models import Shape, synthetic
from fill.simulate.source import Model

GBIT = 1e9
SMALL = Shape(titles=120, drift=0.1, new=0.02)

FLEET = """
[[sites]]
name = "north"
count = 3
region = "de"
isp = "a"
viewers = "2 Gbit/s"
time_zone = "Europe/Berlin"
[[sites.appliances]]
count = 2
disk = "200 GB"
capacity = "3 Gbit/s"

[[sites]]
name = "east"
region = "de"
isp = "b"
viewers = "1 Gbit/s"
window = "02:00-06:00"
rate = "100 Mbit/s"
[[sites.appliances]]
disk = "100 GB"
capacity = "2 Gbit/s"
"""


def source(days: int = 6, seed: int = 1) -> Model:
    """Some 1.1 TB of files."""
    return synthetic(SMALL, days, ["de"], seed)


def site(name: str = "one", *, disk: float = 0.3e12, viewers: float = GBIT, capacity: float = 2 * GBIT) -> Site:
    return Site(name=name, boxes=(Box(int(disk), int(capacity)),), viewers=viewers, region="de")


def one(disk: float = 0.3e12) -> Fleet:
    return (site(disk=disk),)


def write_fleet(folder: Path, text: str = FLEET) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text)
    return path
