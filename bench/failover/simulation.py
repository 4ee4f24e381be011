"""The clock of a run, and who gets how much of whose bandwidth.

Time goes in steps of a tenth of a second. In each, every viewer that waits for bytes gets what its link gives, unless
the server has less for all that it serves: then they share it evenly, as connections of one bottleneck do (max-min).
Appliances report what they sent, steering's director hears it, and whoever polls or begins is answered by the director.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence

from bench.failover.outcome import Outcome
from bench.failover.scenario import Scenario
from bench.failover.viewer import Viewer
from bench.failover.world import FILM, Server, Watcher, World, report_of
from steering.appliances.fleet import ORIGIN
from steering.director import Director

STEP_S = 0.1
_REPORT_EVERY_S = 2.0
# A request's way there and back, and a connection's before it: beside the viewer, in its region, elsewhere.
_LATENCY_S = (0.02, 0.06, 0.15)
# Seconds since 1970 at the beginning of a run: any will do, the film is always available.
_EPOCH = 1_700_000_000.0


class Simulation:
    def __init__(self, world: World, scenario: Scenario, *, seed: int) -> None:
        self._world, self._scenario = world, scenario
        self._now = 0.0
        self._draw = random.Random(seed)
        self._director = Director(world.settings, lambda: self._now, lambda: _EPOCH + self._now)
        self._director.catalog.titles = {FILM: world.title}
        self._director.catalog.is_known = True
        self._servers = {server.name: server for server in world.servers}
        self._sent = dict.fromkeys(self._servers, 0.0)  # bytes since its last report
        self._waiting: dict[str, list[Viewer]] = {name: [] for name in self._servers}
        # (moment, order, what happens then); `order` keeps equal moments apart.
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._running = 0
        self._bytes = self._origin_bytes = 0.0
        self.outcome = Outcome(scenario)

    def run(self, on_step: Callable[[float], None] = lambda now: None) -> Outcome:
        """Until every viewer has seen the film or given up; `on_step` hears the time of each second."""
        for server in self._world.servers[:-1]:
            self._at(self._draw.uniform(0.0, _REPORT_EVERY_S), self._reporter(server))
        for watcher in self._world.watchers:
            # Not before each appliance has reported.
            self._at(_REPORT_EVERY_S + watcher.begins_at_s, self._beginner(watcher))
        self._running = len(self._world.watchers)
        steps = 0
        while self._running:
            while self._agenda[0][0] <= self._now:
                heapq.heappop(self._agenda)[2]()
            for server in self._world.servers:
                if viewers := self._waiting[server.name]:
                    self._serve(server, viewers)
            steps += 1
            self._now = steps * STEP_S
            if steps % 10 == 0:
                on_step(self._now)
        self.outcome.from_origin = self._origin_bytes / max(self._bytes, 1.0)
        return self.outcome

    def _at(self, moment: float, what: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._agenda, (moment, self._planned, what))

    def _serve(self, server: Server, viewers: list[Viewer]) -> None:
        """Gives one step's bytes to those who wait for them."""
        links = [viewer.watcher.trace.at(self._now + viewer.watcher.trace_from_s) for viewer in viewers]
        if self._scenario.cuts(server.region, self._now):
            rates = [0.0] * len(viewers)
            self.outcome.last_asked_s = self._now
        else:
            rates = share(links, server.capacity_bps)
        finished = []
        for viewer, rate in zip(viewers, rates, strict=True):
            received = rate * STEP_S / 8
            self._sent[server.name] += received
            self._bytes += received
            self._origin_bytes += received if server.name == ORIGIN else 0.0
            viewer.take(received, self._now + STEP_S)
            if viewer.is_done or viewer.fetches_at < float("inf"):
                finished.append(viewer)
        for viewer in finished:
            viewers.remove(viewer)
            if viewer.is_done:
                self._running -= 1
            else:
                self._at(viewer.fetches_at, self._asker(viewer))

    def _reporter(self, server: Server) -> Callable[[], None]:
        sequence = 0

        def report() -> None:
            nonlocal sequence
            sequence += 1
            serving = self._sent[server.name] * 8 / _REPORT_EVERY_S
            peaks = self.outcome.peak_load
            peaks[server.name] = max(peaks.get(server.name, 0.0), serving / server.capacity_bps)
            self._sent[server.name] = 0.0
            is_silent = self._scenario.loses_reports and self._scenario.is_on(self._now)
            if not is_silent and not self._scenario.cuts(server.region, self._now):
                connections = len(self._waiting[server.name])
                self._director.take(report_of(server, self._world.title, sequence, serving, connections))
            self._at(self._now + _REPORT_EVERY_S, report)

        return report

    def _beginner(self, watcher: Watcher) -> Callable[[], None]:
        def begin() -> None:
            play = self._director.play(FILM, watcher.address, watcher.session, round(_EPOCH + self._now))
            viewer = Viewer(watcher, play.decision.listed, self._world.segment_bytes, self._now)
            viewer.token = play.token
            self.outcome.viewers.append(viewer)
            self._steerer(viewer)()
            self._asker(viewer)()

        return begin

    def _steerer(self, viewer: Viewer) -> Callable[[], None]:
        def steer() -> None:
            if viewer.is_done:
                return
            poll = self._director.poll(viewer.token, viewer.watcher.address, viewer.using)
            viewer.token = poll.token or viewer.token
            viewer.follow(poll.priority, [clone.name for clone in poll.clones])
            self._at(self._now + poll.ttl, steer)

        return steer

    def _asker(self, viewer: Viewer) -> Callable[[], None]:
        def arrives() -> None:
            self._waiting[viewer.pathway].append(viewer)

        def ask() -> None:
            viewer.ask(self._now)
            self._at(self._now + self._latency(viewer), arrives)

        return ask

    def _latency(self, viewer: Viewer) -> float:
        server, watcher = self._servers[viewer.pathway], viewer.watcher
        near, region, far = _LATENCY_S
        return near if server.site == watcher.site else region if server.region == watcher.region else far


def share(wanted: Sequence[float], capacity: float) -> list[float]:
    """Max-min: nobody gets more than it wants, and who gets less than that gets as much as any other."""
    if sum(wanted) <= capacity:
        return list(wanted)
    given = [0.0] * len(wanted)
    left, ahead = capacity, len(wanted)
    for at in sorted(range(len(wanted)), key=wanted.__getitem__):
        given[at] = min(wanted[at], left / ahead)
        left -= given[at]
        ahead -= 1
    return given
