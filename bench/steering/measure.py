"""The cases, one after another: the table by itself, then a service at full size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp

from bench.errors import ProcessFailed
from bench.rows import Row
from bench.steering import composed, table, world
from bench.steering.result import row
from bench.steering.stage import TTL_S, Stage, cpu_s, memory, stage
from config.progress import Reporter

CASES = {"hls": "session starts, HLS", "dash": "session starts, DASH", "polls": "polls"}
_CONNECTIONS, _CONNECTIONS_PACED = 32, 256
_SESSIONS = 5_000
_ANSWER_LIMIT_S = 300.0
_POLL_EVERY_S = 0.1
_MEBI = 1024 * 1024
# It has settled when it was not calmer by so much of a core, so many times in a row.
_CALMER, _CALM_LOOKS, _SETTLE_LIMIT_S = 0.03, 2, 180.0


class Plan(NamedTuple):
    size: world.Size
    seconds: float  # of each measurement
    rounds: int
    reports_per_s: float


async def measure(
    plan: Plan, folder: Path, reporter: Reporter, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[Row], list[str]]:
    """Rows, and notes on how they came about; `environment` leads the service to what was compiled.

    Raises ProcessFailed.
    """
    size, path = plan.size, folder / "routes.table"
    reporter.say(f"table of {size.ipv4 + size.ipv6} prefixes")
    rows = _measure_table(plan, path)
    reporter.say(f"{size.titles} titles, {size.appliances} appliances in {size.sites} sites")
    async with stage(folder, size, path, plan.reports_per_s, environment) as running:
        rows += _measured_start(running)
        warmed = await running.players.ask(_ANSWER_LIMIT_S, ask="titles")
        rows.append(row("start", "until every title was asked for once, s", [warmed["seconds"]], "makes its manifests"))
        rows.append(await _settle(running, plan))
        told = await running.players.ask(_ANSWER_LIMIT_S, ask="sessions", count=_SESSIONS)
        for what, case in CASES.items():
            reporter.say(case)
            rows += await _measure_requests(running, plan, what, case)
        rows += _measured_memory(running)
        reports = await running.reporters.ask(_ANSWER_LIMIT_S, ask="counts")
        reporter.say("a lost report")
        rows += await _measure_loss(running, told)
    notes = [
        "steering is compiled (NEARCAST_COMPILE=3 pip install)" if environment else "steering is interpreted",
        f"an appliance's report each {size.appliances / plan.reports_per_s:.1f} s: {plan.reports_per_s:.0f} a second "
        f"in all, to the worker that is measured ({reports['left_out']} were left out as it was behind, "
        f"{reports['refused']} were refused)",
        f"{told['share_placed']:.0%} of the sessions were sent to an appliance first, the others to the origin",
        "every title and every prefix is asked for as often as any other"
        if size.is_even
        else "popular titles and large sites are asked for more (Zipf's law, exponent 0.8)",
        "packages have the segments of films, without media; each appliance holds 100 titles or half of them",
        "latency is from the moment at which a request was due (open loop, half of the peak's median)",
        "a peak is the best of its rounds: whatever else the machine does only takes away from it",
    ]
    return rows, notes


def _measure_table(plan: Plan, path: Path) -> list[Row]:
    built = [table.build(plan.size, path) for _ in range(min(2, plan.rounds))]
    note = f"{built[0].prefixes} prefixes"
    return [
        row("table", "build, s", [one.build_s for one in built], note, best=True),
        row("table", "memory, MB", [built[-1].size_bytes / 1e6], "mapped once by all workers"),
        row("table", "look-up, us", [s * 1e6 for s in table.look_up_s(plan.size, path, plan.rounds)], best=True),
    ]


def _measured_start(running: Stage) -> list[Row]:
    return [
        row("start", "until it listens, s", [running.start_s]),
        row("start", "until every title is known, s", [running.catalog_s]),
        row("start", "until every appliance has reported, s", [running.introduction_s], "with what it holds"),
    ]


async def _measure_requests(running: Stage, plan: Plan, what: str, case: str) -> list[Row]:
    idle = await _cpu_share(running, plan.seconds)
    peaks, costs = [], []
    for _ in range(plan.rounds):
        before, began = cpu_s(running.service.process_id), time.monotonic()
        peaks.append(await _run(running, plan, what, _CONNECTIONS, 0.0))
        if not peaks[-1]["per_s"]:
            raise ProcessFailed(f"{case}: no answer came within {plan.seconds} s; has the service a core to itself?")
        used = cpu_s(running.service.process_id) - before - idle * (time.monotonic() - began)
        costs.append(used / (peaks[-1]["per_s"] * plan.seconds))
    rates = sorted(one["per_s"] for one in peaks)
    half = rates[len(rates) // 2] / 2
    paced = [await _run(running, plan, what, _CONNECTIONS_PACED, half) for _ in range(plan.rounds)]
    refused = sum(one["refused"] for one in (*peaks, *paced))
    note = f"{refused} answers were no 200" if refused else ""
    rows = [row(case, "per second", rates, note, best=True)]
    if min(costs) > 0:
        told = f"processor time; reports take another {idle:.0%} of the core"
        rows.append(row(case, "each takes, us", [cost * 1e6 for cost in costs], told))
        free = [(1 - idle) / cost for cost in costs]
        rows.append(
            row(case, "per second of a core's time", free, "as the core has, if nobody else uses it", best=True)
        )
    for name, key in (("p50", "p50_s"), ("p99", "p99_s"), ("p99.9", "p999_s")):
        rows.append(row(case, f"{name} at half load, ms", [one[key] * 1000 for one in paced], f"{half:.0f} a second"))
    return rows


async def _settle(running: Stage, plan: Plan) -> Row:
    """Waits until the service has done what comes after a start: the journal's first hour, manifests made ahead."""
    began = time.monotonic()
    share = await _cpu_share(running, plan.seconds)
    calm = 0
    while calm < _CALM_LOOKS and time.monotonic() - began < _SETTLE_LIMIT_S:
        before, share = share, await _cpu_share(running, plan.seconds)
        calm = calm + 1 if share > before - _CALMER else 0
    return row("start", "until it had settled, s", [time.monotonic() - began], f"then {share:.0%} of the core is used")


