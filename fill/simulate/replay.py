"""Plays the days through: each evening every policy decides on what was watched until then, and the day is served.

Sites that are alike are simulated once. Forecasts are made for each region from what all of its sites served, as
production does from their access logs; a site expects its share of that. The first days only teach: caches and
forecasts begin cold on them, and results begin after them.

Pure, but for the cache simulator that caches.py loads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fill.simulate import caches
from fill.simulate.alike import group
from fill.simulate.bound import most_hits
from fill.simulate.catalogue import HOURS, Catalogue, Floats, Ints
from fill.simulate.expect import Expectation
from fill.simulate.fleet import Fleet, Site
from fill.simulate.outcome import Day, Outcome, Result, SiteTotal
from fill.simulate.policies import (
    Disks,
    Known,
    Night,
    Nightly,
    NoFill,
    Oracle,
    Ours,
    Policy,
    Served,
    TitleLevel,
    Yesterday,
)
from fill.simulate.sampling import sample, whole
from fill.simulate.source import Requests, Source

# In the order in which they are shown.
POLICIES = (
    "no-fill", "lru", "s3-fifo", "sieve", "yesterday", "title-level", "ours-by-night", "ours",
    "oracle-by-night", "clairvoyant",
)  # fmt: skip
CLAIRVOYANT = "clairvoyant"
# Those that need requests in their order, not by the hour.
BY_REQUEST = tuple(name for name in POLICIES if name in caches.POLICIES or name == CLAIRVOYANT)
# Requests that each cache policy is simulated on, all sites together: five seconds' work.
MOST_REQUESTS = 10_000_000
# And at each kind of site no more than this: of a million requests a third told the offload within 0.006 on disks of a
# tenth of the catalogue and more, and within 0.012 on disks of a fiftieth.
MOST_AT_SITE = 500_000
# Kinds of sites that are simulated at most: more are grouped (alike.py), if need be as far as a factor of two apart.
MOST_KINDS = 100
# How much yesterday counts in a site's share of what its region watches.
_SHARE_STEP = 0.3

Progress = Callable[[float, str], None]


class Plan(NamedTuple):
    """`warm_up` days only teach; `policies` of POLICIES."""

    policies: Sequence[str]
    warm_up: int
    seed: int = 0


class Evenings(NamedTuple):
    """What a site knows on the evening before each day, in plays of its own: [day, file]."""

    yesterday: Floats
    expected: Floats
    share: Floats  # by day, of what its region watches

    def of(self, day: int) -> Known:
        return Known(self.yesterday[day] * self.share[day], self.expected[day] * self.share[day])


class Job(NamedTuple):
    """One kind of site, with all that it needs to be simulated on its own."""

    site: Site
    source: Source
    evenings: Evenings
    plan: Plan
    most_requests: int


@dataclass
class _Tally:
    """One policy's at one kind of site."""

    hits: Floats  # bytes by [day, hour]: what its appliances served
    fill: Floats  # bytes by day
    written: Floats
    put_off: Floats


@dataclass
class Played:
    """One kind of site, after all days."""

    site: Site
    asked: Floats  # bytes by [day, hour]
    members: tuple[Site, ...] = ()  # that it stands for
    tallies: dict[str, _Tally] = field(default_factory=dict)

    def tally(self, policy: str) -> _Tally:
        days = len(self.asked)
        return self.tallies.setdefault(
            policy, _Tally(np.zeros((days, HOURS)), np.zeros(days), np.zeros(days), np.zeros(days))
        )


# Does the same to each of many, in their order: `map`, or that of a pool of processes.
Each = Callable[[Callable[[Job], Played], Iterable[Job]], Iterable[Played]]


