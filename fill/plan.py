"""Decides what each appliance should hold, and the format in which it is told.

Per cluster (the appliances of one site) this is a knapsack: files, each with bytes served a day for each byte stored,
into the disks. Taking them by that density, and going on past what no longer fits, is within a thousandth of the best
as soon as there are more than some hundred files; every plan carries its gap to the bound that no plan can beat (the
same order, with the last file cut to fit).

    offers, expected plays  ->  candidates (file, copy) by density  ->  placed on the package's appliances in order
    placed, held            ->  fetches (in order of worth), keeps, drops; each with value and reason

Three things pull against plain density. What is held counts for a quarter more, for rewriting a disk each night costs
more than the last percent of offload (0.8 % of bytes a night instead of 4.2 %, at the same value). A further copy is
worth only what the copies before it cannot serve. And what a title needs besides video and audio (playlists, captions,
poster: thousandths of it) goes wherever any of its media goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from config.units import show_bytes
from encoder.package import FILE_PATTERN, PACKAGE_PATTERN, TITLE_PATTERN
from fill.appliances import Seen
from fill.demand import Expected, Offer, Pins
from fill.errors import PlanError
from fill.placement import order
from fill.popularity import FileName
from oca.report import EVERY_FILE

FORMAT = 1
# The rest of a disk is for what players ask of it during the day.
DISK_SHARE = 0.95
HELD_BONUS = 0.25
# A second copy serves while the first appliance is drained, lost or full, which is about this share of the time.
COPY_VALUE = 0.05
# An appliance that is silent for longer is not coming back tonight: its cluster's copies are planned without it.
LOST_FOR_S = 86400.0
# Every file of a package; only of packages whose files the planner cannot know.
WHOLE_PACKAGE = EVERY_FILE[0]
NO_PINS = Pins()
_NOTHING = Expected(0.0, "")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A file to fetch, keep or drop. `value` is the bytes a day that the file is expected to serve here."""

    title: str
    package: str
    file: str  # "*" in a drop: every file of the package
    size: int
    value: float
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one appliance should do, in order. `share` and `gap` tell the planner's reader how good it is."""

    format: int
    appliance: str
    site: str
    made_at: float  # seconds since the epoch
    fetches: tuple[Line, ...]
    keeps: tuple[Line, ...]
    drops: tuple[Line, ...]
    share: float  # of the expected demand, what this appliance will hold first copies of
    gap: float  # of the cluster's plan to the bound: 0 is the best there can be

    @property
    def fetch_bytes(self) -> int:
        return sum(line.size for line in self.fetches)

    @property
    def held_bytes(self) -> int:
        """What the appliance holds when the plan is done."""
        return self.fetch_bytes + sum(line.size for line in self.keeps)


class _Candidate(NamedTuple):
    """A copy of a media file that might be placed; `copy` counts from 0."""

    worth: float  # for the order: density with bonus, infinite where pinned
    density: float  # bytes a day for each byte
    size: int
    offer: Offer
    file: str
    copy: int
    reason: str


@dataclass
class _Disk:
    """An appliance while its cluster is planned."""

    seen: Seen
    room: int
    placed: dict[tuple[str, str], Line] = field(default_factory=dict)  # (title, file)
    titles: set[str] = field(default_factory=set)
    first_copy_value: float = 0.0
    lowest: float = 0.0  # density of the last that was placed

    def place(self, offer: Offer, line: Line) -> None:
        self.placed[offer.package.title, line.file] = line
        self.titles.add(offer.package.title)
        self.room -= line.size


def encode_plan(plan: Plan) -> bytes:
    return msgspec.json.encode(plan)


def decode_plan(data: bytes, appliance: str) -> Plan:
    """The plan for `appliance`. Raises PlanError that says what is wrong with it."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"the plan for {appliance} is no plan: {error}") from error
    if plan.format != FORMAT:
        raise PlanError(f"the plan for {appliance} has format {plan.format}, this version reads {FORMAT}")
    if plan.appliance != appliance:
        raise PlanError(f"the plan for {appliance} is that of {plan.appliance!r}")
    for line in (*plan.fetches, *plan.keeps):
        _check_line(line, appliance, may_be_whole=False)
    for line in plan.drops:
        _check_line(line, appliance, may_be_whole=True)
    return plan


def _check_line(line: Line, appliance: str, *, may_be_whole: bool) -> None:
    """A plan comes over the network, and its names become paths: they are checked like a URL's."""
    is_file = FILE_PATTERN.fullmatch(line.file) or (may_be_whole and line.file == WHOLE_PACKAGE)
    names = TITLE_PATTERN.fullmatch(line.title) and PACKAGE_PATTERN.fullmatch(line.package)
    if not names or not is_file or line.size < 0:
        raise PlanError(f"the plan for {appliance} names {line.title}/{line.package}/{line.file}, which cannot be")


