"""The stage of the benchmark: origin, service, reporters and players, the service on a core of its own."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.errors import ProcessFailed
from bench.processes import Process
from bench.steering import world
from bench.steering.dialogue import Dialogue
from oca.tokens import base64url

# A catalog of 10,000 titles is read in a minute or two.
_READY_LIMIT_S = 600.0
_INTRODUCTION_LIMIT_S = 300.0
TTL_S = 10
# Silent for three reports is lost.
REPORTS_TO_BE_LOST = 3
_LEAST_LOST_AFTER_S = 2.0  # less is not told from a busy machine


@dataclass(frozen=True)
class Stage:
    """What runs. Seconds are how long each step of the start took."""

    service: Process
    host: str
    port: int
    players: Dialogue
    reporters: Dialogue
    lost_after_s: float
    start_s: float  # until it listens
    catalog_s: float  # until it knows every title
    introduction_s: float  # until every appliance has reported once


@asynccontextmanager
async def stage(
    folder: Path, size: world.Size, table: Path, reports_per_s: float, environment: Mapping[str, str]
) -> AsyncIterator[Stage]:
    """`environment` is added to the service's. Raises ProcessFailed."""
    ours, theirs = _cores()
    numbers = [str(int(number)) for number in size]
    origin = Process("origin", folder, "bench.steering.origin", numbers)
    serve = ["serve", "--config", str(folder / "steering.toml")]
    service = Process("steering", folder, "steering", serve, environment)
    helpers: list[Dialogue] = []
    lost_after_s = max(_LEAST_LOST_AFTER_S, REPORTS_TO_BE_LOST * size.appliances / reports_per_s)
    try:
        origin.start()
        _pin(origin, theirs)
        origin_address = await origin.ready()
        _write_configuration(folder, size, table, origin_address, lost_after_s)
        began = time.monotonic()
        service.start()
        _pin(service, ours)
        address = await service.ready()
        start_s = time.monotonic() - began
        host, _, port = address.rpartition(":")
        catalog_s = await _until_known(address, size.titles)
        reporters = Dialogue("bench.steering.reporters", [host, port, str(reports_per_s), *numbers], theirs)
        players = Dialogue("bench.steering.load", [host, port, *numbers], theirs)
        for helper in (reporters, players):
            helpers.append(helper)
            await helper.start()
        told = await reporters.ask(_INTRODUCTION_LIMIT_S, ask="introduce")
        if told["refused"]:
            raise ProcessFailed(f"the service refused {told['refused']} of {told['answered']} first reports")
        yield Stage(
            service, host, int(port), players, reporters, lost_after_s, start_s, catalog_s, float(told["seconds"])
        )
    finally:
        for helper in helpers:
            await helper.close()
        await service.stop()
        await origin.stop()


def memory(process_id: int) -> dict[str, int]:
    """Rss and Pss of a process in bytes (proc(5), smaps_rollup); nothing where the system does not tell."""
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines[1:])
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in fields if name in ("Rss:", "Pss:")}


def cpu_s(process_id: int) -> float:
    """Processor time that a process has used (proc(5), stat: utime and stime); 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cores() -> tuple[list[int], list[int]]:
    """The service's, and everybody else's; the same one where there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return [0], [0]
    first, *others = sorted(os.sched_getaffinity(0))
    return [first], others or [first]


def _pin(process: Process, cores: list[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.process_id, cores)  # threads that it starts later inherit it


async def _until_known(address: str, titles: int) -> float:
    """Asks until every title is known; how long that took. Raises ProcessFailed."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:
        while time.monotonic() - began < _READY_LIMIT_S:
            async with session.get(f"http://{address}/metrics") as answer:
                text = await answer.text()
            known = next(line for line in text.splitlines() if line.startswith("nearcast_steering_titles "))
            if float(known.split()[1]) >= titles:
                return time.monotonic() - began
            await asyncio.sleep(0.1)
    raise ProcessFailed(f"the service did not know {titles} titles after {_READY_LIMIT_S:.0f} s")


def _write_configuration(folder: Path, size: world.Size, table: Path, origin: str, lost_after_s: float) -> None:
    key = {"kty": "oct", "kid": "bench", "alg": "HS256", "k": base64url.encode(os.urandom(32))}
    (folder / "keys.json").write_text(json.dumps({"keys": [key]}))
    settings: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "url": "https://steering.example.net",
        "origin": f"http://{origin}",
        "database": f"sqlite:///{folder}/steering.sqlite",
        "decision_log": f"{folder}/decisions.log",
        "journal": f"{folder}/journal",
        "token_keys": f"{folder}/keys.json",
        "routes": str(table),
        "trusted_proxies": ["127.0.0.1/32"],
        "ttl": TTL_S,
        "lost_after": f"{lost_after_s:.3f}s",
        "session_key": "bench",
    }
    lines = ["[steering]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    for place in world.places(size):
        lines += ["[[steering.sites]]", f'name = "{place.name}"', f'isp = "{place.isp}"']
        lines += [f"latitude = {place.latitude}", f"longitude = {place.longitude}"]
    (folder / "steering.toml").write_text("\n".join(lines) + "\n")
