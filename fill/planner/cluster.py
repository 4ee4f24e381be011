"""Decides what the appliances of one site should hold in the end, whatever a night can bring of it.

    offers, forecast  ->  packages by load  ->  homes, copies (spread)  ->  candidates (file, copy) by worth
    candidates        ->  what is held where it is, the rest on the first of its package's homes that has room (placing)

A candidate's *density* is the bytes a day that it serves for each byte stored. A package that needs n copies for the
sake of even load serves an n-th from each; a copy beyond them serves while another appliance is drained, lost or full.
Its *worth*, by which it is taken, is the density with what is held weighed up by the band (fill/planner/knapsack.py):
as many copies of a file count as held as there are appliances that hold it.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoder.package import StoredFile
from fill.appliances import Seen
from fill.forecast.expected import Expected, Forecast
from fill.names import FileName, Offer
from fill.planner import spread
from fill.planner.knapsack import Flags, factor, find_band, fractional_bound
from fill.planner.placing import Candidate, Disk, Layout, Placing
from fill.planner.spread import Places
from fill.policy import Policy
from oca.report import EVERY_FILE

# A further copy serves while the first appliance is drained, lost or full, which is about this share of the time.
COPY_VALUE = 0.05
# Of an appliance's serving rate, what one package may be planned to take: the rest is for what was not foreseen.
RATE_SHARE = 0.8
# A release this near is fetched before everything else: at least one night's window lies before it.
SOON_S = 36 * 3600.0
# What the packages hottest for their bytes make of the load before the rest stays where it is.
_HEAD_LOAD = 0.5
# More than any appliance has: what a damaged report claims beyond that is not calculated with.
_MOST_BYTES, _MOST_BPS = 2**60, 10**15
NOTHING = Expected(0.0, "")


@dataclass(frozen=True)
class Target:
    """What a cluster should hold. `demand` is all bytes a day that the region is expected to watch."""

    disks: Mapping[str, Disk]
    gap: float
    bound: float
    stay: float
    demand: float


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
    wanted = sorted(
        (offer for offer in offers if policy.may_hold(offer.package.title, region, now)),
        key=lambda offer: offer.package.title,
    )
    disks = {
        seen.report.name: Disk(seen, int(min(max(0, seen.report.disk_bytes), _MOST_BYTES) * usable))
        for seen in sorted(cluster, key=lambda seen: seen.report.name)
    }
    for disk in disks.values():
        disk.held = _held(offers, disk.seen)
    capacity = sum(disk.room for disk in disks.values())
    layout = _lay_out(wanted, forecast, disks)
    candidates = list(_candidates(wanted, forecast, disks, layout, max(1, copies), policy, now))
    density = np.array([one.density for one in candidates], dtype=np.float64)
    size = np.array([one.file.size for one in candidates], dtype=np.int64)
    held: npt.NDArray[np.bool_] = np.array([one.held_at is not None for one in candidates], dtype=np.bool_)
    stay = factor(find_band(density, size, held, capacity))
    # Pinned or not: what a pin displaces is a loss, and the plan's gap says so.
    bound = fractional_bound(np.where(held, density * stay, density), size, capacity)
    placing = Placing(list(disks.values()), layout, stay, policy)
    placing.place_all(candidates)
    _tell_load(wanted, forecast, disks)
    demand = math.fsum(plays_of(forecast, offer, file) * file.size for offer in wanted for file in offer.package.files)
    return Target(disks, max(0.0, 1 - placing.value / bound) if bound else 0.0, bound, stay, demand)


def _held(offers: Iterable[Offer], seen: Seen) -> set[FileName]:
    """The files of offered packages that an appliance has."""
    having = seen.report.held or {}
    return {
        FileName(offer.package.title, file.name)
        for offer in offers
        if (names := having.get(f"{offer.package.title}/{offer.package_name}"))
        for file in offer.package.files
        if names == EVERY_FILE or file.name in names
    }


def plays_of(forecast: Forecast, offer: Offer, file: StoredFile) -> float:
    """What a file is expected to be watched; nonsense counts as nothing."""
    plays = forecast.expected.get(FileName(offer.package.title, file.name), NOTHING).plays
    return plays if math.isfinite(plays) and plays > 0 else 0.0


def peak_of(forecast: Forecast) -> float:
    """The busiest hour's share of the day, an even one where the forecast has none."""
    peak = forecast.peak if len(forecast.hours) else 0.0
    return peak if math.isfinite(peak) and 0 < peak <= 1 else 1 / 24