def plan(
    offers: Sequence[Offer],
    expected: Mapping[FileName, Expected],
    appliances: Iterable[Seen],
    *,
    copies: int,
    now: float,
    pins: Pins = NO_PINS,
) -> dict[str, Plan]:
    """A plan for each appliance (by name) that was heard of within a day; `copies` of a file in a cluster at most."""
    sites: dict[str, list[Seen]] = {}
    for seen in appliances:
        if seen.age_s < LOST_FOR_S:
            sites.setdefault(seen.report.site, []).append(seen)
    plans = {}
    for _, cluster in sorted(sites.items()):
        plans.update(_plan_cluster(offers, expected, cluster, copies, now, pins))
    return plans


def _plan_cluster(
    offers: Sequence[Offer],
    expected: Mapping[FileName, Expected],
    cluster: Sequence[Seen],
    copies: int,
    now: float,
    pins: Pins,
) -> dict[str, Plan]:
    disks = {seen.report.name: _Disk(seen, int(seen.report.disk_bytes * DISK_SHARE)) for seen in cluster}
    capacity = sum(disk.room for disk in disks.values())
    wanted = [offer for offer in offers if offer.package.title not in pins.ban]
    homes = {offer.package.title: _homes(offer, disks) for offer in wanted}
    candidates = list(_candidates(wanted, expected, disks, homes, min(copies, len(disks)), pins))
    value = sum(_place(candidate, homes[candidate.offer.package.title], disks) for candidate in _by_worth(candidates))
    for disk in disks.values():
        _keep_what_fits(disk, wanted, expected)
    bound = fractional_bound(((c.density, c.size) for c in candidates), capacity)
    gap = max(0.0, 1 - value / bound) if bound else 0.0
    demand = sum(amount.plays * size for amount, size in _demand(wanted, expected))
    return {
        name: _plan_of(disk, offers, expected, pins, now, gap, disk.first_copy_value / demand if demand else 0.0)
        for name, disk in disks.items()
    }


def fractional_bound(items: Iterable[tuple[float, int]], capacity: int) -> float:
    """The value that no choice of (density, size) items within `capacity` exceeds: the relaxed knapsack's optimum."""
    value = 0.0
    for density, size in sorted(items, reverse=True):
        taken = min(size, capacity)
        value += density * taken
        capacity -= taken
    return value


def _homes(offer: Offer, disks: Mapping[str, _Disk]) -> list[str]:
    weights = {name: float(max(1, disk.seen.report.disk_bytes)) for name, disk in disks.items()}
    return order(f"{offer.package.title}/{offer.package_name}", weights)


def _candidates(
    offers: Iterable[Offer],
    expected: Mapping[FileName, Expected],
    disks: Mapping[str, _Disk],
    homes: Mapping[str, list[str]],
    copies: int,
    pins: Pins,
) -> Iterator[_Candidate]:
    for offer in offers:
        title = offer.package.title
        for file in offer.package.files:
            amount = expected.get(FileName(title, file.name))
            if amount is None:
                continue
            for copy, name in enumerate(homes[title][:copies]):
                density = amount.plays * COPY_VALUE**copy
                is_held = disks[name].seen.holds(title, offer.package_name, file.name)
                worth = density * (1 + HELD_BONUS) if is_held else density
                reason = amount.reason
                if title in pins.pin:
                    worth, reason = float("inf"), f"pinned; {amount.reason}"
                if copy:
                    reason = f"copy {copy + 1} in the cluster; {reason}"
                yield _Candidate(worth, density, file.size, offer, file.name, copy, reason)


