"""What steering counts, under the names that dashboards and alerts use."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from steering.fleet import Appliance, Health
from steering.ranking import Decision, Turn

# bit/s, from a phone at the edge of a cell to fibre
_THROUGHPUTS = (3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9)


class Metrics:
    """One registry for each service, so that two in one process do not add up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "nearcast_steering_decisions",
            "Sessions started, by what placed the client and where the first pathway stands.",
            ("placed_by", "first"),
            registry=self._registry,
        )
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
        self._catalog_current = Gauge(
            "nearcast_steering_catalog_up_to_date", "1 if the origin answered last time.", registry=self._registry
        )
        self._database_works = Gauge(
            "nearcast_steering_database_up", "1 if the fleet database took the last write.", registry=self._registry
        )
        self.reloaded = Gauge(
            "nearcast_steering_config_last_reload_successful", "1 if the last one was.", registry=self._registry
        )
        self.lag = Gauge("nearcast_steering_loop_lag_seconds", "How late the event loop runs.", registry=self._registry)
        self.reloaded.set(1)

    def decided(self, decision: Decision) -> None:
        first = decision.first
        where = "origin" if first.turn is Turn.ORIGIN else "local" if first.is_local else "remote"
        self._decisions.labels(decision.placement.by.value, where).inc()

    def render(self, fleet: tuple[Appliance, ...], titles: int, catalog_trouble: str, database_trouble: str) -> bytes:
        """The text that Prometheus scrapes."""
        for health in Health:
            self._fleet.labels(health.value).set(sum(appliance.health is health for appliance in fleet))
        self._titles.set(titles)
        self._catalog_current.set(not catalog_trouble)
        self._database_works.set(not database_trouble)
        return generate_latest(self._registry)
