"""What steering counts, under the names that dashboards and alerts use."""

from __future__ import annotations

import collections
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from steering.fleet import Appliance, Health
from steering.ranking import Decision, Turn

# bit/s, from a phone at the edge of a cell to fibre
_THROUGHPUTS = (3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9)

_WHERE = {Turn.ORIGIN: "origin", Turn.CDN: "cdn"}


class Metrics:
    """One registry for each service, so that two in one process do not add up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "nearcast_steering_decisions",
            "Sessions started, by what placed the client, where the first pathway stands, and the experiments' cohort.",
            ("placed_by", "first", "cohort"),
            registry=self._registry,
        )
        self._decided: collections.Counter[tuple[str, str, str]] = collections.Counter()  # since it was last rendered
        self.polls = Counter(
            "nearcast_steering_polls",
            "Steering manifests given, by format and by what the session was (ours, foreign, unreadable, failed).",
            ("format", "session"),
            registry=self._registry,
        )
        self.reports = Counter(
            "nearcast_steering_reports", "Reports, by what became of them.", ("result",), registry=self._registry
        )
        self.throughput = Histogram(
            "nearcast_steering_player_throughput_bits_per_second",
            "What players measured, as they said when polling.",
            registry=self._registry,
            buckets=_THROUGHPUTS,
        )
        self._fleet = Gauge(
            "nearcast_steering_appliances", "Appliances by health.", ("health",), registry=self._registry
        )
        self._titles = Gauge("nearcast_steering_titles", "Titles that can be played.", registry=self._registry)
        self._stale = Gauge(
            "nearcast_steering_stale",
            "1 while players are steered by the last that was known of it.",
            ("what",),
            registry=self._registry,
        )
        self.replicas = Gauge(
            "nearcast_steering_replicas", "Steering processes that share the fleet.", registry=self._registry
        )
        self.reloaded = Gauge(
            "nearcast_steering_config_last_reload_successful", "1 if the last one was.", registry=self._registry
        )
        self.lag = Gauge("nearcast_steering_loop_lag_seconds", "How late the event loop runs.", registry=self._registry)
        self.reloaded.set(1)

    def decided(self, decision: Decision) -> None:
        first = decision.first
        where = _WHERE.get(first.turn) or ("local" if first.is_local else "remote")
        # To look a counter up by its labels takes 2 us, as much as a fifth of the decision.
        self._decided[decision.placement.by.value, where, decision.policy.cohort] += 1

    def render(self, fleet: tuple[Appliance, ...], titles: int, stale: Mapping[str, str]) -> bytes:
        """The text that Prometheus scrapes."""
        for labels, count in self._decided.items():
            self._decisions.labels(*labels).inc(count)
        self._decided.clear()
        for health in Health:
            self._fleet.labels(health.value).set(sum(appliance.health is health for appliance in fleet))
        self._titles.set(titles)
        for what, why in stale.items():
            self._stale.labels(what).set(bool(why))
        return generate_latest(self._registry)
