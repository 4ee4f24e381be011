"""The fleet: what every appliance last said of itself, and what that makes of it now.

A report makes an appliance known; silence makes it lost. Two of the judgements have hysteresis, because players follow
them and each move costs them a switch:

    full    from 90 % of the capacity, until it is below 80 %
    lost    after `lost_after` seconds of silence, until the second report after it

Between two reports the sessions sent to an appliance are counted at their nominal bitrate, for they will not show in
what it serves before the next report or two, and a premiere starts thousands in that time.

Pure: a state machine that is told what arrived and what time it is (seconds of any one clock that does not jump).
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from config.units import show_duration, show_rate
from oca.errors import MessageError, NameInUse
from oca.report import Answer, Held, Report, held_version

# The pathway of every session that is not an appliance; no appliance may have its name.
ORIGIN = "origin"

FULL_AT, FREE_BELOW = 0.90, 0.80
REPORTS_TO_RETURN = 2
# A player's first segment comes within a second or two, a report each two seconds: after this it shows in the reports.
RESERVED_FOR_S = 6.0
# An appliance silent for so long was taken away; the fleet need not list it for ever.
FORGOTTEN_AFTER_S = 7 * 86400.0
# After a restart the appliances that steering knew are trusted for `lost_after`, unless it was down for longer.
STALE_AFTER_S = 600.0


class Health(StrEnum):
    HEALTHY = "healthy"
    FULL = "full"  # takes no new sessions, keeps those it has
    DRAINING = "draining"  # is being emptied
    UNHEALTHY = "unhealthy"  # names problems of its own
    LOST = "lost"  # is silent


@dataclass(frozen=True, slots=True)
class Known:
    """An appliance as the last report left it; `report.held` is always None, `held` is what was last told."""

    report: Report
    held: Held
    held_version: str
    heard_at: float
    trusted_until: float
    reports_wanted: int = 0  # before it is trusted again after it was lost
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class Appliance:
    """An appliance as steering sees it at one moment."""

    name: str
    site: str
    url: str
    health: Health
    reason: str  # why this health, in words
    load_bps: int  # what it serves, and what was sent there since
    capacity_bps: int
    held: Held

    @property
    def spare_bps(self) -> int:
        return max(0, self.capacity_bps - self.load_bps)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database keeps of an appliance; `age_s` is how long ago it was heard of."""

    report: Report
    held: Held
    held_version: str
    age_s: float


