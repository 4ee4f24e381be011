"""The appliance's admin address: /healthz, /readyz with reasons, /metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from oca.report import Players

if TYPE_CHECKING:
    from oca.appliance import Appliance


class _Collector:
    """Reads the parent's own numbers when asked; nothing is counted twice."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance

    def collect(self) -> Iterator[Metric]:
        appliance = self._appliance
        load = appliance.load
        total = load.total
        players = appliance.experience.players(time.monotonic()) or Players(0, 0, 0, 0)
        for name, text, value in (
            ("nearcast_oca_requests", "Answers given.", total["requests"]),
            ("nearcast_oca_sent_bytes", "Bytes of content sent.", total["bytes_sent"]),
            ("nearcast_oca_missed_bytes", "Bytes sent that had to be fetched first.", total["bytes_missed"]),
            ("nearcast_oca_errors", "Answers with a status of 500 or more.", total["errors"]),
            ("nearcast_oca_refused", "Connections and requests refused for want of room.", total["refused"]),
            ("nearcast_oca_tokens_refused", "Requests whose access token did not do.", total["tokens_refused"]),
            ("nearcast_oca_tokens_replayed", "Tokens seen again that ask to be noticed.", total["tokens_replayed"]),
            ("nearcast_oca_cmcd_ignored", "CMCD that could not be read.", total["cmcd_ignored"]),
            ("nearcast_oca_prefetched", "Pieces read ahead because a player named them.", total["prefetched"]),
            ("nearcast_oca_verified_bytes", "Read from disk before being served.", appliance.fetcher.verified_bytes),
            ("nearcast_oca_scrubbed_bytes", "Read from disk to find rot.", appliance.scrub.read_bytes),
            ("nearcast_oca_worker_restarts", "Workers that died and were started again.", appliance.workers.restarts),
        ):
            yield CounterMetricFamily(name, text, value)
        for name, text, gauge in (
            ("nearcast_oca_connections", "Clients connected.", total["connections"]),
            ("nearcast_oca_sessions", "Whose players say anything, of late.", players.sessions),
            ("nearcast_oca_starved_sessions", "Of four a network, those that starved.", players.starved),
            ("nearcast_oca_serving_bits_per_second", "What is served now.", load.bits_per_second()),
            ("nearcast_oca_capacity_bits_per_second", "What may be served.", appliance.settings.capacity),
            ("nearcast_oca_disk_bytes", "What all volumes may hold.", appliance.volumes.size_bytes),
            ("nearcast_oca_disk_used_bytes", "What they hold.", appliance.volumes.used_bytes),
            ("nearcast_oca_draining", "1 while draining.", float(appliance.state == "draining")),
            ("nearcast_oca_config_last_reload_successful", "1 if so.", float(not appliance.reload_failure)),
            ("nearcast_oca_config_last_reload_success_timestamp_seconds", "When.", appliance.reloaded_at),
            ("nearcast_oca_problems", "Things that are not well; /readyz names them.", len(appliance.problems)),
        ):
            yield GaugeMetricFamily(name, text, gauge)
        paths = GaugeMetricFamily("nearcast_oca_tls_path", "How content is encrypted: 1 for it.", labels=["path"])
        if appliance.workers.byte_path:
            paths.add_metric([appliance.workers.byte_path], 1)
        yield paths
        yield from _of_upstreams(appliance)
        rotten = CounterMetricFamily(
            "nearcast_oca_rotten_blocks", "Held blocks that were wrong, by what became of them.", labels=["outcome"]
        )
        for outcome in ("repaired", "missing", "dropped"):
            rotten.add_metric([outcome], appliance.fetcher.rotten_blocks[outcome])
        yield rotten
        yield from _of_volumes(appliance)


def _of_upstreams(appliance: Appliance) -> Iterator[Metric]:
    upstreams = appliance.upstreams.snapshot()
    for name, text, counts in (
        ("nearcast_oca_fetched_bytes", "Bytes fetched from each upstream.", [one.bytes for one in upstreams]),
        ("nearcast_oca_upstream_requests", "What each was asked.", [one.requests for one in upstreams]),
        ("nearcast_oca_upstream_failures", "How often it failed.", [one.failures for one in upstreams]),
        ("nearcast_oca_upstream_retries", "Requests of a second round.", [one.retries for one in upstreams]),
        ("nearcast_oca_upstream_busy", "Requests that waited in vain for their turn.", [one.busy for one in upstreams]),
        ("nearcast_oca_upstream_opened", "How often it was cut off.", [one.opened for one in upstreams]),
    ):
        family = CounterMetricFamily(name, text, labels=["upstream"])
        for upstream, count in zip(upstreams, counts, strict=True):
            family.add_metric([upstream.url], count)
        yield family
    states = GaugeMetricFamily("nearcast_oca_upstream_state", "1 for the state it is in.", labels=["upstream", "state"])
    for upstream in upstreams:
        for state in ("closed", "open", "half-open"):
            states.add_metric([upstream.url, state], float(upstream.state == state))
    yield states
    yield GaugeMetricFamily("nearcast_oca_retries_left", "Retries there are for now.", appliance.upstreams.retries_left)


def _of_volumes(appliance: Appliance) -> Iterator[Metric]:
    volumes = appliance.volumes.told()
    for name, text, values in (
        ("nearcast_oca_volume_bytes", "What the volume may hold.", [volume.size_bytes for volume in volumes]),
        ("nearcast_oca_volume_used_bytes", "What it holds.", [volume.used_bytes for volume in volumes]),
        ("nearcast_oca_volume_files", "Files that it holds whole.", [volume.files for volume in volumes]),
        ("nearcast_oca_volume_failed", "1 while it is taken out.", [int(bool(volume.failure)) for volume in volumes]),
    ):
        family = GaugeMetricFamily(name, text, labels=["volume"])
        for volume, value in zip(volumes, values, strict=True):
            family.add_metric([volume.path], value)
        yield family


def application(appliance: Appliance) -> web.Application:
    registry = CollectorRegistry()
    registry.register(_Collector(appliance))

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(request: web.Request) -> web.Response:
        reasons = [*appliance.problems]
        if appliance.state == "draining":
            reasons.append("draining")
        reasons += [f"worker {number} is not running" for number in appliance.workers.dead]
        notes = [*appliance.notes]
        if appliance.unsteered:
            notes.append(f"steering takes no reports: {appliance.unsteered}")
        status = 503 if reasons else 200
        return web.json_response({"ready": not reasons, "reasons": reasons, "notes": notes}, status=status)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app