async def _cpu_share(running: Stage, seconds: float) -> float:
    """Of a core, that the service uses while only appliances ask."""
    before, began = cpu_s(running.service.process_id), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_s(running.service.process_id) - before) / (time.monotonic() - began)


async def _run(running: Stage, plan: Plan, what: str, connections: int, rate: float) -> Mapping[str, Any]:
    return await running.players.ask(
        plan.seconds + _ANSWER_LIMIT_S,
        ask="run",
        what=what,
        connections=connections,
        seconds=plan.seconds,
        rate=rate,
    )


def _measured_memory(running: Stage) -> list[Row]:
    used = memory(running.service.process_id)
    return [
        row("memory", f"{name} of the worker, MiB", [used[key] / _MEBI])
        for name, key in (("resident", "Rss"), ("its share of it", "Pss"))
        if key in used
    ]


async def _measure_loss(running: Stage, session: Mapping[str, Any]) -> list[Row]:
    """From an appliance's last report to the first answer that sends one of its sessions elsewhere."""
    client, token, lost = session["client"], session["token"], session["pathway"]
    url = f"http://{running.host}:{running.port}/steer/hls?s={token}&_HLS_pathway={lost}"
    silenced = await running.reporters.ask(_ANSWER_LIMIT_S, ask="silence", appliance=lost)
    async with aiohttp.ClientSession(headers={"X-Forwarded-For": client}) as http:
        while True:
            async with http.get(url) as answer:
                first = composed.priority_of(await answer.read())[0]
            now = time.monotonic()
            if first != lost or now - silenced["last_at"] > 10 * running.lost_after_s:
                break
            await asyncio.sleep(_POLL_EVERY_S)
    took = now - silenced["last_at"]
    note = f"lost_after is {running.lost_after_s:.1f} s; a player hears of it by its next poll, {TTL_S} s later at most"
    return [
        row("a lost report", "to the first answer elsewhere, s", [took], note),
        row(
            "a lost report",
            "of that beyond lost_after, s",
            [took - running.lost_after_s],
            f"asked each {_POLL_EVERY_S} s",
        ),
    ]