def _lay_out(offers: Sequence[Offer], forecast: Forecast, disks: Mapping[str, Disk]) -> Layout:
    names = list(disks)
    load = np.array(
        [sum(plays_of(forecast, one, file) * file.size for file in one.package.files) for one in offers], np.float64
    )
    size = np.array([one.package.size for one in offers], dtype=np.int64)
    hottest = np.argsort(-load / np.maximum(size, 1), kind="stable")
    offers, load, size = [offers[position] for position in hottest], load[hottest], size[hottest]
    capacity = sum(disk.room for disk in disks.values())
    load = np.where(np.cumsum(size) <= capacity, load, 0.0)  # what will not be placed loads nobody
    rates = np.array([float(min(max(0, disk.seen.report.capacity_bps), _MOST_BPS)) for disk in disks.values()])
    if not rates.any():
        rates[:] = 1.0
    # Who can serve nothing is everybody's last home.
    rooms = np.where(rates > 0, np.array([float(disk.room) for disk in disks.values()]), 0.0)
    drawn, head = spread.weights(rooms, rates, load, size)
    keys = spread.hashed([f"{one.package.title}/{one.package_name}" for one in offers])
    ordered = np.concatenate(
        [spread.homes(keys[:head], names, drawn.head), spread.homes(keys[head:], names, drawn.tail)]
    )
    is_head = (np.cumsum(load) <= _HEAD_LOAD * load.sum()) & (load > 0)
    ordered, held = _holders_first(offers, is_head, ordered, disks)
    peak_bps = load * 8 * peak_of(forecast) / 3600
    least = np.ceil(peak_bps / (RATE_SHARE * rates[rates > 0].mean())).astype(np.int64)
    places = spread.place(load, size, ordered, rates, least=least, held=held)
    homes: dict[str, Places] = {}
    needed: dict[str, int] = {}
    for offer, row, every in zip(offers, places, ordered, strict=True):
        holders = [int(place) for place in row if place >= 0]
        rest = [int(place) for place in every if place not in holders]
        homes[offer.package.title] = np.array([*holders, *rest], dtype=np.int64)
        needed[offer.package.title] = len(holders)
    return Layout(homes, needed, {offer.package.title for offer, is_hot in zip(offers, is_head, strict=True) if is_hot})


def _holders_first(
    offers: Sequence[Offer], is_head: Flags, ordered: Places, disks: Mapping[str, Disk]
) -> tuple[Places, Places]:
    """The homes with those that hold some of the package first, and how many that hold most of it follow the first.

    Of the packages that make half of the load the first home stays first: they are few, and even load needs them where
    they are drawn. The rest stays where it is, so that an appliance that comes or goes moves little.
    """
    sizes = {offer.package.title: {file.name: file.size for file in offer.package.files} for offer in offers}
    having: dict[str, dict[int, int]] = {}  # bytes by title and position
    for position, disk in enumerate(disks.values()):
        for name in disk.held:
            if name.title not in sizes:
                continue  # may not be held any more
            of_title = having.setdefault(name.title, {})
            of_title[position] = of_title.get(position, 0) + sizes[name.title][name.file]
    found, followers = ordered.copy(), np.zeros(len(offers), dtype=np.int64)
    for number, offer in enumerate(offers):
        held = having.get(offer.package.title)
        if not held:
            continue
        row = ordered[number].tolist()
        first = row[:1] if is_head[number] else []
        found[number] = [*first, *sorted(row[len(first) :], key=lambda place: -held.get(place, 0))]
        most = max(held.values())
        followers[number] = sum(2 * amount >= most for place, amount in held.items() if place != found[number][0])
    return found, followers


