"""Steering as it was at a moment, or as it would have been: the director itself, over a fleet that the journal made.

What an appliance serves is what it reported then, and the difference that sessions make which are sent elsewhere than
they were: a session is reserved when it begins, as in the service; once it shows in the reports, it is taken from whom
it was sent to and given to whom it would have been sent to, until it ends.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping

from config.steering import SteeringSettings
from oca.report import FORMAT, Report
from steering.appliances.admission import RESERVED_FOR_S
from steering.appliances.experience import Verdict
from steering.appliances.fleet import Fleet, Stored
from steering.appliances.roll import Health
from steering.choice.explain import Explained
from steering.choice.ranking import Client, Decision
from steering.decisions import why_not_nearest
from steering.director import Director
from steering.journal.past import News, Offered, Past
from steering.journal.records import Decides, Standing, Ways
from steering.placement.geography import distance_km
from steering.placement.paths import network_key
from steering.placement.sites import By, Placement
from steering.replay.change import Change
from steering.replay.files import only_present
from steering.replay.loads import Loads
from steering.replay.plays import Play
from steering.replay.tally import Sent

# Appliances report so often: what moves between them shows as late as it would.
REPORT_EVERY_S = 2.0
# What the journal says of a way is of many samples; so many count for as much as one can.
_SAMPLES = 9


class World:
    """`remarks` say what could not be as it was."""

    def __init__(self, past: Past, change: Change, since: float = 0.0) -> None:
        """`past` is shared, and is told of everything first. Raises SitesError, GeographyError."""
        self._past, self._change = past, change
        self.now = past.at
        self.loads = Loads(since)
        self.remarks: dict[str, None] = {}  # in their order, each once
        self._moved: Counter[str] = Counter()  # appliance -> bit/s of sessions that came, less those that went
        self._moves: list[tuple[float, str, int]] = []  # a heap: when, and what changes
        self._to_report: set[str] = set()
        self._reported_at = self.now
        self._director = self._begin()

    @property
    def routes(self) -> int:
        """The generation of their table as it is now; 0 if it is not here."""
        table = self._director.network.routes
        return table.generation if table is not None else 0

    def take(self, news: News) -> None:
        """What is new in the journal. Raises SitesError, GeographyError."""
        self.pass_time(self._past.at)
        match news:
            case Decides():
                self._director = self._begin()
            case Standing():
                self._report(news)
            case Ways(ways=ways):
                self._learn(ways, self._director)

    def pass_time(self, now: float) -> None:
        self.now = max(self.now, now)
        while self._moves and self._moves[0][0] <= self.now:
            _, name, bps = heapq.heappop(self._moves)
            self._moved[name] += bps
            self._to_report.add(name)
        if self._to_report and self.now - self._reported_at >= REPORT_EVERY_S:
            for name in self._to_report & self._past.standings.keys():
                self._report(self._past.standings[name])
            self._to_report.clear()
            self._reported_at = self.now

    def explain(self, offered: Offered, address: str, session: str) -> Explained:
        """What a session that begins now is told, and why."""
        return self._director.reasons(self._director.choose(Client(address, session), offered.content))

    def send(self, play: Play, offered: Offered) -> Sent:
        """Begins a session of the log."""
        self.pass_time(play.time)
        client = Client(play.client, play.session)
        decision = self._director.choose(client, offered.content, self._placement(play))
        first = decision.first
        fleet = self._director.fleet
        fleet.admit(first.name, offered.title.nominal_bps, self.now)
        if _is_full(fleet, first.name, self.now):
            self.loads.fill(first.name, self.now)
        return Sent(first.name, first.site, why_not_nearest(decision), self._distance_km(decision))

    def move(self, bps: int, was: str, to: str, lasts_s: float) -> None:
        """A session that began now is another's than it was, by what its reports say."""
        if lasts_s <= RESERVED_FOR_S:
            return
        for name, more_bps in ((was, -bps), (to, bps)):
            heapq.heappush(self._moves, (self.now + RESERVED_FOR_S, name, more_bps))
            heapq.heappush(self._moves, (self.now + lasts_s, name, -more_bps))

    def _begin(self) -> Director:
        settings, remarks = only_present(self._change.apply(self._past.settings or SteeringSettings()))
        self.remarks |= dict.fromkeys(remarks)
        director = Director(settings, lambda: self.now, lambda: self.now)
        self._sites = director.network.sites
        for standing in self._past.standings.values():
            self._report(standing, director)
        self._learn(self._past.ways, director)
        return director

    def _learn(self, ways: Mapping[str, Mapping[str, float]], director: Director) -> None:
        for site, networks in ways.items():
            for network, rtt_ms in networks.items():
                director.paths.learn(network_key(network), site, rtt_ms, 0.0, _SAMPLES, self.now)

    def _placement(self, play: Play) -> Placement:
        """Where the client is: the log knows it of the whole address, and of the routes that there were."""
        placement = self._sites.place(play.client, self._director.network.geography)
        if self._change.sites is not None or (placement.site == play.site and play.by != By.ROUTE):
            return placement
        point = self._sites.point(play.site)
        return Placement(play.site, play.by, play.client, point=point, alternates=play.alternates)

    def _distance_km(self, decision: Decision) -> float:
        """The client's way to the first site; infinite where a place is not known."""
        here, there = decision.placement.point, self._sites.point(decision.first.site)
        if decision.first.is_local:
            return 0.0
        return distance_km(here, there) if here is not None and there is not None else math.inf

    def _report(self, standing: Standing, director: Director | None = None) -> None:
        name, is_lost = (
            standing.name,
            standing.health == Health.LOST or self._change.is_down(standing.name, standing.site),
        )
        serving_bps = max(0, standing.serving_bps + self._moved[name])
        report = Report(
            format=FORMAT, name=name, instance="journal", sequence=0, site=standing.site, url=standing.url,
            state=standing.state, problems=standing.problems, capacity_bps=standing.capacity_bps,
            serving_bps=serving_bps, connections=0, disk_bytes=0, disk_used_bytes=0, held_version=standing.held_version,
        )  # fmt: skip
        held = self._past.held(standing.held_version)
        verdict = Verdict(standing.is_stalling, standing.share, standing.verdict)
        stored = Stored(report, held, standing.held_version, 0.0)
        fleet = (director or self._director).fleet
        fleet.recall(stored, verdict, self.now, is_lost=is_lost, is_full=standing.health == Health.FULL)
        served_bps, is_full = 0 if is_lost else serving_bps, _is_full(fleet, name, self.now)
        self.loads.set(name, standing.site, served_bps, standing.capacity_bps, self.now, is_full=is_full)


def _is_full(fleet: Fleet, name: str, now: float) -> bool:
    seen = fleet.seen(now).get(name)
    return seen is not None and seen.health is Health.FULL