def _by_worth(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Best first; what is equal in an order that does not change from night to night."""
    return sorted(candidates, key=lambda c: (-c.worth, -c.density, c.copy, c.offer.package.title, c.file))


def _place(candidate: _Candidate, homes: Sequence[str], disks: Mapping[str, _Disk]) -> float:
    """Puts the copy on the first of the package's homes, from its own on, that has room; its value, or 0."""
    offer, key = candidate.offer, (candidate.offer.package.title, candidate.file)
    for name in homes[candidate.copy :]:
        disk = disks[name]
        if key in disk.placed:
            continue
        beside = [] if key[0] in disk.titles else list(_beside(offer))
        if candidate.size + sum(line.size for line in beside) > disk.room:
            continue
        value = candidate.density * candidate.size
        for line in (*beside, _line(offer, candidate.file, candidate.size, value, candidate.reason)):
            disk.place(offer, line)
        disk.lowest = candidate.density
        if candidate.copy == 0:
            disk.first_copy_value += value
        return value
    return 0.0


def _beside(offer: Offer) -> Iterator[Line]:
    """Lines for what goes with any media of the package: all files that are neither video nor audio."""
    media = {rendition.file for rendition in offer.package.renditions if rendition.kind != "text"}
    for file in offer.package.files:
        if file.name not in media:
            yield _line(offer, file.name, file.size, 0.0, "goes with its title")


def _keep_what_fits(disk: _Disk, offers: Iterable[Offer], expected: Mapping[FileName, Expected]) -> None:
    """Held files that belong elsewhere stay while there is room: dropping them would gain nothing."""
    held = []
    for offer in offers:
        for file in offer.package.files:
            title = offer.package.title
            if disk.seen.holds(title, offer.package_name, file.name) and (title, file.name) not in disk.placed:
                held.append((expected.get(FileName(title, file.name), _NOTHING).plays, offer, file))
    for plays, offer, file in sorted(held, key=lambda item: (-item[0], item[1].package.title, item[2].name)):
        if file.size <= disk.room:
            value = plays * file.size * COPY_VALUE
            disk.place(offer, _line(offer, file.name, file.size, value, "held, and there is room"))


def _plan_of(
    disk: _Disk,
    offers: Sequence[Offer],
    expected: Mapping[FileName, Expected],
    pins: Pins,
    now: float,
    gap: float,
    share: float,
) -> Plan:
    report = disk.seen.report
    lines = list(disk.placed.values())
    held = [disk.seen.holds(line.title, line.package, line.file) for line in lines]
    return Plan(
        format=FORMAT,
        appliance=report.name,
        site=report.site,
        made_at=now,
        fetches=tuple(line for line, is_held in zip(lines, held, strict=True) if not is_held),
        keeps=tuple(line for line, is_held in zip(lines, held, strict=True) if is_held),
        drops=tuple(_drops(disk, {offer.package.title: offer for offer in offers}, expected, pins)),
        share=share,
        gap=gap,
    )


def _drops(
    disk: _Disk, offers: Mapping[str, Offer], expected: Mapping[FileName, Expected], pins: Pins
) -> Iterator[Line]:
    for key, files in sorted((disk.seen.report.held or {}).items()):
        title, _, package = key.partition("/")
        offer = offers.get(title)
        if offer is None or offer.package_name != package:
            reason = f"replaced by package {offer.package_name}" if offer else "not offered any more"
            for file in files:
                yield Line(title=title, package=package, file=file, size=0, value=0.0, reason=reason)
            continue
        for stored in offer.package.files:
            if not disk.seen.holds(title, package, stored.name) or (title, stored.name) in disk.placed:
                continue
            amount = expected.get(FileName(title, stored.name), _NOTHING)
            better = f"{amount.plays:.2g} plays a day; its room goes to what has at least {disk.lowest:.2g}"
            reason = "banned" if title in pins.ban else better
            yield _line(offer, stored.name, stored.size, amount.plays * stored.size, reason)


def _line(offer: Offer, file: str, size: int, value: float, reason: str) -> Line:
    return Line(title=offer.package.title, package=offer.package_name, file=file, size=size, value=value, reason=reason)


def _demand(offers: Iterable[Offer], expected: Mapping[FileName, Expected]) -> Iterator[tuple[Expected, int]]:
    for offer in offers:
        for file in offer.package.files:
            if amount := expected.get(FileName(offer.package.title, file.name)):
                yield amount, file.size


def explain(
    name: FileName, offers: Sequence[Offer], expected: Mapping[FileName, Expected], plans: Mapping[str, Plan]
) -> list[str]:
    """Why a file is where it will be: what it is expected to be watched, and each appliance's line for it."""
    sizes = {
        file.name: file.size for offer in offers if offer.package.title == name.title for file in offer.package.files
    }
    if name.file not in sizes:
        raise PlanError(f"the catalog has no file {name.title}/{name.file}")
    amount = expected.get(name)
    size = sizes[name.file]
    watched = "is neither video nor audio" if amount is None else f"is expected to have {amount.plays:.3g} plays a day"
    lines = [f"{name.title}/{name.file} ({show_bytes(size)}) {watched}" + (f": {amount.reason}" if amount else "")]
    for appliance, made in sorted(plans.items()):
        lines.append(f"  {appliance} ({made.site}): {_said(made, name)}")
    return lines


def _said(plan: Plan, name: FileName) -> str:
    for word, lines in (("fetch", plan.fetches), ("keep", plan.keeps), ("drop", plan.drops)):
        for line in lines:
            if (line.title, line.file) == name:
                return f"{word}: {line.reason}"
    return "not here: its copies are elsewhere, or are not worth the room"