def simulate(
    name: str,
    fleet: Fleet,
    source: Source,
    plan: Plan,
    progress: Progress | None = None,
    each: Each = map,
    apart: Collection[str] = (),
) -> Outcome:
    """`apart` names sites that are never taken together with others that are nearly alike.

    Raises FillError where a cache policy is asked for and no cache simulator is installed.
    """

    def tell(share: float, note: str) -> None:
        if progress:
            progress(share, note)

    kinds = group(fleet, MOST_KINDS, apart).kinds
    sites = tuple(kind.site for kind in kinds)
    tell(0.0, "what is known by each evening")
    evenings = _evenings(sites, source)
    most = min(MOST_AT_SITE, MOST_REQUESTS // len(sites))
    jobs = (
        Job(site, source.alone(site.drawn_as, site.region), known, plan, most)
        for site, known in zip(sites, evenings, strict=True)
    )
    played = []
    for position, one in enumerate(each(play, jobs)):
        one.members = kinds[position].members
        played.append(one)
        tell((position + 1) / len(sites), f"{position + 1} of {len(sites)} kinds of sites")
    return Outcome(name=name, results=tuple(_result(policy, played, plan.warm_up) for policy in plan.policies))


def _evenings(fleet: Fleet, source: Source) -> list[Evenings]:
    """Learnt day by day from what all sites of a region served, whatever they hold."""
    size, days = source.catalogue.size, source.days
    nothing = np.zeros((days, len(size)))
    names = sorted({site.region for site in fleet})
    expectations = {name: Expectation(source.catalogue) for name in names}
    expected, yesterday = ({name: nothing.copy() for name in names} for _ in range(2))
    shares = np.zeros((len(fleet), days))
    for day in range(days):
        for name in names:
            expected[name][day] = expectations[name].plays()
        if day + 1 == days:
            break
        watched = {name: np.zeros(len(size)) for name in names}
        taken = np.zeros(len(fleet))
        for number, site in enumerate(fleet):
            own = source.watched(site.drawn_as, site.region, site.viewers, day)
            taken[number] = float(own @ size)
            watched[site.region] += own * site.count
        for name in names:
            expectations[name].learn(watched[name])
            yesterday[name][day + 1] = watched[name]
        totals = np.array([max(1e-9, float(watched[site.region] @ size)) for site in fleet])
        step = _SHARE_STEP if day else 1.0
        shares[:, day + 1] = shares[:, day] + step * (taken / totals - shares[:, day])
    return [
        Evenings(yesterday[site.region], expected[site.region], shares[number]) for number, site in enumerate(fleet)
    ]


def play(job: Job) -> Played:
    """All days of one kind of site."""
    site, source, plan = job.site, job.source, job.plan
    size = source.catalogue.size
    policies = _start(site, source.catalogue, plan)
    played = Played(site, np.zeros((source.days, HOURS)))
    days = []
    for day in range(source.days):
        nights = {name: policy.night(job.evenings.of(day)) for name, policy in policies.items()}
        # Only now does the day come.
        requests = source.requests(site.drawn_as, site.region, site.viewers, day)
        days.append(requests)
        counts = requests.plays(len(size))
        played.asked[day] = counts @ size
        for name, policy in policies.items():
            _note(played, name, day, nights[name], policy.day(counts))
    if any(policy in BY_REQUEST for policy in plan.policies):
        _play_by_request(played, days, size, plan, job.most_requests)
    return played


def _start(site: Site, catalogue: Catalogue, plan: Plan) -> dict[str, Policy]:
    disks = Disks(0 if site.is_lost else site.disk, site.reserve, site.night_bytes, len(site.boxes))
    size = catalogue.size
    made: dict[str, Policy] = {
        "no-fill": NoFill(),
        "yesterday": Yesterday(disks, size),
        "title-level": TitleLevel(disks, size, catalogue.title),
        "ours-by-night": Nightly(disks, size),
        "ours": Ours(disks, size),
        "oracle-by-night": Oracle(disks, size),
    }
    return {name: policy for name, policy in made.items() if name in plan.policies}


def _note(played: Played, policy: str, day: int, night: Night, served: Served) -> None:
    tally = played.tally(policy)
    tally.hits[day] = _within_capacity(played.site, served.hits)
    tally.fill[day] = night.fetched + served.fetched
    tally.put_off[day] = night.put_off
    tally.written[day] = tally.fill[day] + served.written


def _within_capacity(site: Site, hits: Floats) -> Floats:
    """What is held is served as far as the appliances can: the rest goes upstream like what is not held."""
    return np.asarray(np.minimum(hits, 0.0 if site.is_lost else site.capacity / 8 * 3600), dtype=np.float64)


def _play_by_request(played: Played, days: Sequence[Requests], size: Ints, plan: Plan, most: int) -> None:
    site = played.site
    files = np.concatenate([day.files for day in days])
    hours = np.concatenate([day.hours.astype(np.int64) + number * HOURS for number, day in enumerate(days)])
    amounts = np.concatenate([day.amounts for day in days]) * size[files]
    count = len(days) * HOURS
    rng = np.random.default_rng([plan.seed, crc32(site.drawn_as.encode())])
    disk = 0 if site.is_lost else site.disk
    made = sample(files, size, disk, most, rng)
    asked = files[made.requests]
    for policy in (policy for policy in plan.policies if policy in BY_REQUEST):
        if policy == CLAIRVOYANT:
            start, end = float(plan.warm_up * HOURS), float(count)
            hit = most_hits(asked, size[asked], _moments(hours)[made.requests], made.capacity, start, end)
        else:
            hit = caches.hits(policy, made.capacity, asked, size[asked])
        hits = whole(hit, made, files, amounts, hours, count).reshape(-1, HOURS)
        tally = played.tally(policy)
        # What is missed is kept for a while at least, whatever the policy; the clairvoyant is told of hits alone.
        is_kept = disk and policy != CLAIRVOYANT
        tally.written[:] = (played.asked - np.minimum(hits, played.asked)).sum(axis=1) if is_kept else 0.0
        tally.hits[:] = np.array([_within_capacity(site, day) for day in hits])


def _moments(hours: Ints) -> Floats:
    """A time for each request, in hours: those of one hour are spread over it evenly, in their order."""
    first = np.searchsorted(hours, hours, side="left")
    last = np.searchsorted(hours, hours, side="right")
    return np.asarray(hours + (np.arange(len(hours)) - first) / np.maximum(1, last - first))


def _result(policy: str, sites: Sequence[Played], warm_up: int) -> Result:
    days = len(sites[0].asked)
    return Result(
        policy=policy,
        days=tuple(_day(policy, sites, day, warm_up) for day in range(warm_up, days)),
        sites=tuple(_site_total(policy, played, member, warm_up) for played in sites for member in played.members),
        disk=sum(0 if played.site.is_lost else played.site.disk * played.site.count for played in sites),
    )


def _day(policy: str, sites: Sequence[Played], day: int, warm_up: int) -> Day:
    sums = dict.fromkeys(("served", "local", "elsewhere", "upstream", "fill", "written", "put_off", "fill_bps"), 0.0)
    link = np.zeros(HOURS)
    for played in sites:
        site, tally = played.site, played.tally(policy)
        asked, hits = played.asked[day], np.minimum(tally.hits[day], played.asked[day])
        foreign = site.guests / site.viewers if site.viewers else 0.0
        own = {
            "served": float(asked.sum()),
            "local": float(hits.sum()) * (1 - foreign),
            "elsewhere": float(hits.sum()) * foreign,
            "upstream": float((asked - hits).sum()),
            "fill": float(tally.fill[day]),
            "written": float(tally.written[day]),
            "put_off": float(tally.put_off[day]),
            "fill_bps": float(tally.fill[day]) * 8 / (site.window_h * 3600),
        }
        for key, amount in own.items():
            sums[key] += amount * site.count
        # Hours of all sites at one moment: 20:00 in Berlin is 19:00 UTC.
        link += np.roll((asked - hits) * site.count, -site.offset_h)
    return Day(day=day - warm_up, peak_bps=float(link.max()) * 8 / 3600, **sums)


def _site_total(policy: str, played: Played, member: Site, warm_up: int) -> SiteTotal:
    site, tally, asked = played.site, played.tally(policy), played.asked[warm_up:]
    hits = np.minimum(tally.hits[warm_up:], asked)
    foreign = site.guests / site.viewers if site.viewers else 0.0
    part = member.viewers / site.viewers if site.viewers else 1.0
    to_bps = part * 8 / 3600
    return SiteTotal(
        name=member.name,
        count=member.count,
        offload=float(hits.sum()) * (1 - foreign) / float(asked.sum()) if asked.sum() else 0.0,
        peak_upstream_bps=float((asked - hits).max(initial=0.0)) * to_bps,
        peak_served_bps=float(hits.max(initial=0.0)) * to_bps,
        peak_demand_bps=float(asked.max(initial=0.0)) * to_bps,
        capacity_bps=0.0 if member.is_lost else float(member.capacity),
        disk=0 if member.is_lost else member.disk,
        fill_a_day=float(tally.fill[warm_up:].mean()) * part if len(tally.fill) > warm_up else 0.0,
    )
