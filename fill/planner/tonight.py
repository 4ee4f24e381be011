"""How much of what a cluster should hold one night brings: within window, rate and budget, the best for a byte first.

What is left over is fetched on later nights, and nothing is dropped for it before: room is made only for what comes.
Before everything else comes what is released soon, then what is pinned. What may not be held any more (withdrawn,
replaced, banned, its licence over) is dropped at once.

A file that nobody at the site holds costs the site's budget once for each of its masters; the others copy it from them.

Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from encoder.package import StoredFile
from fill.appliances import Seen
from fill.forecast.expected import Forecast
from fill.names import FileName, Offer
from fill.planner.cluster import COPY_VALUE, Disk, Target, Unit, line_of, plays_of
from fill.planner.form import FORMAT, Line, Plan
from fill.planner.terms import SiteTerms
from fill.policy import Policy


@dataclass
class _Night:
    """One appliance's fetches, and what is left for later."""

    can_fetch: float  # bytes
    fetches: list[Line] = field(default_factory=list)
    from_outside: int = 0
    left: list[Line] = field(default_factory=list)


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
    region = terms.region
    by_title = {offer.package.title: offer for offer in offers}
    each = terms.bytes_of_each(len(target.disks))
    nights = {name: _Night(math.inf if each is None else each) for name in target.disks}
    outside = terms.bytes_from_outside
    spare = _choose_fetches(target, nights, max(1, terms.masters), math.inf if outside is None else outside, only)
    plans = {}
    for name, disk in target.disks.items():
        night = nights[name]
        keeps = list(_keeps(disk, night, by_title, forecast, policy, region, terms.reserve, now))
        budget = 0
        if outside is not None:
            # 0 would be no limit; what nobody plans to use is shared out, for masters fail and others stand in.
            budget = max(1, night.from_outside + int(spare / len(target.disks)))
        plans[name] = Plan(
            format=FORMAT,
            appliance=name,
            site=site,
            version=0,
            made_at=now,
            fetches=tuple(night.fetches),
            keeps=tuple(keeps),
            drops=tuple(_drops(disk, keeps, by_title, forecast, policy, region, now)),
            share=disk.serves / target.demand if target.demand else 0.0,
            gap=target.gap,
            bound=target.bound,
            rate_bps=terms.rate_of_each(len(target.disks)) or 0,
            budget_bytes=budget,
            stay=target.stay,
            peak_bps=disk.peak_bps,
            left_files=len(night.left),
            left_bytes=sum(line.size for line in night.left),
            at_once=only is not None,
        )
    return plans


def _choose_fetches(
    target: Target,
    nights: Mapping[str, _Night],
    masters: int,
    outside: float,
    only: frozenset[FileName] | None,
) -> float:
    """Gives each night its fetches, in order; what is left of `outside`."""
    held_here = _held_by_site([disk.seen for disk in target.disks.values()], target)
    fetched: Counter[tuple[str, str, str]] = Counter()
    units = [(name, unit) for name, disk in target.disks.items() for unit in disk.units]
    for name, unit in sorted(units, key=_fetch_order):
        night = nights[name]
        wanted = [line for line in unit.lines if not target.disks[name].seen.holds(*line.key)]
        from_outside = [line for line in wanted if line.key not in held_here and fetched[line.key] < masters]
        cost, outside_cost = sum(line.size for line in wanted), sum(line.size for line in from_outside)
        may_come = only is None or any(FileName(line.title, line.file) in only for line in unit.lines)
        if not may_come or cost > night.can_fetch or outside_cost > outside:
            night.left += wanted
            continue
        night.can_fetch -= cost
        outside -= outside_cost
        night.from_outside += outside_cost
        for line in wanted:
            fetched[line.key] += 1
            night.fetches.append(msgspec.structs.replace(line, master=line in from_outside))
    return outside


def _fetch_order(item: tuple[str, Unit]) -> tuple[bool, float, int, str, str]:
    name, unit = item
    return (not unit.is_soon, -unit.worth, unit.copy, "/".join(unit.lines[-1].key), name)


def _held_by_site(cluster: Iterable[Seen], target: Target) -> set[tuple[str, str, str]]:
    """Files that somebody at the site has, and will be there tonight to be asked for."""
    alive = [seen for seen in cluster if seen.health != "lost"]
    wanted = {line.key for disk in target.disks.values() for unit in disk.units for line in unit.lines}
    return {key for key in wanted if any(seen.holds(*key) for seen in alive)}


def _keeps(
    disk: Disk,
    night: _Night,
    offers: Mapping[str, Offer],
    forecast: Forecast,
    policy: Policy,
    region: str,
    reserve: float,
    now: float,
) -> Iterator[Line]:
    """What is wanted and held; then what is held and not wanted, while nothing that comes tonight needs its room."""
    room = int(disk.seen.report.disk_bytes * (1 - min(max(reserve, 0.0), 1.0)))
    room -= sum(line.size for line in night.fetches)
    for unit in disk.units:
        for line in unit.lines:
            if disk.seen.holds(*line.key):
                room -= line.size
                yield line
    spare: list[tuple[float, Offer, StoredFile]] = []
    for key in disk.seen.report.held or {}:
        title, _, package = key.partition("/")
        offer = offers.get(title)
        if offer is None or offer.package_name != package or not policy.may_hold(title, region, now):
            continue
        spare += [
            (plays_of(forecast, offer, file), offer, file)
            for file in offer.package.files
            if disk.seen.holds(title, package, file.name) and (title, file.name) not in disk.placed
        ]
    for plays, offer, file in sorted(spare, key=lambda item: (-item[0], item[1].package.title, item[2].name)):
        if file.size <= room:
            room -= file.size
            yield line_of(offer, file, plays * file.size * COPY_VALUE, "held, and there is room", policy)


def _drops(
    disk: Disk,
    keeps: Iterable[Line],
    offers: Mapping[str, Offer],
    forecast: Forecast,
    policy: Policy,
    region: str,
    now: float,
) -> Iterator[Line]:
    """What may not be held first, then what makes room, worth least first."""
    kept = {line.key for line in keeps}
    for_room = []
    for key, files in sorted((disk.seen.report.held or {}).items()):
        title, _, package = key.partition("/")
        offer = offers.get(title)
        if offer is None or offer.package_name != package:
            reason = f"replaced by package {offer.package_name}" if offer else "not offered any more"
            for name in files:
                yield Line(title=title, package=package, file=name, size=0, value=0.0, reason=reason)
            continue
        forbidden = _forbidden(policy, title, region, now)
        for file in offer.package.files:
            if (title, package, file.name) in kept or not disk.seen.holds(title, package, file.name):
                continue
            plays = plays_of(forecast, offer, file)
            better = f"{plays:.2g} plays a day; its room goes to what has at least {disk.lowest:.2g}"
            line = line_of(offer, file, plays * file.size, forbidden or better, policy)
            if forbidden:
                yield line
            else:
                for_room.append((plays, line))
    yield from (line for _, line in sorted(for_room, key=lambda item: (item[0], item[1].key)))


def _forbidden(policy: Policy, title: str, region: str, now: float) -> str:
    if policy.may_hold(title, region, now):
        return ""
    if title in policy.ban:
        return "banned"
    return "its licence is over" if now >= policy.release(title).until else f"not licensed in region {region}"
