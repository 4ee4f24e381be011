"""What is new since the journal last said it, as records; and all that it said, again, for the next segment.

Loads move all the time, and are said where they moved by `LOAD_STEP` of the capacity, or have moved at all after
`LOAD_EVERY_S`. What is held changes with each file that a night's fill brings, and takes the longer to compare the more
it is, so it is said every `HELD_EVERY_S` at most, of few packages oftener. What was learned of the way to a client's
network is said every `WAY_EVERY_S`. All else is said as soon as it is seen. Where the clock was set back all is due.

Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from config.steering import SteeringSettings
from oca.report import Held as HeldFiles
from oca.report import Report
from steering.journal.numbering import HeldBits, Numbering, pack
from steering.journal.records import (
    Begins,
    Decides,
    FileSets,
    Gone,
    Held,
    Loads,
    Packages,
    Record,
    Routes,
    Standing,
    Title,
    Ways,
    Whole,
    Withdrawn,
    without_secrets,
)

if TYPE_CHECKING:
    from steering.catalog import Title as KnownTitle

LOAD_STEP = 0.05
LOAD_EVERY_S = 300.0
HELD_EVERY_S = 60.0
# 3,000 packages are compared in 0.25 ms, so a fleet of 18,000 that fills all night costs a tenth of a core.
_HELD_EVERY_S_OF_ONE = 0.02
WAY_EVERY_S = 1800.0
# Ways that are said again with each segment: 3 MB of it.
MOST_WAYS = 65_536
_WAYS_TOGETHER = 1000
# Names of packages in a line: one of a million, which an appliance may make up, would be none that is read again.
_NAMED_TOGETHER = 10_000
# Titles of ten years and more than any catalog here has; beyond it names are numbered anew with the next segment.
_MOST_NUMBERED = 200_000


class Look(NamedTuple):
    """An appliance as it is seen now."""

    report: Report
    held: HeldFiles
    held_version: str
    health: str
    is_stalling: bool = False
    share: float = 1.0
    verdict: str = ""


class _Said:
    """What was said of an appliance, and when."""

    __slots__ = ("held_at", "load_at", "standing")

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.load_at = self.held_at = standing.time


class Changes:
    def __init__(self, software: str = "") -> None:
        self._software = software
        self._settings: SteeringSettings | None = None
        self._routes = 0
        self._catalog: Mapping[str, KnownTitle] = {}
        self._titles: dict[str, Title] = {}
        self._said: dict[str, _Said] = {}
        self._loads: dict[str, int] = {}  # moved, and not said yet
        self._ways: dict[tuple[str, str], tuple[float, float]] = {}  # (site, network) -> when said, ms; oldest first
        self._new_ways: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._begin_numbering()

    def settings(self, settings: SteeringSettings, now: float) -> Iterator[Record]:
        if settings is not self._settings:
            self._settings = settings
            yield Decides(time=now, settings=without_secrets(settings))

    def routes(self, generation: int, now: float) -> Iterator[Record]:
        if generation != self._routes:
            self._routes = generation
            yield Routes(time=now, generation=generation)

    def catalog(self, titles: Mapping[str, KnownTitle], now: float) -> Iterator[Record]:
        if titles is self._catalog:
            return
        for name, title in titles.items():
            if self._catalog.get(name) is not title:
                self._titles[name] = self._title(title, now)
                yield from self._new_numbers(now)
                yield self._titles[name]
        for name in [name for name in self._titles if name not in titles]:
            del self._titles[name]
            yield Withdrawn(time=now, title=name)
        self._catalog = titles

    def has_news(
        self, report: Report, held: HeldFiles, held_version: str, health: str, share: float, now: float
    ) -> bool:
        """Whether to look at the appliance; a load that moved is noted."""
        said = self._said.get(report.name)
        if said is None:
            return True
        standing = said.standing
        if (
            standing.health == health
            and standing.share == share
            and standing.state == report.state
            and standing.capacity_bps == report.capacity_bps
            and standing.site == report.site
            and standing.url == report.url
            and standing.problems == report.problems
            and (
                standing.held_version == held_version
                or not is_due(said.held_at, min(HELD_EVERY_S, _HELD_EVERY_S_OF_ONE * len(held)), now)
            )
        ):
            if standing.serving_bps != report.serving_bps:
                self._note_load(said, report, now)
            return False
        return True

    def appliance(self, look: Look, now: float) -> Iterator[Record]:
        said, report = self._said.get(look.report.name), look.report
        yield from self._hold(said, look, now)
        standing = _standing(look, now)
        if said is None:
            said = self._said[report.name] = _Said(standing)
        if said.standing.held_version != look.held_version:
            said.held_at = now
        said.standing, said.load_at = standing, now
        self._loads.pop(report.name, None)
        yield standing

    def wants_way(self, site: str, network: str, now: float) -> bool:
        """Whether it is time to say what is known of this way."""
        said = self._ways.get((site, network))
        return said is None or is_due(said[0], WAY_EVERY_S, now)

    def way(self, site: str, network: str, rtt_ms: float, now: float) -> None:
        self._ways.pop((site, network), None)
        self._ways[site, network] = now, round(rtt_ms, 2)
        self._new_ways[site][network] = round(rtt_ms, 2)
        if len(self._ways) > MOST_WAYS:
            del self._ways[next(iter(self._ways))]

    def gathered(self, now: float) -> Iterator[Record]:
        """Loads that moved and ways that were learned since the last time, of all at once."""
        if self._loads:
            yield Loads(time=now, loads=self._loads)
            self._loads = {}
        if self._new_ways:
            yield Ways(time=now, ways=dict(self._new_ways))
            self._new_ways.clear()

    def gone(self, name: str, now: float) -> Iterator[Record]:
        """An appliance is not known any more; nothing, if it was never spoken of."""
        said = self._said.pop(name, None)
        if said is not None:
            self._let_go(said.standing.held_version)
            self._loads.pop(name, None)
            yield Gone(time=now, name=name)

    def everything(self, now: float) -> Iterator[Record]:
        """All that was said, each with the time when it was, as the beginning of a segment."""
        yield Begins(time=now, software=self._software)
        if self._settings is not None:
            yield Decides(time=now, settings=without_secrets(self._settings))
        yield Routes(time=now, generation=self._routes)
        self._numbered, self._numbered_sets = 0, 1
        yield from self._new_numbers(now)
        yield from self._titles.values()
        for version, held in self._held.items():
            yield Held(time=now, version=version, whole=held.whole, parts=tuple(held.parts.items()))
        for said in self._said.values():
            yield said.standing
        yield from self._all_ways(now)
        yield Whole(time=now)

    def _all_ways(self, now: float) -> Iterator[Record]:
        ways = iter(self._ways.items())
        while some := list(islice(ways, _WAYS_TOGETHER)):
            said: defaultdict[str, dict[str, float]] = defaultdict(dict)
            for (site, network), (_, rtt_ms) in some:
                said[site][network] = rtt_ms
            yield Ways(time=now, ways=dict(said))

    def forget_if_too_many(self) -> bool:
        """With too many numbers all is forgotten, and has to be looked at again before `everything` of a segment."""
        if len(self._numbering.packages) <= _MOST_NUMBERED:
            return False
        self._begin_numbering()
        self._said, self._titles, self._catalog, self._loads = {}, {}, {}, {}
        return True

    def _begin_numbering(self) -> None:
        self._numbering = Numbering()
        self._numbered, self._numbered_sets = 0, 1  # said up to here
        self._held: dict[str, HeldBits] = {}
        self._holders: Counter[str] = Counter()

    def _title(self, title: KnownTitle, now: float) -> Title:
        until = title.available_until
        self._numbering.package(f"{title.entry.title}/{title.entry.package}")
        return Title(
            time=now,
            title=title.entry.title,
            package=title.entry.package,
            files=self._numbering.files(title.files),
            nominal_bps=title.nominal_bps,
            duration_s=title.entry.duration,
            available_from=title.available_from,
            available_until=until if until != float("inf") else None,
        )

    def _note_load(self, said: _Said, report: Report, now: float) -> None:
        moved = abs(report.serving_bps - said.standing.serving_bps)
        if moved >= LOAD_STEP * report.capacity_bps or is_due(said.load_at, LOAD_EVERY_S, now):
            said.standing = msgspec.structs.replace(said.standing, serving_bps=report.serving_bps)
            said.load_at = now
            self._loads[report.name] = report.serving_bps

    def _hold(self, said: _Said | None, look: Look, now: float) -> Iterator[Record]:
        """Says what is held under a version that was not spoken of yet."""
        base = said.standing.held_version if said is not None else ""
        if said is not None and base == look.held_version:
            return
        if look.held_version not in self._held:
            held = self._held[look.held_version] = pack(look.held, self._numbering)
            yield from self._new_numbers(now)
            whole, parts = held.since(self._held[base]) if base else (held.whole, tuple(held.parts.items()))
            yield Held(time=now, version=look.held_version, base=base, whole=whole, parts=parts)
        self._holders[look.held_version] += 1
        if said is not None:
            self._let_go(base)

    def _let_go(self, version: str) -> None:
        self._holders[version] -= 1
        if not self._holders[version]:
            del self._holders[version], self._held[version]

    def _new_numbers(self, now: float) -> Iterator[Record]:
        packages, sets = self._numbering.packages, self._numbering.file_sets
        while len(packages) > self._numbered:
            names = tuple(packages[self._numbered : self._numbered + _NAMED_TOGETHER])
            yield Packages(time=now, first=self._numbered, names=names)
            self._numbered += len(names)
        if len(sets) > self._numbered_sets:
            yield FileSets(time=now, first=self._numbered_sets, sets=tuple(sets[self._numbered_sets :]))
            self._numbered_sets = len(sets)


def is_due(said_at: float, every_s: float, now: float) -> bool:
    """Whether it is time to say again what was said then; of a clock that was set back nobody knows how long it is."""
    return not 0 <= now - said_at < every_s


def _standing(look: Look, now: float) -> Standing:
    report = look.report
    return Standing(
        time=now,
        name=report.name,
        site=report.site,
        url=report.url,
        capacity_bps=report.capacity_bps,
        serving_bps=report.serving_bps,
        held_version=look.held_version,
        health=look.health,
        state=report.state,
        problems=report.problems,
        is_stalling=look.is_stalling,
        share=look.share,
        verdict=look.verdict,
    )
