"""How much of what a cluster should hold one night brings: within window, rate and budget, the best for a byte first.

What is left over is fetched on later nights, and nothing is dropped for it before: room is made only for what comes.
Before everything else comes what is released soon, then what is pinned. What may not be held any more (withdrawn,
banned, its licence over) is dropped at once. An earlier package that players are in the middle of is left to them for
some hours, and within the day, as long as there is room.

A file costs the site's budget once for each of its masters, and the others copy it from them. It needs none if somebody
at the site holds it and will go on holding it; so what appliances give up to make room is settled together with what is
fetched: what a copy is still to be made from goes last, and where it goes all the same, the copy comes from outside.

Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from encoder.package import StoredFile
from fill.forecast.expected import Forecast
from fill.names import FileName, Offer
from fill.planner.cluster import COPY_VALUE, Target, plays_of
from fill.planner.form import FORMAT, Line, Plan
from fill.planner.placing import Disk, Unit, line_of
from fill.planner.terms import SiteTerms
from fill.policy import Policy
from oca.report import EVERY_FILE

# A film that was begun before its package was replaced is over by then.
SUPERSEDED_FOR_S = 6 * 3600.0


class _Given(NamedTuple):
    """What a site's night is planned on."""

    target: Target
    offers: Mapping[str, Offer]  # by title
    forecast: Forecast
    policy: Policy
    terms: SiteTerms
    now: float
    only: frozenset[FileName] | None

    def forbidden(self, title: str) -> str:
        """Why a title may not be held; nothing if it may."""
        if self.policy.may_hold(title, self.terms.region, self.now):
            return ""
        if title in self.policy.ban:
            return "banned"
        is_over = self.now >= self.policy.release(title).until
        return "its licence is over" if is_over else f"not licensed in region {self.terms.region}"

    def is_played_on(self, offer: Offer, package: str) -> bool:
        """Whether this earlier package is left to its players."""
        is_new = self.now < offer.published_at + SUPERSEDED_FOR_S
        return package in offer.superseded and (is_new or self.only is not None)


@dataclass
class _Night:
    """One appliance's fetches, and what is left for later; what it keeps."""

    can_fetch: float  # bytes
    fetches: list[Line] = field(default_factory=list)
    from_outside: int = 0
    left: list[Line] = field(default_factory=list)
    lowest: float = math.inf  # density of what it fetches
    keeps: list[Line] = field(default_factory=list)
    played_on: set[str] = field(default_factory=set)  # earlier packages that it goes on holding, TITLE/PACKAGE


def plan_night(
    site: str,
    target: Target,
    offers: Sequence[Offer],
    forecast: Forecast,
    policy: Policy,
    terms: SiteTerms,
    now: float,
    only: frozenset[FileName] | None = None,
) -> dict[str, Plan]:
    """A plan for each of the target's appliances; with `only`, one within the day that fetches nothing else."""
    by_title = {offer.package.title: offer for offer in offers}
    given = _Given(target, by_title, forecast, policy, terms, now, only)
    nights, spare = _settle(given)
    placed = _placed(target)
    rate_bps = terms.rate_of_each(len(target.disks))
    plans = {}
    for name, disk in target.disks.items():
        night = nights[name]
        budget = 0
        if terms.bytes_from_outside is not None:
            # 0 would be no limit; what nobody plans to use is shared out, for masters fail and others stand in.
            budget = max(1, night.from_outside + int(spare / len(target.disks)))
        plans[name] = Plan(
            format=FORMAT,
            appliance=name,
            site=site,
            version=0,
            made_at=now,
            fetches=tuple(night.fetches),
            keeps=tuple(night.keeps),
            drops=tuple(_drops(given, disk, night, placed)),
            share=disk.serves / target.demand if target.demand else 0.0,
            gap=target.gap,
            bound=target.bound,
            rate_bps=0 if rate_bps is None else max(1, rate_bps),  # 0 would be no limit
            budget_bytes=budget,
            stay=target.stay,
            peak_bps=disk.peak_bps,
            left_files=len(night.left),
            left_bytes=sum(line.size for line in night.left),
            at_once=only is not None,
        )
    return plans


