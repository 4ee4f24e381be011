"""Decides what the appliances of one site should hold in the end, whatever a night can bring of it.

    offers, forecast  ->  packages by load  ->  homes, copies (spread)  ->  candidates (file, copy) by worth
    candidates        ->  each on the first of its package's homes that has room

A candidate's *density* is the bytes a day that it serves for each byte stored. A package that needs n copies for the
sake of even load serves an n-th from each; a copy beyond them serves while another appliance is drained, lost or full.
Its *worth*, by which it is taken, is the density with what is held weighed up by the band (fill/planner/knapsack.py).
What a title needs besides video and audio (playlists, captions, poster: thousandths of it) goes wherever any of its
media goes.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoder.package import StoredFile
from fill.appliances import Seen
from fill.forecast.expected import Expected, Forecast
from fill.names import FileName, Offer
from fill.planner import spread
from fill.planner.form import Line
from fill.planner.knapsack import factor, find_band, fractional_bound
from fill.planner.spread import Floats, Places
from fill.policy import Policy

# A further copy serves while the first appliance is drained, lost or full, which is about this share of the time.
COPY_VALUE = 0.05
# Of an appliance's serving rate, what one package may be planned to take: the rest is for what was not foreseen.
RATE_SHARE = 0.8
# A release this near is fetched before everything else: at least one night's window lies before it.
SOON_S = 36 * 3600.0
# What the packages hottest for their bytes make of the load before the rest stays where it is.
_HEAD_LOAD = 0.5
NOTHING = Expected(0.0, "")


class Unit(NamedTuple):
    """A media file placed on an appliance, with what goes beside it."""

    worth: float  # for the order: density with the band, infinite where pinned
    density: float
    copy: int  # counted from 0
    is_soon: bool  # to be there before its release
    lines: tuple[Line, ...]  # what goes beside first, the media file last


@dataclass
class Disk:
    """An appliance while its cluster is planned."""

    seen: Seen
    room: int
    units: list[Unit] = field(default_factory=list)
    placed: dict[tuple[str, str], Line] = field(default_factory=dict)  # (title, file)
    titles: set[str] = field(default_factory=set)
    serves: float = 0.0  # bytes a day, without copies beyond what even load needs
    lowest: float = 0.0  # density of the last that was placed
    peak_bps: float = 0.0

    @property
    def name(self) -> str:
        return self.seen.report.name

    def take(self, unit: Unit) -> None:
        self.units.append(unit)
        self.lowest = unit.density
        for line in unit.lines:
            self.placed[line.title, line.file] = line
            self.titles.add(line.title)
            self.room -= line.size


@dataclass(frozen=True)
class Target:
    """What a cluster should hold. `demand` is all bytes a day that the region is expected to watch."""

    disks: Mapping[str, Disk]
    gap: float
    bound: float
    stay: float
    demand: float


class _Candidate(NamedTuple):
    worth: float  # without the band: density, infinite where pinned
    density: float
    counts: bool  # among the copies that serve, not beyond them
    copy: int
    is_soon: bool
    offer: Offer
    file: StoredFile
    reason: str


class _Layout(NamedTuple):
    """Where each title's copies go: all appliances in order, and how many copies even load takes."""

    homes: Mapping[str, Sequence[str]]
    needed: Mapping[str, int]


def decide(
    offers: Sequence[Offer],
    forecast: Forecast,
    cluster: Sequence[Seen],
    policy: Policy,
    *,
    region: str,
    reserve: float,
    copies: int,
    now: float,
) -> Target:
    usable = 1 - min(max(reserve, 0.0), 1.0)
    disks = {
        seen.report.name: Disk(seen, int(max(0, seen.report.disk_bytes) * usable))
        for seen in sorted(cluster, key=lambda seen: seen.report.name)
    }
    capacity = sum(disk.room for disk in disks.values())
    wanted = [offer for offer in offers if policy.may_hold(offer.package.title, region, now)]
    layout = _lay_out(wanted, forecast, disks)
    candidates = list(_candidates(wanted, forecast, disks, layout, max(1, copies), policy, now))
    stay = factor(_band(candidates, disks, layout, capacity))
    best = np.array([_best_worth(one, disks, layout, stay) for one in candidates], dtype=np.float64)
    bound = fractional_bound(best, np.array([one.file.size for one in candidates], dtype=np.int64), capacity)
    value = _place_all(candidates, disks, layout, stay, policy)
    _tell_load(wanted, forecast, disks)
    demand = sum(plays_of(forecast, offer, file) * file.size for offer in wanted for file in offer.package.files)
    return Target(disks, max(0.0, 1 - value / bound) if bound else 0.0, bound, stay, demand)


