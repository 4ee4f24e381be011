"""The three speeds of filling, in a network of real processes that nobody plans for by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
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
from tests.waiting import until

pytestmark = pytest.mark.slow


def closed_window() -> str:
    """An hour that begins in five to six hours."""
    hour = (datetime.now(UTC).hour + 6) % 24
    return f"{hour:02}:00-{hour + 1:02}:00"


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """With a follower, and an agent beside each appliance, all of whose windows are closed."""
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(tmp_path))
        common = [
            f"--plans=file://{tmp_path}/plans",
            f"--steering={fleet.steering_url}",
            f"--origin={fleet.origin_url}",
            f"--window={closed_window()}",
        ]
        logs = ["--access-logs", ",".join(fleet.access_logs), "--decision-logs", ",".join(fleet.decision_logs)]
        events = ["--events", f"file://{tmp_path}/events"]
        services = {"follow": ["follow", "--every=500ms", *common, *events, *logs]}
        for name in fleet.places:
            who = [f"--appliance={name}", f"--socket={fleet.socket(name)}", "--poll-every=300ms"]
            services[f"agent-{name}"] = ["run", *common, *who]
        for name, words in services.items():
            process = Process(name, tmp_path / "logs", "fill", words)
            process.start(announces=False)
            stack.push_async_callback(process.stop)
        yield fleet


async def is_planned(plans: Storage, name: str) -> bool:
    try:
        await read_published(plans, name)
    except NoPlan:
        return False
    return True


def holders(seen: dict[str, Any], key: str) -> set[str]:
    return {name for name, one in seen.items() if key in one["report"]["held"]}


async def test_what_is_published_by_day_is_filled_at_once_and_what_is_withdrawn_is_dropped(
    fleet: Fleet, package: Path, tmp_path: Path
) -> None:
    async with open_storage(f"file://{tmp_path}/plans") as plans:
        for name in fleet.places:
            await until(partial(is_planned, plans, name))
    title, key = package.parent.name, f"{package.parent.name}/{package.name}"
    whole = decode((package / MANIFEST_NAME).read_bytes()).size
    await fleet.publish(package)

    def is_filled(seen: dict[str, Any]) -> bool:
        """Each site has all of it, on one appliance or several."""
        held = dict.fromkeys(fleet.sites.values(), 0)
        for name in holders(seen, key):
            held[fleet.sites[name]] += seen[name]["report"]["disk_used_bytes"]
        return min(held.values()) >= whole

    await fleet.until(is_filled, "both sites hold the film")
    async with open_storage(f"file://{tmp_path}/storage") as storage:
        await withdraw(title, storage)
    await fleet.until(lambda seen: not holders(seen, key), "nobody holds it any more")
