"""The commands in processes of their own, against a small network on loopback."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from fill.feed.records import Watched
from fill.planner.store import read_published
from origin.storage import open_storage
from tests.fill.appliance import FakeParent
from tests.fill.catalogs import make_offer, make_seen
from tests.fill.network import Network


class Ended(NamedTuple):
    code: int
    out: str
    err: str


async def run(*arguments: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fill", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def test_a_plan_is_made_written_and_carried_out(tmp_path: Path) -> None:
    offers = [make_offer("film"), make_offer("other")]
    (tmp_path / "access.log").write_bytes(b"broken\n" + msgspec.json.encode(Watched(1.0, "film", "v720.mp4", 200, 9)))
    parent = FakeParent(tmp_path / "appliance.sock")
    await parent.start()
    async with Network(offers, [make_seen("x"), make_seen("y")]) as network:
        common = (f"--plans=file://{tmp_path}/plans", f"--steering={network.url}", f"--origin={network.url}")
        dry = await run("plan", *common, "--dry-run", "--json")
        assert (dry.code, dry.err) == (0, "")
        assert {made["appliance"] for made in json.loads(dry.out)["plans"]} == {"x", "y"}
        assert not [path for path in (tmp_path / "plans").rglob("*") if path.is_file()]
        told = await run("plan", *common, f"--access-logs={tmp_path}/*.log")
        assert told.code == 0
        assert "not counted: 1 broken, 1 old" in told.err
        async with open_storage(f"file://{tmp_path}/plans") as storage:
            plan = await read_published(storage, "x")
        assert len(plan.fetches) == 20
        explained = await run("plan", *common, "--explain", "film/v720.mp4", "--quiet")
        assert explained.out.startswith("film/v720.mp4 (8 MiB) is expected to have ")
        asked = (*common, "--appliance=x", f"--socket={parent.path}", "--now", "--once", "--json")
        carried_out = await run("run", *asked)
        assert carried_out.code == 0
        assert json.loads(carried_out.out)["fetched_files"] == len(parent.fills) == 20
    await parent.stop()


async def test_no_steering_is_one_sentence_and_1() -> None:
    ended = await run("plan", "--steering=http://127.0.0.1:1", "--origin=http://127.0.0.1:1", "--quiet")
    assert ended.code == 1
    assert ended.err.startswith("error: http://127.0.0.1:1/api/v1/")
    assert "Traceback" not in ended.err


async def test_an_agent_without_appliance_and_socket_is_a_usage_error() -> None:
    ended = await run("run", "--once")
    assert ended.code == 2
    assert "appliance: found nothing" in ended.err
    assert "socket: found nothing" in ended.err


async def test_a_bad_window_is_a_usage_error(tmp_path: Path) -> None:
    ended = await run("run", "--appliance=x", f"--socket={tmp_path}/s", "--window=night", f"--plans=file://{tmp_path}")
    assert (ended.code, "window: found 'night'" in ended.err) == (2, True)


async def test_an_appliance_that_is_not_there_is_one_sentence_and_1(tmp_path: Path) -> None:
    async with Network([make_offer("film")], [make_seen("x")]) as network:
        common = (f"--plans=file://{tmp_path}/plans", f"--steering={network.url}", f"--origin={network.url}")
        assert (await run("plan", *common, "--quiet")).code == 0
        ended = await run("run", *common, "--appliance=x", f"--socket={tmp_path}/none.sock", "--now", "--once")
    assert (ended.code, "error: no appliance listens on" in ended.err) == (1, True)