def plays_of(forecast: Forecast, offer: Offer, file: StoredFile) -> float:
    """What a file is expected to be watched; nonsense counts as nothing."""
    plays = forecast.expected.get(FileName(offer.package.title, file.name), NOTHING).plays
    return plays if math.isfinite(plays) and plays > 0 else 0.0


def peak_of(forecast: Forecast) -> float:
    """The busiest hour's share of the day, an even one where the forecast has none."""
    peak = forecast.peak if len(forecast.hours) else 0.0
    return peak if math.isfinite(peak) and 0 < peak <= 1 else 1 / 24


def _lay_out(offers: Sequence[Offer], forecast: Forecast, disks: Mapping[str, Disk]) -> _Layout:
    names = list(disks)
    load = np.array(
        [sum(plays_of(forecast, one, file) * file.size for file in one.package.files) for one in offers], np.float64
    )
    size = np.array([one.package.size for one in offers], dtype=np.int64)
    hottest = np.argsort(-load / np.maximum(size, 1), kind="stable")
    offers, load, size = [offers[position] for position in hottest], load[hottest], size[hottest]
    capacity = sum(disk.room for disk in disks.values())
    load = np.where(np.cumsum(size) <= capacity, load, 0.0)  # what will not be placed loads nobody
    rates = np.array([float(max(0, disk.seen.report.capacity_bps)) for disk in disks.values()])
    if not rates.any():
        rates[:] = 1.0
    # Who can serve nothing is everybody's last home.
    rooms = np.where(rates > 0, np.array([float(disk.room) for disk in disks.values()]), 0.0)
    drawn, head = spread.weights(rooms, rates, load, size)
    keys = spread.hashed([f"{one.package.title}/{one.package_name}" for one in offers])
    ordered = np.concatenate(
        [spread.homes(keys[:head], names, drawn.head), spread.homes(keys[head:], names, drawn.tail)]
    )
    ordered, held = _holders_first(offers, load, ordered, disks)
    peak_bps = load * 8 * peak_of(forecast) / 3600
    least = np.ceil(peak_bps / (RATE_SHARE * rates[rates > 0].mean())).astype(np.int64)
    places = spread.place(load, size, ordered, rates, least=least, held=held)
    homes, needed = {}, {}
    for offer, row, every in zip(offers, places, ordered, strict=True):
        holders = [int(place) for place in row if place >= 0]
        rest = [int(place) for place in every if place not in holders]
        homes[offer.package.title] = [names[place] for place in (*holders, *rest)]
        needed[offer.package.title] = len(holders)
    return _Layout(homes, needed)


def _holders_first(
    offers: Sequence[Offer], load: Floats, ordered: Places, disks: Mapping[str, Disk]
) -> tuple[Places, Places]:
    """The homes with those that hold some of the package first, and how many of them follow the first home.

    Of the packages that make half of the load the first home stays first: they are few, and even load needs them where
    they are drawn. The rest stays where it is, so that an appliance that comes or goes moves little.
    """
    positions = {name: position for position, name in enumerate(disks)}
    holders: dict[str, set[int]] = {}
    for name, disk in disks.items():
        for key in disk.seen.report.held or {}:
            holders.setdefault(key, set()).add(positions[name])
    is_head = np.cumsum(load) <= _HEAD_LOAD * load.sum()
    found, followers = ordered.copy(), np.zeros(len(offers), dtype=np.int64)
    for number, offer in enumerate(offers):
        having = holders.get(f"{offer.package.title}/{offer.package_name}")
        if not having:
            continue
        row = ordered[number].tolist()
        first = row[:1] if is_head[number] else []
        rest = row[len(first) :]
        found[number] = [*first, *sorted(rest, key=lambda place: place not in having)]
        followers[number] = len(having - {int(found[number][0])})
    return found, followers


def _candidates(
    offers: Iterable[Offer],
    forecast: Forecast,
    disks: Mapping[str, Disk],
    layout: _Layout,
    copies: int,
    policy: Policy,
    now: float,
) -> Iterator[_Candidate]:
    for offer in offers:
        title = offer.package.title
        needed = layout.needed[title]
        is_soon = now < policy.release(title).at <= now + SOON_S
        for file in offer.package.files:
            amount = forecast.expected.get(FileName(title, file.name))
            plays = plays_of(forecast, offer, file)
            if amount is None or (plays <= 0 and title not in policy.pin):
                continue
            for copy in range(min(len(disks), max(copies, needed))):
                counts = copy < needed
                density = plays / needed if counts else plays * COPY_VALUE ** (copy - needed + 1)
                reason = f"copy {copy + 1} in the cluster; {amount.reason}" if copy else amount.reason
                if title in policy.pin:
                    reason = f"pinned; {reason}"
                worth = math.inf if title in policy.pin else density
                yield _Candidate(worth, density, counts, copy, is_soon, offer, file, reason)


