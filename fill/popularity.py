"""Counts what was watched: appliances' access logs in, bytes a day of each file out, recent days counting most.

The popularity of a file is what was sent of it over its size (its *plays*), so bytes by hour are all that has to be
kept. They decay with a half-life of a day: on real data nothing smoother predicted the next day better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import log
from typing import NamedTuple

import msgspec

HALF_LIFE_S = 86400.0
# Beyond this a record weighs less than a thousandth.
FORGOTTEN_AFTER_S = 10 * HALF_LIFE_S
# A log of ten minutes says little about a day: the time it covers counts as at least this.
SHORTEST_SPAN_S = 3600.0
# Appliances that ask each other name themselves so; nobody watches what moves between them.
OWN_AGENT = "nearcast"

_HOUR_S = 3600


class Watched(msgspec.Struct, frozen=True):
    """What is read of a line of an access log (oca/access_log.py); other fields are passed over."""

    time: float  # seconds since the epoch
    title: str
    file: str
    status: int
    bytes: int
    package: str = ""
    appliance: str = ""
    method: str = "GET"
    agent: str = ""

    @property
    def counts(self) -> bool:
        """True if a viewer got bytes of a file."""
        is_content = bool(self.title and self.file) and self.bytes > 0
        return (
            is_content and self.method == "GET" and self.status in (200, 206) and not self.agent.startswith(OWN_AGENT)
        )


class FileName(NamedTuple):
    """A file of a title, whatever its package: a new encode inherits what the old one's files were watched."""

    title: str
    file: str


class Popularity(NamedTuple):
    bytes_per_day: Mapping[FileName, float]
    records: int  # that counted
    broken: int  # lines that are no records

    @property
    def total(self) -> float:
        return sum(self.bytes_per_day.values())


_decoder = msgspec.json.Decoder(Watched)


def read_records(lines: Iterable[bytes]) -> Iterator[Watched | None]:
    """Each line's record; None for a line that is broken (cut by a crash, not JSON, of wrong types)."""
    for line in lines:
        if not line.strip():
            continue
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield None


def by_hour(records: Iterable[Watched]) -> dict[tuple[FileName, int], int]:
    """Bytes of each file in each hour (hours since the epoch)."""
    counted: dict[tuple[FileName, int], int] = defaultdict(int)
    for record in records:
        counted[FileName(record.title, record.file), int(record.time // _HOUR_S)] += record.bytes
    return counted


def count(records: Iterable[Watched | None], now: float) -> Popularity:
    """The popularity at `now` (seconds since the epoch) from records in any order, those of the future left out."""
    broken = used = 0

    def recent() -> Iterator[Watched]:
        nonlocal broken, used
        for record in records:
            if record is None:
                broken += 1
            elif record.counts and now - FORGOTTEN_AFTER_S < record.time <= now:
                used += 1
                yield record

    return Popularity(smooth(by_hour(recent()), now), used, broken)


def smooth(hours: Mapping[tuple[FileName, int], int], now: float) -> dict[FileName, float]:
    """Bytes a day of each file, an hour's bytes weighing half as much after each half-life.

    A file watched steadily at r bytes a day comes out as r, however long the log is: the weighted sum is divided by
    the weighted time that the log covers.
    """
    if not hours:
        return {}
    ages = {hour: max(0.0, now - (hour + 0.5) * _HOUR_S) for _, hour in hours}
    span = max(SHORTEST_SPAN_S, now - min(ages) * _HOUR_S)
    covered_days = (1 - 0.5 ** (span / HALF_LIFE_S)) * HALF_LIFE_S / log(2) / 86400
    weighted: dict[FileName, float] = defaultdict(float)
    for (file, hour), size in hours.items():
        weighted[file] += size * 0.5 ** (ages[hour] / HALF_LIFE_S)
    return {file: size / covered_days for file, size in weighted.items()}