def _settle(given: _Given) -> tuple[dict[str, _Night], float]:
    """What each appliance fetches and keeps, and what is left of the budget.

    Who makes room drops what another is to copy from it only if that has another source. Where it has none, there is a
    master for it in the next round; each round knows more such files, so the last one comes.
    """
    held_here = _held_by_site(given.target)
    while True:
        nights, spare = _choose_fetches(given, held_here)
        copied = {_name(line) for night in nights.values() for line in night.fetches if not line.master}
        copied -= {_name(line) for night in nights.values() for line in night.fetches if line.master}
        for name, disk in given.target.disks.items():
            nights[name].keeps = list(_keeps(given, disk, nights[name], copied))
        alive = [night for name, night in nights.items() if given.target.disks[name].seen.health != "lost"]
        orphans = copied - {_name(line) for night in alive for line in night.keeps}
        if not orphans:
            return nights, spare
        held_here -= orphans


def _name(line: Line) -> FileName:
    return FileName(line.title, line.file)


def _held_by_site(target: Target) -> set[FileName]:
    """Files that somebody at the site has, and will be there tonight to be asked for."""
    return {name for disk in target.disks.values() if disk.seen.health != "lost" for name in disk.held}


def _choose_fetches(given: _Given, held_here: Set[FileName]) -> tuple[dict[str, _Night], float]:
    """Gives each night its fetches, in order; and what is left of the budget."""
    target, terms, only = given.target, given.terms, given.only
    each, budget = terms.bytes_of_each(len(target.disks)), terms.bytes_from_outside
    nights = {name: _Night(math.inf if each is None else each) for name in target.disks}
    outside, masters = math.inf if budget is None else float(budget), max(1, terms.masters)
    fetched: Counter[FileName] = Counter()
    # What goes beside a title's media comes with the first of it that does.
    beside = {(name, title): lines for name, disk in target.disks.items() for title, lines in disk.beside.items()}
    units = [(name, unit) for name, disk in target.disks.items() for unit in disk.units]
    for name, unit in sorted(units, key=_fetch_order):
        night, held = nights[name], target.disks[name].held
        title = unit.line.title
        wanted = [line for line in (*beside.get((name, title), ()), unit.line) if _name(line) not in held]
        from_outside = [line for line in wanted if _name(line) not in held_here and fetched[_name(line)] < masters]
        cost, outside_cost = sum(line.size for line in wanted), sum(line.size for line in from_outside)
        may_come = only is None or any(_name(line) in only for line in wanted)
        if not may_come or cost > night.can_fetch or outside_cost > outside:
            night.left += [line for line in wanted if line is unit.line]
            continue
        beside.pop((name, title), None)
        night.can_fetch -= cost
        outside -= outside_cost
        night.from_outside += outside_cost
        night.lowest = min(night.lowest, unit.density) if wanted else night.lowest
        for line in wanted:
            fetched[_name(line)] += 1
            night.fetches.append(msgspec.structs.replace(line, master=True) if line in from_outside else line)
    for (name, _), lines in beside.items():
        nights[name].left += [line for line in lines if _name(line) not in target.disks[name].held]
    return nights, outside


def _fetch_order(item: tuple[str, Unit]) -> tuple[bool, float, int, tuple[str, str, str], str]:
    name, unit = item
    return (not unit.is_soon, -unit.worth, unit.copy, unit.line.key, name)


def _keeps(given: _Given, disk: Disk, night: _Night, copied: Set[FileName]) -> Iterator[Line]:
    """What is wanted and held; then what is held and not wanted, while nothing that comes tonight needs its room."""
    room = int(disk.seen.report.disk_bytes * (1 - min(max(given.terms.reserve, 0.0), 1.0)))
    room -= sum(line.size for line in night.fetches)
    for line in disk.lines:
        if _name(line) in disk.held:
            room -= line.size
            yield line
    for spare in sorted(_spares(given, disk, copied), key=_Spare.order):
        if spare.size > room:
            continue
        room -= spare.size
        if spare.file is None:
            night.played_on.add(f"{spare.title}/{spare.package}")
            continue
        offer, value = given.offers[spare.title], spare.plays * spare.size * COPY_VALUE
        yield line_of(offer, spare.file, value, "held, and there is room", given.policy)