def _band(candidates: Sequence[_Candidate], disks: Mapping[str, Disk], layout: _Layout, capacity: int) -> float:
    density = np.array([one.density for one in candidates], dtype=np.float64)
    size = np.array([one.file.size for one in candidates], dtype=np.int64)
    held: npt.NDArray[np.bool_] = np.array(
        [_has(disks[layout.homes[one.offer.package.title][one.copy]], one) for one in candidates], dtype=np.bool_
    )
    return find_band(density, size, held, capacity)


def _best_worth(candidate: _Candidate, disks: Mapping[str, Disk], layout: _Layout, stay: float) -> float:
    """The most that it could be worth, pinned or not: what a pin displaces is a loss, and the plan's gap says so."""
    homes = layout.homes[candidate.offer.package.title][candidate.copy :]
    return candidate.density * (stay if any(_has(disks[name], candidate) for name in homes) else 1.0)


def _has(disk: Disk, candidate: _Candidate) -> bool:
    return disk.seen.holds(candidate.offer.package.title, candidate.offer.package_name, candidate.file.name)


def _place_all(
    candidates: Iterable[_Candidate], disks: Mapping[str, Disk], layout: _Layout, stay: float, policy: Policy
) -> float:
    """Places what fits, best first, each on the first of its homes that has room; what that is worth.

    A copy that its home has no room for is worth less elsewhere, where it would have to be written: it waits its turn.
    """

    def worth_at(candidate: _Candidate, homes: Sequence[str], home: int) -> float:
        return candidate.worth * (stay if _has(disks[homes[home]], candidate) else 1.0)

    value = 0.0
    queue: list[tuple[float, float, int, str, str, int, _Candidate]] = []
    for one in candidates:
        homes = layout.homes[one.offer.package.title]
        heappush(queue, (*_rank(one, worth_at(one, homes, one.copy)), one.copy, one))
    while queue:
        negative, _, _, _, _, home, one = heappop(queue)
        homes, worth = layout.homes[one.offer.package.title], -negative
        while home < len(homes):
            now_worth = worth_at(one, homes, home)
            if now_worth < worth:
                heappush(queue, (*_rank(one, now_worth), home, one))
                break
            if _place(one, now_worth, disks[homes[home]], policy):
                value += one.density * one.file.size * (stay if _has(disks[homes[home]], one) else 1.0)
                break
            home += 1
    return value


def _rank(candidate: _Candidate, worth: float) -> tuple[float, float, int, str, str]:
    """Best first; what is equal in an order that does not change from night to night."""
    return (-worth, -candidate.density, candidate.copy, candidate.offer.package.title, candidate.file.name)


def _place(candidate: _Candidate, worth: float, disk: Disk, policy: Policy) -> bool:
    """Puts the copy on an appliance, if it has room."""
    offer, file = candidate.offer, candidate.file
    title = offer.package.title
    if file.size > disk.room or (title, file.name) in disk.placed:
        return False
    beside = [] if title in disk.titles else list(_beside(offer, policy))
    if file.size + sum(line.size for line in beside) > disk.room:
        return False
    value = candidate.density * file.size
    line = line_of(offer, file, value, candidate.reason, policy)
    disk.take(Unit(worth, candidate.density, candidate.copy, candidate.is_soon, (*beside, line)))
    if candidate.counts:
        disk.serves += value
    return True


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


def _tell_load(offers: Iterable[Offer], forecast: Forecast, disks: Mapping[str, Disk]) -> None:
    """What each appliance's players take in the busiest hour, if steering fills the holders of each title evenly."""
    names = list(disks)
    load, rows = [], []
    for offer in offers:
        title = offer.package.title
        holders = [place for place, name in enumerate(names) if title in disks[name].titles]
        if holders:
            files = [
                file
                for file in offer.package.files
                if any((title, file.name) in disks[names[h]].placed for h in holders)
            ]
            load.append(sum(plays_of(forecast, offer, file) * file.size for file in files))
            rows.append(holders + [-1] * (len(names) - len(holders)))
    if not rows:
        return
    rates = np.array([float(max(1, disk.seen.report.capacity_bps)) for disk in disks.values()])
    loads = spread.split(np.array(load, dtype=np.float64), np.array(rows, dtype=np.int64), rates)[1]
    for name, amount in zip(names, loads, strict=True):
        disks[name].peak_bps = float(amount) * 8 * peak_of(forecast) / 3600
