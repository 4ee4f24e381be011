"""The fleet that a simulation is about: sites, their viewers, windows and appliances, read from one TOML file.

[[sites]]
name = "north"                  # with `count` = 3 they are north-1, north-2 and north-3
count = 3
region = "de"                   # whose popularity; sites of one region learn from each other
isp = "example"                 # where a site fails, others of its ISP come first
viewers = "40 Gbit/s"           # what its viewers take in the busiest hour; left out: as the trace says
window = "02:00-14:00"
time_zone = "Europe/Berlin"
rate = "1.2 Gbit/s"             # of each appliance's fill; left out: no limit
reserve = 0.05                  # of the disks, for what is asked for during the day

[[sites.appliances]]
count = 4
disk = "120 TB"
capacity = "100 Gbit/s"
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from config.errors import ConfigError, Problem
from config.field import BYTES, INTEGER, NAME, NUMBER, RATE, TEXT, setting, tables
from config.loader import build, read_file
from fill.transfer.window import Window, parse_window

# More of one kind are as one: the figures only grow by their number.
MOST_SITES = 100_000
MOST_APPLIANCES = 1000
# Time zones are read on this day: an hour more or less in summer moves no result.
_ON = datetime(2026, 1, 15)  # noqa: DTZ001 -- local, in whichever zone is asked about


@dataclass(frozen=True)
class ApplianceSettings:
    count: int = setting("1", kind=INTEGER, help="How many of this kind.")
    disk: int = setting("100 TB", kind=BYTES, help="Of each.")
    capacity: int = setting("100 Gbit/s", kind=RATE, help="What each can serve.")


@dataclass(frozen=True)
class SiteSettings:
    name: str = setting(kind=NAME, help="Name, or with `count` the names' beginning.")
    count: int = setting("1", kind=INTEGER, help="How many sites are like this one.")
    region: str = setting("default", kind=TEXT, help="Whose popularity.")
    isp: str = setting("", kind=TEXT, help="Whose network it stands in.")
    viewers: int = setting("0 bit/s", kind=RATE, help="What viewers take in the busiest hour; 0: as the trace says.")
    window: str = setting("02:00-14:00", kind=TEXT, help="Fill window in local time of `time_zone`.")
    time_zone: str = setting("UTC", kind=TEXT, help="The site's time zone.")
    rate: int = setting("0 bit/s", kind=RATE, help="Of each appliance's fill; 0: no limit.")
    reserve: float = setting("0.05", kind=NUMBER, help="Share of disk for what is asked for during the day.")
    appliances: tuple[ApplianceSettings, ...] = setting(
        (), kind=tables(ApplianceSettings), help="Its appliances.", of=ApplianceSettings
    )


@dataclass(frozen=True)
class FleetSettings:
    sites: tuple[SiteSettings, ...] = setting((), kind=tables(SiteSettings), help="The sites.", of=SiteSettings)


@dataclass(frozen=True)
class Box:
    """One appliance."""

    disk: int  # bytes
    capacity: int  # bit/s


@dataclass(frozen=True)
class Site:
    """`count` sites that are alike, simulated as one; `viewers` includes `guests`, who belong to a site that failed."""

    name: str
    boxes: tuple[Box, ...]
    count: int = 1
    region: str = "default"
    isp: str = ""
    viewers: float = 0.0  # bit/s in the busiest hour; 0: as recorded
    guests: float = 0.0
    window_h: float = 12.0
    offset_h: int = 0  # local time ahead of UTC
    rate: int = 0  # bit/s of each appliance's fill; 0: no limit
    reserve: float = 0.05
    is_lost: bool = False
    pattern: str = ""  # the name of those alike that it was one of
    without: tuple[int, ...] = ()  # numbers of those that were among them

    @property
    def drawn_as(self) -> str:
        """Sites of one pattern have the same viewers' requests, so that a what-if differs by what is asked alone."""
        return self.pattern or self.name

    @property
    def disk(self) -> int:
        return sum(box.disk for box in self.boxes)

    @property
    def capacity(self) -> int:
        return sum(box.capacity for box in self.boxes)

    @property
    def night_bytes(self) -> float:
        """What one window can bring."""
        if not self.rate:
            return float("inf")
        return self.window_h * 3600 * self.rate * len(self.boxes) / 8

    def names(self) -> list[str]:
        if self.count == 1 and not self.without:
            return [self.name]
        numbers = range(1, self.count + len(self.without) + 1)
        return [f"{self.name}-{number}" for number in numbers if number not in self.without]


Fleet = tuple[Site, ...]


def read_fleet(path: Path) -> Fleet:
    """Raises ConfigError with every problem."""
    return make_fleet(build(FleetSettings, read_file(path), str(path)), str(path))


def make_fleet(settings: FleetSettings, where: str) -> Fleet:
    """Raises ConfigError with every problem."""
    problems: list[Problem] = []
    if not settings.sites:
        problems.append(Problem(where, "sites", "nothing", "at least one table [[sites]]"))
    sites = [_site(site, f"{where} sites[{position}]", problems) for position, site in enumerate(settings.sites)]
    counted = Counter(name for site in sites for name in {site.name, *site.names()})
    twice = sorted(name for name, count in counted.items() if count > 1)
    if twice:
        problems.append(Problem(where, "name", ", ".join(twice), "each name once, also with its number"))
    if len({bool(site.viewers) for site in sites}) > 1:
        without = ", ".join(site.name for site in sites if not site.viewers)
        problems.append(Problem(where, "viewers", f"nothing for {without}", "a rate for all sites, or for none"))
    if problems:
        raise ConfigError(problems)
    return tuple(sites)


def _site(settings: SiteSettings, where: str, problems: list[Problem]) -> Site:
    def check(is_good: bool, key: str, found: Any, expected: str) -> None:
        if not is_good:
            problems.append(Problem(where, key, str(found), expected))

    check(1 <= settings.count <= MOST_SITES, "count", settings.count, f"1 to {MOST_SITES} sites")
    check(0 <= settings.reserve < 1, "reserve", settings.reserve, "0 to less than 1")
    boxes: list[Box] = []
    for position, kind in enumerate(settings.appliances):
        place = f"appliances[{position}]."
        check(1 <= kind.count <= MOST_APPLIANCES, f"{place}count", kind.count, f"1 to {MOST_APPLIANCES}")
        check(kind.disk > 0, f"{place}disk", f"{kind.disk} B", "more than nothing")
        check(kind.capacity > 0, f"{place}capacity", f"{kind.capacity} bit/s", "more than nothing")
        boxes += [Box(kind.disk, kind.capacity)] * min(kind.count, MOST_APPLIANCES)
    check(bool(settings.appliances), "appliances", "nothing", "at least one table [[sites.appliances]]")
    hours, offset = 12.0, 0
    try:
        window = parse_window(settings.window, settings.time_zone)
    except ConfigError as error:
        problems += [replace(problem, where=where) for problem in error.problems]
    else:
        hours, offset = window_hours(window), _offset(window)
    return Site(
        name=settings.name,
        boxes=tuple(boxes),
        count=max(1, min(settings.count, MOST_SITES)),
        region=settings.region,
        isp=settings.isp,
        viewers=float(settings.viewers),
        window_h=hours,
        offset_h=offset,
        rate=settings.rate,
        reserve=settings.reserve,
    )


def window_hours(window: Window) -> float:
    """On a day on which no clock is changed."""
    return (window.end - window.start) / 60


def _offset(window: Window) -> int:
    ahead = window.zone.utcoffset(_ON)
    return round(ahead.total_seconds() / 3600) if ahead is not None else 0
