"""What steering knew at a moment, put together from the journal's lines up to it.

A segment says everything anew, so a reader may begin with any. One that goes on from the segment before is told only
what is new to it.

Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from config.steering import SteeringSettings
from steering.choice.ranking import Content
from steering.journal.numbering import HeldBits, Numbering
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
)

# Of an appliance that is no more the last is that it is lost.
News: TypeAlias = Decides | Standing | Ways


class Offered(NamedTuple):
    """A title of the catalog, and what ranking asks of it."""

    title: Title
    content: Content


class Past:
    def __init__(self) -> None:
        self.at = 0.0  # seconds since the epoch, of the last line
        self.settings: SteeringSettings | None = None
        self.routes = 0  # the generation of their table
        self.titles: dict[str, Offered] = {}
        self.standings: dict[str, Standing] = {}
        self.ways: dict[str, dict[str, float]] = {}  # site -> network -> ms
        self._held: dict[str, HeldBits] = {}
        self._holders: Counter[str] = Counter()  # version -> appliances that hold it
        self._numbering = Numbering()
        self._files: dict[int, frozenset[str]] = {}  # number -> a set of files that a title has
        self._said: set[tuple[type[Record], str]] | None = None  # by the segment that begins

    def held(self, version: str) -> HeldBits:
        """What is held under a version; nothing where the journal does not say."""
        return self._held.get(version) or HeldBits(self._numbering, b"", {})

    def take(self, record: Record) -> Iterator[News]:
        """Takes a line in, and tells what it changed of settings and appliances."""
        self.at = max(self.at, record.time)
        match record:
            case Begins():
                self._said, self._numbering, self._files = set(), Numbering(), {}
            case Decides(settings=settings):
                is_new, self.settings = settings != self.settings, settings
                if is_new:
                    yield record
            case Routes(generation=generation):
                self.routes = generation
            case Packages(first=first, names=names):
                if first == len(self._numbering.packages):
                    for name in names:
                        self._numbering.package(name)
            case FileSets(first=first, sets=sets):
                if first == len(self._numbering.file_sets):
                    for one in sets:
                        self._numbering.files(one)
            case Title():
                self._offer(record)
            case Withdrawn(title=name):
                self.titles.pop(name, None)
            case Held():
                self._hold(record)
            case Standing():
                yield from self._stand(record)
            case Loads(loads=loads):
                for name, bps in loads.items():
                    if name in self.standings:
                        yield from self._stand(
                            msgspec.structs.replace(self.standings[name], time=record.time, serving_bps=bps)
                        )
            case Gone(name=name):
                if name in self.standings:
                    yield self._lose(name, record.time)
            case Ways(ways=ways):
                for site, networks in ways.items():
                    self.ways.setdefault(site, {}).update(networks)
                yield record
            case Whole():
                yield from self._end_beginning(record.time)
            case _:
                pass

    def _offer(self, title: Title) -> None:
        if title.files < len(self._numbering.file_sets):
            if title.files not in self._files:
                self._files[title.files] = frozenset(self._numbering.file_sets[title.files])
            self._mention(Title, title.title)
            content = Content(title.title, title.package, self._files[title.files])
            self.titles[title.title] = Offered(title, content)

    def _stand(self, standing: Standing) -> Iterator[Standing]:
        self._mention(Standing, standing.name)
        before = self.standings.get(standing.name)
        self.standings[standing.name] = standing
        self._holders[standing.held_version] += 1
        if before is not None:
            self._let_go(before.held_version)
        if before is None or before != msgspec.structs.replace(standing, time=before.time):
            yield standing

    def _lose(self, name: str, now: float) -> Standing:
        standing = self.standings.pop(name)
        self._let_go(standing.held_version)
        return msgspec.structs.replace(standing, time=now, health="lost")

    def _let_go(self, version: str) -> None:
        self._holders[version] -= 1
        if not self._holders[version]:
            del self._holders[version]
            self._held.pop(version, None)

    def _hold(self, record: Held) -> None:
        base = self._held.get(record.base) if record.base else None
        if record.base and base is None:
            return
        nothing = HeldBits(self._numbering, b"", {})
        held = (base or nothing).changed(record.whole, record.parts)
        if held.is_sound():
            self._mention(Held, record.version)
            self._held[record.version] = held

    def _mention(self, kind: type[Record], name: str) -> None:
        if self._said is not None:
            self._said.add((kind, name))

    def _end_beginning(self, now: float) -> Iterator[Standing]:
        """What the segment did not say is no more."""
        said, self._said = self._said or set(), None
        self.titles = {name: title for name, title in self.titles.items() if (Title, name) in said}
        self._held = {version: held for version, held in self._held.items() if (Held, version) in said}
        for name in [name for name in self.standings if (Standing, name) not in said]:
            yield self._lose(name, now)
