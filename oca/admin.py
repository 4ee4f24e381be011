"""The appliance's admin address: /healthz, /readyz with reasons, /metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from oca.appliance import Appliance


class _Collector:
    """Reads the parent's own numbers when asked; nothing is counted twice."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance

    def collect(self) -> Iterator[Metric]:
        appliance = self._appliance
        load = appliance.load
        for name, text, value in (
            ("nearcast_oca_requests", "Answers given.", load.requests),
            ("nearcast_oca_sent_bytes", "Bytes of content sent.", load.bytes_sent),
            ("nearcast_oca_missed_bytes", "Bytes sent that had to be fetched first.", load.bytes_missed),
            ("nearcast_oca_errors", "Answers with a status of 500 or more.", load.errors),
            ("nearcast_oca_worker_restarts", "Workers that died and were started again.", appliance.worker_restarts),
        ):
            yield CounterMetricFamily(name, text, value)
        for name, text, gauge in (
            ("nearcast_oca_connections", "Clients connected.", load.connections),
            ("nearcast_oca_serving_bits_per_second", "What is served now.", load.bits_per_second()),
            ("nearcast_oca_capacity_bits_per_second", "What may be served.", appliance.settings.capacity),
            ("nearcast_oca_disk_bytes", "What the volume may hold.", appliance.volume.size_bytes),
            ("nearcast_oca_disk_used_bytes", "What it holds.", appliance.volume.used_bytes),
            ("nearcast_oca_draining", "1 while draining.", float(appliance.state == "draining")),
            ("nearcast_oca_problems", "Things that are not well; /readyz names them.", len(appliance.problems)),
        ):
            yield GaugeMetricFamily(name, text, gauge)
        fetched = CounterMetricFamily(
            "nearcast_oca_fetched_bytes", "Bytes fetched from each upstream.", labels=["upstream"]
        )
        for upstream, count in appliance.upstreams.fetched_bytes.items():
            fetched.add_metric([upstream], count)
        yield fetched


def application(appliance: Appliance) -> web.Application:
    registry = CollectorRegistry()
    registry.register(_Collector(appliance))

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(request: web.Request) -> web.Response:
        reasons = [*appliance.problems.values()]
        if appliance.state == "draining":
            reasons.append("draining")
        reasons += [f"worker {n} is not running" for n, w in enumerate(appliance.workers) if not w.is_running]
        notes = [f"steering takes no reports: {appliance.unsteered}"] if appliance.unsteered else []
        status = 503 if reasons else 200
        return web.json_response({"ready": not reasons, "reasons": reasons, "notes": notes}, status=status)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app
