"""What steering counts, under the names that dashboards and alerts use.

What tells how sessions fare has the label `cohort`, of the experiments that they are in: an experiment is worth what
can be seen of it beside the others.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from steering.appliances.roll import Appliance, Health
from steering.choice.ranking import Decision, Turn

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
        self._polls = Counter(
            "nearcast_steering_polls",
            "Steering manifests given, by format, by what the session was (ours, foreign, unreadable, failed), and by "
            "the experiments' cohort.",
            ("format", "session", "cohort"),
            registry=self._registry,
        )
        self._polled: collections.Counter[tuple[str, str, str]] = collections.Counter()  # since it was last rendered
        self._complaints = Counter(
            "nearcast_steering_complaints",
            "Stalls, failures and errors that players told of, by the experiments' cohort; '?': of no session of ours.",
            ("cohort",),
            registry=self._registry,
        )
        self._disbelieved = Counter(
            "nearcast_steering_complaints_disbelieved",
            "Those by sessions that complained of another appliance already.",
            registry=self._registry,
        )
        self._told: collections.Counter[str] = collections.Counter()  # complaints by cohort, as last rendered
        self._told_disbelieved = 0
        self.reports = Counter(
            "nearcast_steering_reports", "Reports, by what became of them.", ("result",), registry=self._registry
        )
        throughput = Histogram(
            "nearcast_steering_player_throughput_bits_per_second",
            "What players measured, as they said when polling, by the experiments' cohort.",
            ("cohort",),
            registry=self._registry,
            buckets=_THROUGHPUTS,
        )
        self._throughput = lru_cache(256)(throughput.labels)
        self._fleet = Gauge(
            "nearcast_steering_appliances", "Appliances by health.", ("health",), registry=self._registry
        )
        self._paths = Gauge(
            "nearcast_steering_paths", "Ways between sites and networks that were measured.", registry=self._registry
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

    def polled(self, form: str, session: str, decision: Decision | None) -> None:
        """`session` is what the token was; there is no decision where that failed."""
        self._polled[form, session, decision.policy.cohort if decision is not None else ""] += 1

    def measured(self, throughput_bps: int, decision: Decision | None) -> None:
        self._throughput(decision.policy.cohort if decision is not None else "").observe(throughput_bps)

    def complained(self, by_cohort: Mapping[str, int], disbelieved: int) -> None:
        """All since the start."""
        for cohort, count in by_cohort.items():
            self._complaints.labels(cohort).inc(count - self._told[cohort])
        self._told = collections.Counter(by_cohort)
        self._disbelieved.inc(disbelieved - self._told_disbelieved)
        self._told_disbelieved = disbelieved

    def render(self, fleet: tuple[Appliance, ...], titles: int, paths: int, stale: Mapping[str, str]) -> bytes:
        """The text that Prometheus scrapes."""
        for counter, counted in ((self._decisions, self._decided), (self._polls, self._polled)):
            for labels, count in counted.items():
                counter.labels(*labels).inc(count)
            counted.clear()
        self._paths.set(paths)
        for health in Health:
            self._fleet.labels(health.value).set(sum(appliance.health is health for appliance in fleet))
        self._titles.set(titles)
        for what, why in stale.items():
            self._stale.labels(what).set(bool(why))
        return generate_latest(self._registry)
