"""Keeps the journal behind the working set: looks at it once a second, a little at a time, and has it written.

Nothing waits for the journal: the fleet only notes of whom there may be news, and a look is at those. No more than
`_SLICE_S` of it is done between two chances for players' requests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from config.steering import SteeringSettings
from oca.report import Report
from steering.appliances.fleet import Fleet, Known
from steering.appliances.roll import Appliance, Health
from steering.journal.changes import Changes, Look, is_due
from steering.journal.records import Beat, Record
from steering.journal.segments import SegmentWriter
from steering.placement.paths import Paths, network_key

if TYPE_CHECKING:
    from steering.catalog import Catalog
    from steering.prefixes.table_file import TableReader

LOOK_EVERY_S = 1.0
# How old a quiet journal's last line is at most.
BEAT_EVERY_S = 5.0
# Whoever wrote the journal of this host may end; another of its workers looks this often.
_TAKE_OVER_EVERY_S = 10.0
_SLICE_S, _PAUSE_S = 0.001, 0.005
# Appliances that are looked at between two looks at the clock.
_BETWEEN_PAUSES = 50
# Lines that are handed to the disk's thread together: it encodes them in a millisecond, for which the loop waits.
_BATCH = 500

logger = logging.getLogger(__name__)


class Follower:
    """Writes the journal of one steering service. `lost` lines could not be written, `trouble` says why."""

    def __init__(
        self,
        settings: SteeringSettings,
        folder: Path,
        fleet: Fleet,
        catalog: Catalog,
        paths: Paths,
        clock: Callable[[], float],
        *,
        epoch: Callable[[], float] = time.time,
        routes: Callable[[], TableReader | None] = lambda: None,
        software: str = "",
    ) -> None:
        """`clock` is the fleet's; `routes` gives the table of routes, another one after a reload perhaps."""
        self._settings = settings
        self._fleet, self._catalog, self._paths = fleet, catalog, paths
        self._clock, self._epoch, self._routes = clock, epoch, routes
        self._writer = SegmentWriter(folder, settings.journal_keep)
        self._changes = Changes(software)
        self._beat_at = 0.0
        self._is_ours = False  # no other process of this host writes it
        self._looking: asyncio.Task[None] | None = None
        self._looks = asyncio.Lock()  # one after the other: each writes what is new since the last
        self._is_closing = False
        self._fault = ""

    @property
    def lost(self) -> int:
        return self._writer.lost

    @property
    def trouble(self) -> str:
        return self._fault or self._writer.trouble

    def take_over(self, settings: SteeringSettings) -> None:
        """Sites and geography were read again; the rest is as it was."""
        changes = {
            field.name: getattr(settings, field.name)
            for field in dataclasses.fields(settings)
            if field.name in ("sites", "default_site", "geo", "routes")
        }
        self._settings = dataclasses.replace(self._settings, **changes)

    async def follow(self) -> None:
        """Writes for ever; its troubles' comings and goings are logged once each."""
        before = ""
        while not self._fault:
            # Whoever ends this ends no look half way: what it has seen would count as written.
            self._looking = asyncio.create_task(self.look())
            try:
                await asyncio.shield(self._looking)
            except Exception:
                # It is nobody's who would hear of it, and steering goes on.
                logger.exception("the journal met a fault and ends")
                self._fault = "it met a fault; the log says more"
            if self.trouble and not before:
                logger.warning("the journal is not kept", extra={"reason": self.trouble})
            elif before and not self.trouble:
                logger.info("the journal is kept again", extra={"lost": self.lost})
            before = self.trouble
            await asyncio.sleep(LOOK_EVERY_S if self._is_ours else _TAKE_OVER_EVERY_S)

    async def look(self) -> None:
        """Has written what is new."""
        async with self._looks:
            self._is_ours = await asyncio.to_thread(self._writer.is_ours)
            if self._is_ours:
                await self._write_news()

    async def close(self) -> None:
        """Has written what is new a last time."""
        self._is_closing = True
        if self._looking is not None:
            await asyncio.wait([self._looking])
        if self._is_ours and not self._fault:
            await self.look()
        self._writer.close()

    async def _write_news(self) -> None:
        news = [record async for record in self._sliced(self._look())]
        now = self._epoch()
        if self._writer.wants_segment(now):
            await self._begin(now)
        elif news or is_due(self._beat_at, BEAT_EVERY_S, now):
            await self._write(news or [Beat(time=now)])

    def _look(self, *, is_at_all: bool = False) -> Iterator[Record | None]:
        """What is new, and None now and then where nothing is; of those that the fleet has news of, or of all."""
        changes, now = self._changes, self._epoch()
        yield from changes.settings(self._settings, now)
        routes = self._routes()
        yield from changes.routes(routes.generation if routes is not None else 0, now)
        yield from changes.catalog(self._catalog.titles, now)
        seen = self._fleet.seen(self._clock())
        names = self._fleet.news()
        for number, name in enumerate([*seen] if is_at_all else names):
            one, known = seen.get(name), self._fleet.known_of(name)
            if one is None:
                yield from changes.gone(name, now)
            elif known is not None:
                report, now = known.report, self._epoch()
                if changes.has_news(report, known.held, known.held_version, one.health, one.share, now):
                    yield from changes.appliance(_look_at(one, known), now)
                if report.paths:
                    self._note_way(report, now)
            if number % _BETWEEN_PAUSES == 0:
                yield None
        yield from changes.gathered(self._epoch())

    def _note_way(self, report: Report, now: float) -> None:
        """One of the networks that it measured: with so many reports each has its turn."""
        network = next(islice(report.paths, report.sequence % len(report.paths), None))
        if self._changes.wants_way(report.site, network, now):
            rtt_ms = self._paths.rtt_ms(network_key(network), report.site)
            if rtt_ms is not None:
                self._changes.way(report.site, network, rtt_ms, now)

    async def _begin(self, now: float) -> None:
        if self._changes.forget_if_too_many():
            async for _ in self._sliced(self._look(is_at_all=True)):
                pass
        await asyncio.to_thread(self._writer.begin, now)
        await self._write([record async for record in self._sliced(self._changes.everything(now))])

    async def _write(self, records: list[Record]) -> None:
        self._beat_at = self._epoch()
        for start in range(0, len(records), _BATCH):
            await asyncio.to_thread(self._writer.write, records[start : start + _BATCH])

    async def _sliced(self, records: Iterable[Record | None]) -> AsyncIterator[Record]:
        """The records, with a pause whenever they have taken long enough."""
        until = time.perf_counter() + _SLICE_S
        for record in records:
            if record is not None:
                yield record
            if time.perf_counter() > until and not self._is_closing:
                await asyncio.sleep(_PAUSE_S)
                until = time.perf_counter() + _SLICE_S


def _look_at(seen: Appliance, known: Known) -> Look:
    is_stalling = seen.health is Health.STALLING
    words = seen.cause if is_stalling else seen.share_cause
    return Look(known.report, known.held, known.held_version, seen.health, is_stalling, seen.share, words)
