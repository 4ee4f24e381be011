"""Places the copies that a cluster should hold on its appliances.

What the relaxed knapsack would take is known beforehand: all that is worth more than the *cut*, at which the disks
together are full. Of that the files of one copy of a package are a *parcel*, which goes as one to the first of the
package's homes that has room, for a player asks one appliance for all that it plays. In this order:

    parcels that are pinned or that even load needs where they are drawn
    what is held, where it is held, so that nothing moves while there is room
    the rest of the parcels, beside what is held of them
    whatever still fits, file by file: what no appliance had room for as one, and what is worth less than the cut

What is placed file by file goes where its package is already, if as many appliances have that as there are copies:
elsewhere it would be asked for by those only that have the rest. But what is pinned is held wherever there is room.
Audio waits for video. What a title needs besides video and audio (playlists, captions, poster: thousandths of it) goes
wherever any of its media goes.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np

from encoder.package import StoredFile
from fill.appliances import Seen
from fill.names import FileName, Offer
from fill.planner.form import Line
from fill.planner.spread import Places
from fill.policy import Policy


class Unit(NamedTuple):
    """A media file placed on an appliance."""

    worth: float  # for the order: density with the band, infinite where pinned
    density: float
    copy: int  # counted from 0
    is_soon: bool  # to be there before its release
    line: Line

    @property
    def name(self) -> FileName:
        return FileName(self.line.title, self.line.file)


@dataclass
class Disk:
    """An appliance while its cluster is planned."""

    seen: Seen
    room: int
    held: set[FileName] = field(default_factory=set)  # of the packages that are offered
    units: list[Unit] = field(default_factory=list)
    beside: dict[str, tuple[Line, ...]] = field(default_factory=dict)  # by title: what goes with its media
    placed: set[FileName] = field(default_factory=set)
    with_video: set[str] = field(default_factory=set)  # titles
    serves: float = 0.0  # bytes a day, without copies beyond what even load needs
    peak_bps: float = 0.0

    @property
    def name(self) -> str:
        return self.seen.report.name

    @property
    def lines(self) -> Iterator[Line]:
        """All that is placed on it."""
        told: set[str] = set()
        for unit in self.units:
            if unit.line.title not in told:
                told.add(unit.line.title)
                yield from self.beside[unit.line.title]
            yield unit.line


class Candidate(NamedTuple):
    """A file that a copy of its package may have."""

    worth: float  # without the band: density, infinite where pinned
    density: float
    counts: bool  # among the copies that serve, not beyond them
    copy: int
    is_soon: bool
    name: FileName
    offer: Offer
    file: StoredFile
    reason: str
    needs_video: bool  # audio of a package that has video
    held_at: int | None  # position of the appliance that has this copy already


class Layout(NamedTuple):
    """Where each title's copies go: all appliances in order, and how many copies even load takes."""

    homes: Mapping[str, Places]  # positions in the order of names
    needed: Mapping[str, int]
    head: Set[str]  # titles that even load needs at their first home

    def is_fixed(self, title: str, copy: int) -> bool:
        """Whether this copy is where the cluster's load needs it."""
        return copy == 0 and title in self.head


@dataclass
class _Parcel:
    """The files of one copy of a package that are worth more than the cut."""

    copy: int
    title: str
    files: list[Candidate] = field(default_factory=list)  # still to be placed, best first
    at: dict[int, int] = field(default_factory=dict)  # bytes of it by position


