"""The three speeds of filling, in a network of real processes that nobody plans for by hand."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.fleet import Fleet
from bench.processes import Process
from encoder.package import MANIFEST_NAME, decode
from fill.errors import NoPlan
from fill.planner.store import read_published
from origin.publish import withdraw
from origin.storage import Storage, open_storage
from tests.media import make_package
from tests.waiting import until

pytestmark = pytest.mark.slow


def closed_window() -> str:
    """An hour that begins in five to six hours."""
    hour = (datetime.now(UTC).hour + 6) % 24
    return f"{hour:02}:00-{hour + 1:02}:00"


class Services:
    """The processes of filling in a network, and what all of them are told."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._common = [
            f"--plans=file://{fleet.folder}/plans",
            f"--steering={fleet.steering_url}",
            f"--origin={fleet.origin_url}",
        ]
        self._logs = ["--access-logs", ",".join(fleet.access_logs), "--decision-logs", ",".join(fleet.decision_logs)]
        self._window = f"--window={closed_window()}"
        self._processes: list[Process] = []

    def start_agents(self) -> None:
        for name in self.fleet.places:
            who = [f"--appliance={name}", f"--socket={self.fleet.socket(name)}", "--poll-every=300ms", self._window]
            self._start(f"agent-{name}", ["run", *who, *self._common])

    def start_follower(self) -> None:
        events = ["--events", f"file://{self.fleet.folder}/events"]
        self._start("follow", ["follow", "--every=500ms", self._window, *self._common, *events, *self._logs])

    def _start(self, name: str, words: list[str]) -> None:
        process = Process(name, self.fleet.folder / "logs", "fill", words)
        process.start(announces=False)
        self._processes.append(process)

    async def stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def tell(self, *words: str) -> Any:
        """What a command says in JSON."""
        command = [sys.executable, "-m", "fill", *words, *self._common, "--json"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(60):
            told, _ = await process.communicate()
        assert process.returncode == 0, told
        return json.loads(told)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """Agents beside all appliances, whose windows are closed."""
    async with Fleet(tmp_path) as fleet:
        services = Services(fleet)
        try:
            services.start_agents()
            yield services
        finally:
            await services.stop()


async def is_planned(plans: Storage, name: str) -> bool:
    try:
        await read_published(plans, name)
    except NoPlan:
        return False
    return True


def holders(seen: dict[str, Any], key: str) -> set[str]:
    return {name for name, one in seen.items() if key in one["report"]["held"]}


def has_all(fleet: Fleet, key: str, size: int) -> Callable[[dict[str, Any]], bool]:
    """Each site has all of the package, on one appliance or several."""

    def is_so(seen: dict[str, Any]) -> bool:
        held = dict.fromkeys(fleet.sites.values(), 0)
        for name in holders(seen, key):
            held[fleet.sites[name]] += seen[name]["report"]["disk_used_bytes"]
        return min(held.values()) >= size

    return is_so


async def test_what_is_published_by_day_is_filled_at_once_and_what_is_withdrawn_is_dropped(
    services: Services, package: Path, tmp_path: Path
) -> None:
    fleet = services.fleet
    await fleet.publish(make_package(tmp_path / "other", "other", size=100_000))  # a catalog is never empty
    services.start_follower()
    async with open_storage(f"file://{fleet.folder}/plans") as plans:
        for name in fleet.places:
            await until(partial(is_planned, plans, name))
    title, key = package.parent.name, f"{package.parent.name}/{package.name}"
    await fleet.publish(package)
    size = decode((package / MANIFEST_NAME).read_bytes()).size
    await fleet.until(has_all(fleet, key, size), "both sites hold the film")
    async with open_storage(f"file://{fleet.folder}/storage") as storage:
        await withdraw(title, storage)
    await fleet.until(lambda seen: not holders(seen, key), "nobody holds it any more")


async def test_orders_are_carried_out_within_seconds_whatever_the_window(services: Services, package: Path) -> None:
    fleet = services.fleet
    title, key = package.parent.name, f"{package.parent.name}/{package.name}"
    await fleet.publish(package)
    told = await services.tell("preposition", title)
    assert (told["state"], set(told["answers"])) == ("complete", set(fleet.places))
    await fleet.until(lambda seen: holders(seen, key) == set(fleet.places), "all hold the film")
    told = await services.tell("purge", title, "--appliances=south-1")
    assert told["state"] == "complete"
    took_s = max(answer["as_of"] for answer in told["answers"].values()) - told["order"]["made_at"]
    assert took_s < 10
    await fleet.until(lambda seen: holders(seen, key) == {"north-1", "north-2"}, "only the north holds it")