class Fleet:
    def __init__(self, lost_after: float) -> None:
        self._lost_after = lost_after
        self._known: dict[str, Known] = {}
        self._replaced: dict[str, deque[str]] = {}  # name -> instances that a newer one took over from
        self._reserved: dict[str, deque[tuple[float, int]]] = {}  # name -> (until, bit/s)
        # What is seen changes by a report, an admission, or when one of these moments has passed: of each appliance
        # the next, others in the heap are void.
        self._seen: dict[str, Appliance] = {}
        self._sites: dict[str, dict[str, Appliance]] = {}
        self._moments: list[tuple[float, str]] = []
        self._next_moment: dict[str, float] = {}

    def take(self, report: Report, now: float) -> Answer:
        """Takes a report in; the answer says which version of its `held` is known.

        Raises NameInUse (409), MessageError (400); then nothing changed.
        """
        self._check(report, now)
        known = self._known.get(report.name)
        if known is not None and known.report.instance == report.instance:
            if report.sequence <= known.report.sequence:
                return Answer(held_version=known.held_version)  # it was overtaken on the way
        elif known is not None:
            self._replaced.setdefault(report.name, deque(maxlen=8)).append(known.report.instance)
        taken = _after(known, report, now, self._lost_after)
        self._known[report.name] = dataclasses.replace(taken, is_full=self._judge_full(taken, now))
        self._look_at(report.name, now)
        return Answer(held_version=taken.held_version)

    def restore(self, stored: Iterable[Stored], now: float) -> None:
        """Knows again what the database kept. Who is back first wins: a report is never replaced by a memory."""
        for kept in stored:
            fresh = kept.age_s < STALE_AFTER_S
            trusted_until = (now if fresh else now - kept.age_s) + self._lost_after
            known = Known(kept.report, kept.held, kept.held_version, now - kept.age_s, trusted_until)
            self._known.setdefault(kept.report.name, known)
            self._look_at(kept.report.name, now)

    def admit(self, name: str, rate_bps: int, now: float) -> None:
        """A session of this nominal bitrate was just sent to the appliance."""
        known = self._known.get(name)
        if known is not None:
            self._reserved.setdefault(name, deque()).append((now + RESERVED_FOR_S, rate_bps))
            self._known[name] = dataclasses.replace(known, is_full=self._judge_full(known, now))
            self._look_at(name, now)

    def seen(self, now: float) -> Mapping[str, Appliance]:
        """Every appliance as it is now, by name; good until the next call of anything."""
        self._pass_moments(now)
        return self._seen

    def seen_at(self, site: str, now: float) -> Mapping[str, Appliance]:
        """Those of one site."""
        self._pass_moments(now)
        return self._sites.get(site, {})

    def sites(self) -> Collection[str]:
        """Where appliances stand."""
        return self._sites.keys()

    def _pass_moments(self, now: float) -> None:
        while self._moments and self._moments[0][0] < now:
            moment, name = heapq.heappop(self._moments)
            if self._next_moment.get(name) == moment:
                del self._next_moment[name]
                self._look_at(name, now)

    def _look_at(self, name: str, now: float) -> None:
        """Sees one appliance anew; a thousand sessions a second begin, and only one is another by each."""
        known, before = self._known[name], self._seen.get(name)
        forgotten_at = known.heard_at + FORGOTTEN_AFTER_S
        is_forgotten = now > forgotten_at
        if before is not None and (is_forgotten or before.site != known.report.site):
            del self._sites[before.site][name]
            if not self._sites[before.site]:
                del self._sites[before.site]
        if is_forgotten:
            del self._known[name]
            self._seen.pop(name, None)
            return
        seen = self._see(name, now)
        self._seen[name] = seen
        self._sites.setdefault(seen.site, {})[name] = seen
        moment = known.trusted_until if known.trusted_until >= now else forgotten_at
        if self._next_moment.get(name, math.inf) > moment:
            self._next_moment[name] = moment
            heapq.heappush(self._moments, (moment, name))

    def known(self) -> dict[str, Known]:
        """Every appliance as it last reported, by name."""
        return dict(self._known)

    def _check(self, report: Report, now: float) -> None:
        if report.name == ORIGIN:
            raise MessageError(f"not a report: name {ORIGIN!r} is the origin's, expected an appliance's", status=400)
        if report.held is not None and held_version(report.held) != report.held_version:
            raise MessageError(
                f"not a report: held_version {report.held_version!r} is not the version of its held files, "
                f"expected {held_version(report.held)!r}",
                status=400,
            )
        known = self._known.get(report.name)
        if known is None or known.report.instance == report.instance:
            return
        if report.instance in self._replaced.get(report.name, ()):
            raise NameInUse(f"{report.name}: another instance of this appliance took over from this one", status=409)
        if report.url != known.report.url and now <= known.trusted_until:
            raise NameInUse(
                f"{report.name}: an appliance of this name serves at {known.report.url}; give the one at {report.url} "
                "another name, or stop the first",
                status=409,
            )

    def _load(self, known: Known, now: float) -> int:
        reserved = self._reserved.get(known.report.name, deque())
        while reserved and reserved[0][0] <= now:
            reserved.popleft()
        return known.report.serving_bps + sum(rate for _, rate in reserved)

    def _judge_full(self, known: Known, now: float) -> bool:
        limit = FREE_BELOW if known.is_full else FULL_AT
        return self._load(known, now) >= limit * known.report.capacity_bps

    def _see(self, name: str, now: float) -> Appliance:
        known = self._known[name]
        load = self._load(known, now)
        health, reason = _judge(known, load, now, self._lost_after)
        report = known.report
        return Appliance(name, report.site, report.url, health, reason, load, report.capacity_bps, known.held)


def _after(known: Known | None, report: Report, now: float, lost_after: float) -> Known:
    """The appliance after a report that was found good."""
    held, version = (known.held, known.held_version) if known is not None else ({}, "")
    if report.held is not None:
        held, version = report.held, report.held_version
    wanted = 0
    if known is not None:
        was_lost = now > known.trusted_until
        wanted = REPORTS_TO_RETURN - 1 if was_lost else max(0, known.reports_wanted - 1)
    return Known(
        report=msgspec.structs.replace(report, held=None),
        held=held,
        held_version=version,
        heard_at=now,
        trusted_until=now + lost_after,
        reports_wanted=wanted,
        is_full=known.is_full if known is not None else False,
    )


def _judge(known: Known, load: int, now: float, lost_after: float) -> tuple[Health, str]:
    report = known.report
    if now > known.trusted_until:
        return Health.LOST, f"silent for more than {show_duration(lost_after)}"
    if known.reports_wanted:
        return Health.LOST, f"was lost and reports again; trusted after {known.reports_wanted} more"
    if report.problems:
        return Health.UNHEALTHY, "; ".join(report.problems)
    if report.state == "draining":
        return Health.DRAINING, "is being emptied, its sessions move away"
    amount = f"{show_rate(load)} of {show_rate(report.capacity_bps)}"
    if known.is_full:
        return Health.FULL, f"serves {amount}, takes no new sessions"
    return Health.HEALTHY, f"serves {amount}"
