"""Lines as rows: what many lines tell, collected into columns that a table of lines is made of.

A line that does not count leaves no row of its own: how many there were, for each reason and hour, is a row without
title, its `part` the reason and its `bytes` the number. So what was refused is kept with what counted, and is neither
lost nor counted twice where that is not.

Pure.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fill.feed.records import CLOCK_TOLERANCE_S, Event, Refusal, clock_offset, judge

HOUR_S = 3600
# The table of lines that are in their hours: column -> DuckDB's type.
LINE_KINDS = {
    "time": "DOUBLE",  # seconds since the epoch, by our clock
    "line": "UBIGINT",  # what makes two rows the same line
    "site": "VARCHAR",
    "region": "VARCHAR",
    "title": "VARCHAR",
    "package": "VARCHAR",
    "file": "VARCHAR",
    "part": "VARCHAR",
    "bytes": "BIGINT",
    "session": "UBIGINT",
    "named": "BOOLEAN",
    "media_s": "DOUBLE",
}
# That of lines that arrive: also the time that they told, by the clock of their appliance.
ARRIVING_KINDS = {**LINE_KINDS, "told": "DOUBLE"}


@dataclass(frozen=True)
class Places:
    """Where viewers are, and which region a site belongs to; the rest is in region `default`."""

    sites: Mapping[str, str]  # appliance -> site
    regions: Mapping[str, str]  # site -> region
    default: str
    networks: Mapping[str, str] = field(default_factory=dict)  # client's network -> its nearest site

    def of(self, appliance: str, client: str = "") -> tuple[str, str]:
        """Site and region of a viewer whom this appliance served; the site is "" where nobody knows."""
        site = self.networks.get(client) or self.sites.get(appliance, "")
        return site, self.regions.get(site) or self.default


class Batch:
    """Lines of one log, as they come."""

    def __init__(self, places: Places, *, oldest: float = 0.0) -> None:
        """Lines before `oldest` (seconds since the epoch) are refused."""
        self._places, self._oldest = places, oldest
        self._events: list[Event] = []
        self._refused: Counter[Refusal] = Counter()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, line: bytes, now: float) -> None:
        if not line.strip():
            return
        judged = judge(line, now, oldest=self._oldest)
        if isinstance(judged, Refusal):
            self._refused[judged] += 1
        else:
            self._events.append(judged)

    def columns(self, now: float, name: str) -> dict[str, Sequence[Any]]:
        """The rows as columns (ARRIVING_KINDS), clocks put right; `name` tells this batch from all others."""
        rows = [row for row in map(self._row(now), self._events) if row is not None]
        rows += [self._refusal_row(reason, count, now, name) for reason, count in self._refused.items()]
        columns = zip(*rows, strict=True) if rows else ((),) * len(ARRIVING_KINDS)
        return dict(zip(ARRIVING_KINDS, columns, strict=True))

    def _row(self, now: float) -> Any:
        times: dict[str, list[float]] = defaultdict(list)
        for event in self._events:
            times[event.appliance].append(event.time)
        offsets = {appliance: clock_offset(told, now) for appliance, told in times.items()}
        places, refused = self._places, self._refused

        def row(event: Event) -> tuple[Any, ...] | None:
            time = event.time - offsets[event.appliance]
            if time > now + CLOCK_TOLERANCE_S:
                refused[Refusal.FUTURE] += 1
                return None
            return (min(time, now), event.line, *places.of(event.appliance, event.client), *event[4:], event.time)

        return row

    def _refusal_row(self, reason: Refusal, count: int, now: float, name: str) -> tuple[Any, ...]:
        key = hashlib.blake2b(f"{name}\0{reason}".encode(), digest_size=8)
        return (
            now,
            int.from_bytes(key.digest()),
            "",
            self._places.default,
            "",
            "",
            "",
            reason,
            count,
            0,
            False,
            0.0,
            now,
        )
