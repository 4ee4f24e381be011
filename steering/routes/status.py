"""What the routes process says of itself: metrics, and sessions in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.units import show_duration
from steering.routes.rib import SessionState


class Collector:
    """Reads the sessions when it is asked; nothing is counted twice."""

    def __init__(self, sessions: Callable[[], list[SessionState]], numbers: Callable[[], dict[str, float]]) -> None:
        """`numbers` are those of the process, by their names in _OF_PROCESS."""
        self._sessions, self._numbers = sessions, numbers
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        sessions = self._sessions()
        for name, text, value in (
            ("session_up", "1 while the BGP session is up.", lambda one: float(one.is_up)),
            ("session_accepted", "Routes of the session that are believed.", lambda one: one.accepted),
            ("session_stale", "Routes kept of a time before the session went down.", lambda one: one.stale),
            ("session_refused", "Routes over a limit, which are not kept.", lambda one: one.refused),
        ):
            family = GaugeMetricFamily(f"nearcast_routes_{name}", text, labels=["session"])
            for session in sessions:
                family.add_metric([session.name], value(session))
            yield family
        flaps = CounterMetricFamily("nearcast_routes_session_flaps", "How often it went down.", labels=["session"])
        filtered = GaugeMetricFamily(
            "nearcast_routes_session_filtered", "Routes not believed.", labels=["session", "reason"]
        )
        for session in sessions:
            flaps.add_metric([session.name], session.flaps)
            for reason, count in session.filtered.items():
                filtered.add_metric([session.name, reason], count)
        yield flaps
        yield filtered
        numbers = self._numbers()
        for name, text, kind in _OF_PROCESS:
            yield kind(f"nearcast_routes_{name}", text, numbers[name])


_OF_PROCESS = (
    ("prefixes_ipv4", "IPv4 prefixes in the table.", GaugeMetricFamily),
    ("prefixes_ipv6", "IPv6 prefixes in the table.", GaugeMetricFamily),
    ("updates", "Messages that announced or withdrew.", CounterMetricFamily),
    ("nonsense", "Lines of ExaBGP that could not be understood.", CounterMetricFamily),
    ("vrps", "Validated ROA payloads that routes are held against; 0: none are believed.", GaugeMetricFamily),
    ("troubles", "Things that are not well; /readyz names them.", GaugeMetricFamily),
)


def as_text(sessions: Iterable[SessionState], now: float) -> str:
    """A line for each session, and one more for each thing to know of it."""
    lines = []
    for one in sessions:
        state = "up" if one.is_up else "down"
        since = f" for {show_duration(max(0, round(now - one.since)))}" if one.since else ""
        counts = f"{one.announced[4]} IPv4, {one.announced[6]} IPv6; {one.accepted} believed"
        appliance = f" ({one.appliance})" if one.appliance else ""
        lines.append(f"{one.name}: {state}{since}, to {one.site}{appliance}: {counts}")
        if one.why:
            lines.append(f"  {one.why}")
        if one.stale:
            lines.append(f"  {one.stale} are kept of before it went down")
        lines += [f"  not believed: {count} {reason}" for reason, count in sorted(one.filtered.items())]
        if one.refused:
            lines.append(f"  refused: {one.refused} over a limit")
    return "\n".join(lines) or "no BGP session is configured"