class Placing:
    """A cluster's disks while copies are placed on them; what is held is worth `stay` times its density."""

    def __init__(self, disks: Sequence[Disk], layout: Layout, stay: float, policy: Policy) -> None:
        self._disks, self._layout, self._stay, self._policy = disks, layout, stay, policy
        # With full disks nearly all of a long catalogue finds no room: rooms are one array, which is searched at once,
        # so that 10,000 titles on 300 appliances take seconds and not a minute.
        self._rooms = np.array([disk.room for disk in disks], dtype=np.int64)
        self._beside: dict[str, tuple[Line, ...]] = {}
        self._with_video: dict[str, list[int]] = {}  # positions by title
        self.value = 0.0  # of what is placed, bytes a day

    def place_all(self, candidates: Iterable[Candidate]) -> None:
        parcels, rest = self._parcels(candidates)
        first = [parcel for parcel in parcels if self._is_first(parcel)]
        others = [parcel for parcel in parcels if not self._is_first(parcel)]
        for parcel in first:
            self._place_held(parcel)
            rest += self._place_together(parcel)
        for parcel in others:
            self._place_held(parcel)
        for parcel in others:
            rest += self._place_together(parcel)
        self._place_each(rest)
        for disk in self._disks:
            disk.units.sort(key=lambda unit: (-unit.worth, unit.copy, unit.line.key))

    def _parcels(self, candidates: Iterable[Candidate]) -> tuple[list[_Parcel], list[Candidate]]:
        """Those above the cut, best first, and the files that are below it or alone."""
        ranked = sorted(candidates, key=lambda one: _rank(one, self._worth(one)))
        ends = np.cumsum(np.array([one.file.size for one in ranked], dtype=np.int64))
        cut = int(np.searchsorted(ends, int(self._rooms.sum()), side="right"))
        found: dict[tuple[str, int], _Parcel] = {}
        for one in ranked[:cut]:
            found.setdefault((one.name.title, one.copy), _Parcel(one.copy, one.name.title)).files.append(one)
        parcels, rest = [], ranked[cut:]
        for parcel in found.values():
            if all(one.needs_video for one in parcel.files):
                rest += parcel.files
            else:
                parcels.append(parcel)
        return parcels, rest

    def _is_first(self, parcel: _Parcel) -> bool:
        return math.isinf(parcel.files[0].worth) or self._layout.is_fixed(parcel.title, parcel.copy)

    def _worth(self, one: Candidate) -> float:
        return one.worth * (self._stay if one.held_at is not None else 1.0)

    # As one

    def _place_held(self, parcel: _Parcel) -> None:
        """Leaves what is held where it is, but for audio whose video is elsewhere."""
        with_video = {one.held_at for one in parcel.files if not one.needs_video}
        left = []
        for one in parcel.files:
            is_there = one.held_at is not None and (not one.needs_video or one.held_at in with_video)
            if one.held_at is not None and is_there and self._place(one, one.held_at):
                parcel.at[one.held_at] = parcel.at.get(one.held_at, 0) + one.file.size
            else:
                left.append(one)
        parcel.files = left

    def _place_together(self, parcel: _Parcel) -> list[Candidate]:
        """Puts the rest of it where most of it is, or else where there is room for all; what is left then."""
        size = sum(one.file.size for one in parcel.files)
        if parcel.at:
            homes = sorted(parcel.at, key=lambda position: (-parcel.at[position], position))
        else:
            row = self._layout.homes[parcel.title][parcel.copy :]
            homes = row[self._rooms[row] >= size].tolist()
        size += self._size_beside(parcel.files[0]) if parcel.files else 0
        for position in homes:
            placed = self._disks[position].placed
            if size <= self._disks[position].room and not any(one.name in placed for one in parcel.files):
                for one in parcel.files:
                    self._place(one, position)
                return []
        return parcel.files

    # File by file

    def _place_each(self, candidates: Iterable[Candidate]) -> None:
        """Best first, each beside its package's video, or else on the first home with room.

        What the appliance that holds it has no room for is worth less elsewhere, where it would have to be written: it
        waits its turn.
        """
        queue = [(*_rank(one, self._worth(one)), one) for one in candidates]
        heapify(queue)
        waiting: dict[str, list[Candidate]] = {}
        while queue:
            *_, one = heappop(queue)
            title = one.name.title
            if one.held_at is not None and not (one.needs_video and title not in self._disks[one.held_at].with_video):
                if not self._place(one, one.held_at):
                    later = one._replace(held_at=None)
                    heappush(queue, (*_rank(later, later.worth), later))
                    continue
            elif not self._place_anywhere(one):
                if one.needs_video:
                    waiting.setdefault(title, []).append(one)
                continue
            if not one.needs_video:
                for audio in waiting.pop(title, ()):
                    heappush(queue, (*_rank(audio, self._worth(audio)), audio))

    def _place_anywhere(self, one: Candidate) -> bool:
        title, size = one.name.title, one.file.size
        if any(self._place(one, position) for position in self._with_video.get(title, ())):
            return True
        is_begun = len(self._with_video.get(title, ())) > one.copy
        if one.needs_video or (is_begun and not math.isinf(one.worth)):
            return False
        row = self._layout.homes[title][one.copy :]
        return any(self._place(one, position) for position in row[self._rooms[row] >= size].tolist())

    def _place(self, one: Candidate, position: int) -> bool:
        """Puts the copy on an appliance, if it has room."""
        disk, file, title = self._disks[position], one.file, one.name.title
        if file.size > disk.room or one.name in disk.placed:
            return False
        is_first = title not in disk.beside
        size = file.size + (self._size_beside(one) if is_first else 0)
        if size > disk.room:
            return False
        if is_first:
            disk.beside[title] = self._lines_beside(one)
        value, factor = one.density * file.size, self._stay if one.held_at == position else 1.0
        line = line_of(one.offer, file, value, one.reason, self._policy)
        disk.units.append(Unit(one.worth * factor, one.density, one.copy, one.is_soon, line))
        disk.placed.add(one.name)
        disk.room -= size
        self._rooms[position] = disk.room
        if not one.needs_video and title not in disk.with_video:
            disk.with_video.add(title)
            self._with_video.setdefault(title, []).append(position)
        disk.serves += value if one.counts else 0.0
        self.value += value * factor
        return True

    def _size_beside(self, one: Candidate) -> int:
        return sum(line.size for line in self._lines_beside(one))

    def _lines_beside(self, one: Candidate) -> tuple[Line, ...]:
        title = one.name.title
        if title not in self._beside:
            self._beside[title] = tuple(_beside(one.offer, self._policy))
        return self._beside[title]


def _rank(candidate: Candidate, worth: float) -> tuple[float, float, int, str, str]:
    """Best first; what is equal in an order that does not change from night to night."""
    return (-worth, -candidate.density, candidate.copy, *candidate.name)


def _beside(offer: Offer, policy: Policy) -> Iterator[Line]:
    """Lines for what goes with any media of the package: all files that are neither video nor audio."""
    media = {rendition.file for rendition in offer.package.renditions if rendition.kind != "text"}
    for file in offer.package.files:
        if file.name not in media:
            yield line_of(offer, file, 0.0, "goes with its title", policy)


def line_of(offer: Offer, file: StoredFile, value: float, reason: str, policy: Policy) -> Line:
    title = offer.package.title
    return Line(
        title=title,
        package=offer.package_name,
        file=file.name,
        size=file.size,
        value=value,
        reason=reason,
        not_before=max(0.0, policy.release(title).at),
    )