class _Spare(NamedTuple):
    """What is held and not wanted: a file, or all that is held of an earlier package (None)."""

    title: str
    package: str
    file: StoredFile | None
    size: int
    plays: float
    is_source: bool  # others are to copy it

    def order(self) -> tuple[bool, float, str, str]:
        """What is given up last first."""
        return (not self.is_source, -self.plays, self.title, self.file.name if self.file else "")


def _spares(given: _Given, disk: Disk, copied: Set[FileName]) -> Iterator[_Spare]:
    wanted = {_name(line) for line in disk.lines}
    for key, names in (disk.seen.report.held or {}).items():
        title, _, package = key.partition("/")
        offer = given.offers.get(title)
        if offer is None or given.forbidden(title):
            continue
        plays = {file.name: plays_of(given.forecast, offer, file) for file in offer.package.files}
        if package == offer.package_name:
            for file in offer.package.files:
                name = FileName(title, file.name)
                if name in disk.held and name not in wanted:
                    # A playlist goes with its title.
                    amount = plays[file.name] or max(plays.values())
                    yield _Spare(title, package, file, file.size, amount, name in copied)
        elif given.is_played_on(offer, package):
            # Its manifest is not offered any more: its files are taken to be as large as those that replaced them.
            sizes = {file.name: file.size for file in offer.package.files}
            size = sum(sizes.values()) if names == EVERY_FILE else sum(sizes.get(one, 0) for one in names)
            yield _Spare(title, package, None, size, max(plays.values(), default=0.0), False)


def _placed(target: Target) -> dict[FileName, list[Disk]]:
    """Where each file is to be in the end."""
    found: dict[FileName, list[Disk]] = {}
    for disk in target.disks.values():
        for line in disk.lines:
            found.setdefault(_name(line), []).append(disk)
    return found


def _drops(given: _Given, disk: Disk, night: _Night, placed: Mapping[FileName, Sequence[Disk]]) -> Iterator[Line]:
    """What may not be held first, then what makes room: worth least first, and last what others are to copy."""
    kept = {line.key for line in night.keeps}
    for_room: list[tuple[bool, float, Line]] = []
    for key, files in sorted((disk.seen.report.held or {}).items()):
        title, _, package = key.partition("/")
        offer = given.offers.get(title)
        forbidden = given.forbidden(title)
        if offer is None or offer.package_name != package:
            if key in night.played_on:
                continue
            replaced = f"replaced by package {offer.package_name}" if offer else "not offered any more"
            for one in files:
                yield Line(title=title, package=package, file=one, size=0, value=0.0, reason=forbidden or replaced)
            continue
        for file in offer.package.files:
            name = FileName(title, file.name)
            if name not in disk.held or (title, package, file.name) in kept:
                continue
            plays = plays_of(given.forecast, offer, file)
            reason = forbidden or _why_dropped(disk, night, plays, placed.get(name, ()), name)
            line = line_of(offer, file, plays * file.size, reason, given.policy)
            if forbidden:
                yield line
            else:
                is_copied = any(name not in home.held for home in placed.get(name, ()))
                for_room.append((is_copied, plays, line))
    yield from (line for *_, line in sorted(for_room, key=lambda item: (*item[:2], item[2].key)))


def _why_dropped(disk: Disk, night: _Night, plays: float, homes: Sequence[Disk], name: FileName) -> str:
    if homes:
        home = next((home for home in homes if name in home.held), homes[0])
        return f"its place is on {home.name}" + (", which has it" if name in home.held else "")
    if not plays:
        return "nothing is expected of it, and its room is needed"
    lowest = night.lowest if night.fetches else min((unit.density for unit in disk.units), default=0.0)
    if plays > lowest:
        return f"{plays:.2g} plays a day; it does not fit beside what is worth more"
    return f"{plays:.2g} plays a day; its room goes to what has at least {lowest:.2g}"
