"""The commands in processes of their own, against a small network on loopback."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from fill.planner.keys import PRIVATE_NAME, PUBLIC_NAME, read_public
from fill.planner.store import PlanReader
from oca.report import EVERY_FILE
from origin.storage.file import FileStorage
from tests.fill.catalogs import make_offer, make_seen, package_key
from tests.fill.network import Network


class Ended(NamedTuple):
    code: int
    out: str
    err: str


async def run(command: str, *arguments: str) -> Ended:
    program = f"from config.cli import run_command; from fill.planner.cli import {command}; run_command({command})"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def log_line(title: str, file: str, size: int) -> bytes:
    line = {
        "time": time.time() - 3600,
        "appliance": "x",
        "client": "192.0.2.0/24",
        "method": "GET",
        "title": title,
        "package": "a" * 32,
        "file": file,
        "status": 200,
        "bytes": size,
        "agent": "a player",
    }
    return msgspec.json.encode(line) + b"\n"


async def test_plans_are_made_signed_published_and_explained(tmp_path: Path) -> None:
    offers = [make_offer("film"), make_offer("other")]
    (tmp_path / "access.log").write_bytes(b"broken\n" + log_line("film", "v720.mp4", 9_000_000))
    made = await run("keys", str(tmp_path / "keys"))
    assert (made.code, (tmp_path / "keys" / PRIVATE_NAME).exists()) == (0, True)
    async with Network(offers, [make_seen("x"), make_seen("y")]) as network:
        common = (
            f"--plans=file://{tmp_path}/plans",
            f"--steering={network.url}",
            f"--origin={network.url}",
            f"--access-logs={tmp_path}/*.log",
            f"--plan-key={tmp_path}/keys/{PRIVATE_NAME}",
        )
        dry = await run("plan", *common, "--dry-run", "--json")
        assert (dry.code, dry.err) == (0, "")
        assert {plan["appliance"] for plan in json.loads(dry.out)["plans"]} == {"x", "y"}
        assert not (tmp_path / "plans" / "plans").exists()
        told = await run("plan", *common)
        assert told.code == 0, told.err
        assert "not counted: 1 " in told.err
        async with FileStorage(tmp_path / "plans") as storage:
            keys = read_public(tmp_path / "keys" / PUBLIC_NAME)
            plan = await PlanReader(storage, "x", tmp_path / "state", keys).read()
        assert len(plan.fetches) == 20
        assert plan.fetches[0].title == "film"
        explained = await run("plan", *common, "--explain", "film/v720.mp4", "--quiet")
        assert explained.out.startswith("film/v720.mp4 (8 MiB) is expected to have ")
        again = await run("plan", *common, "--dry-run", "--diff", "--json")
        assert [change["stays"] for change in json.loads(again.out)["changes"]] == [20, 20]


async def test_a_file_that_the_catalog_has_not_cannot_be_explained(tmp_path: Path) -> None:
    async with Network([make_offer("film")], [make_seen("x")]) as network:
        common = (f"--plans=file://{tmp_path}/plans", f"--steering={network.url}", f"--origin={network.url}")
        ended = await run("plan", *common, "--explain", "film/none.mp4", "--quiet")
    assert (ended.code, ended.err) == (1, "error: the catalog has no file film/none.mp4\n")


async def test_no_steering_is_one_sentence_and_1(tmp_path: Path) -> None:
    where = (f"--plans=file://{tmp_path}", "--steering=http://127.0.0.1:1", "--origin=http://127.0.0.1:1")
    ended = await run("plan", *where, "--quiet")
    assert ended.code == 1
    assert ended.err.startswith("error: http://127.0.0.1:1/api/v1/")
    assert "Traceback" not in ended.err


async def test_a_key_that_is_none_and_no_copies_are_configuration_errors(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    ended = await run("plan", f"--plans=file://{tmp_path}", f"--plan-key={tmp_path}/key.pem")
    assert (ended.code, "plan_key" in ended.err) == (2, True)
    ended = await run("plan", "--copies=0")
    assert (ended.code, "copies: found 0, expected at least 1" in ended.err) == (2, True)


async def test_what_is_no_feed_is_one_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    ended = await run("bulk", str(tmp_path), str(tmp_path / "diffs"), "--quiet")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert str(tmp_path) in ended.err
    assert not (tmp_path / "diffs").exists()


async def test_following_needs_a_place_for_what_was_watched(tmp_path: Path) -> None:
    ended = await run("follow", f"--plans=file://{tmp_path}")
    assert (ended.code, "events: found nothing" in ended.err) == (2, True)


async def test_following_once_plans_what_is_due(tmp_path: Path) -> None:
    async with Network([make_offer("film")], [make_seen("x")]) as network:
        common = (
            f"--plans=file://{tmp_path}/plans",
            f"--events=file://{tmp_path}/events",
            f"--steering={network.url}",
            f"--origin={network.url}",
            "--once",
        )
        first = await run("follow", *common, "--json")
        again = await run("follow", *common)
    assert (first.code, json.loads(first.out)["nightly"], json.loads(first.out)["plans"]) == (0, ["site-a"], 1)
    assert again.out == "Nothing is to be planned now.\n"


async def test_following_once_says_that_a_catalog_is_not_believed(tmp_path: Path) -> None:
    film = make_offer("film")
    async with Network([], [make_seen("x", held={package_key(film): EVERY_FILE})]) as network:
        common = (f"--plans=file://{tmp_path}/plans", f"--events=file://{tmp_path}/events")
        ended = await run("follow", *common, f"--steering={network.url}", f"--origin={network.url}", "--once")
    assert (ended.code, ended.out.startswith("Nothing is planned: 1 titles that appliances hold are not in")) == (
        1,
        True,
    )
    assert not (tmp_path / "plans" / "plans").exists()