def _candidates(
    offers: Iterable[Offer],
    forecast: Forecast,
    disks: Mapping[str, Disk],
    layout: Layout,
    copies: int,
    policy: Policy,
    now: float,
) -> Iterator[Candidate]:
    holders: dict[FileName, list[int]] = {}
    for position, disk in enumerate(disks.values()):
        for name in disk.held:
            holders.setdefault(name, []).append(position)
    for offer in offers:
        title = offer.package.title
        needed = layout.needed[title]
        is_soon = now < policy.release(title).at <= now + SOON_S
        is_pinned = title in policy.pin
        kinds = {rendition.file: rendition.kind for rendition in offer.package.renditions}
        has_video = "video" in kinds.values()
        for file in offer.package.files:
            name = FileName(title, file.name)
            plays, kind = plays_of(forecast, offer, file), kinds.get(file.name, "text")
            if plays <= 0 and not (is_pinned and kind != "text"):
                continue
            told = forecast.expected.get(name, NOTHING).reason
            held_at = _held_at(layout, title, holders.get(name, ()), min(len(disks), max(copies, needed)))
            for copy, holder in enumerate(held_at):
                counts = copy < needed
                density = plays / needed if counts else plays * COPY_VALUE ** (copy - needed + 1)
                which = f"copy {copy + 1} in the cluster" if copy else ""
                yield Candidate(
                    worth=math.inf if is_pinned and counts else density,
                    density=density,
                    counts=counts,
                    copy=copy,
                    is_soon=is_soon,
                    name=name,
                    offer=offer,
                    file=file,
                    reason="; ".join(part for part in ("pinned" if is_pinned else "", which, told) if part),
                    needs_video=has_video and kind == "audio",
                    held_at=holder,
                )


def _held_at(layout: Layout, title: str, holders: Sequence[int], copies: int) -> list[int | None]:
    """Which appliance has each copy of a file already: its home, or else whoever has one that is no other copy's home.

    So a file is not moved only because its package's order of homes changed; but for the copies that even load needs
    where they are.
    """
    if not holders:
        return [None] * copies
    homes = layout.homes[title].tolist()
    found: list[int | None] = [home if home in holders else None for home in homes[:copies]]
    others = [home for home in homes[copies:] if home in holders]
    for copy, position in enumerate(found):
        if others and position is None and not layout.is_fixed(title, copy):
            found[copy] = others.pop(0)
    return found


def _tell_load(offers: Iterable[Offer], forecast: Forecast, disks: Mapping[str, Disk]) -> None:
    """What each appliance's players take in the busiest hour, if steering fills the holders of each title evenly."""
    holders: dict[str, list[int]] = {}
    placed: dict[str, set[str]] = {}
    for position, disk in enumerate(disks.values()):
        for title in disk.beside:
            holders.setdefault(title, []).append(position)
        for name in disk.placed:
            placed.setdefault(name.title, set()).add(name.file)
    load, rows = [], []
    for offer in offers:
        title = offer.package.title
        if title in holders:
            files = [file for file in offer.package.files if file.name in placed[title]]
            load.append(sum(plays_of(forecast, offer, file) * file.size for file in files))
            rows.append(holders[title] + [-1] * (len(disks) - len(holders[title])))
    if not rows:
        return
    rates = np.array([float(min(max(1, disk.seen.report.capacity_bps), _MOST_BPS)) for disk in disks.values()])
    loads = spread.split(np.array(load, dtype=np.float64), np.array(rows, dtype=np.int64), rates)[1]
    for disk, amount in zip(disks.values(), loads, strict=True):
        disk.peak_bps = float(amount) * 8 * peak_of(forecast) / 3600
