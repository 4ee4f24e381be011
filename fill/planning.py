"""Gathers what the planner decides on (logs, pins, fleet, catalog), and puts the plans where agents find them."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError, Problem
from config.fill import FillSettings
from fill import plan as planner
from fill.agent import plan_key
from fill.appliances import Seen
from fill.demand import Expected, Offer, Pins, decode_pins, expect
from fill.errors import FillError
from fill.fleet import FleetClient
from fill.plan import Plan, encode_plan
from fill.popularity import FileName, Popularity, count, read_records
from origin.storage import Storage


@dataclass(frozen=True)
class Inputs:
    offers: Sequence[Offer]
    appliances: Sequence[Seen]
    popularity: Popularity
    logs: int  # files that were read
    pins: Pins
    now: float  # seconds since the epoch

    def expected(self) -> dict[FileName, Expected]:
        return expect(self.offers, self.popularity, self.now)

    def plans(self, expected: Mapping[FileName, Expected], copies: int) -> dict[str, Plan]:
        return planner.plan(self.offers, expected, self.appliances, copies=copies, now=self.now, pins=self.pins)


async def gather(settings: FillSettings, now: float) -> Inputs:
    """Raises ConfigError, FillError."""
    pins = read_pins(settings.pins) if settings.pins else Pins()
    logs = find_logs(settings.access_logs)
    popularity = await asyncio.to_thread(lambda: count(read_records(_lines(logs)), now))
    async with FleetClient(settings.steering, settings.origin) as client:
        appliances, offers = await asyncio.gather(client.fleet(), client.offers())
    return Inputs(offers, appliances, popularity, len(logs), pins, now)


async def write(plans: Mapping[str, Plan], storage: Storage) -> None:
    """Raises StorageError."""
    for name, plan in plans.items():
        await storage.put_bytes(plan_key(name), encode_plan(plan))


def read_pins(path: Path) -> Pins:
    """Raises ConfigError."""
    try:
        return decode_pins(str(path), path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "file", str(error), "a readable TOML file")]) from error


def find_logs(patterns: Iterable[str]) -> list[Path]:
    """The files that the patterns (`*` and `**` allowed) name."""
    # Path.glob takes no absolute patterns.
    return sorted({Path(found) for pattern in patterns for found in glob.glob(pattern, recursive=True)})  # noqa: PTH207


def _lines(logs: Iterable[Path]) -> Iterator[bytes]:
    """Each file once: appliances move their logs away (access.log -> access.log.1) while we read."""
    seen: set[tuple[int, int]] = set()
    for log in logs:
        try:
            with log.open("rb") as lines:
                status = os.fstat(lines.fileno())
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    yield from lines
        except FileNotFoundError:  # moved since it was listed: under its other name it is read, or was
            continue
        except OSError as error:
            raise FillError(f"access log {log} cannot be read: {error.strerror}") from error
