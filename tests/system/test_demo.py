"""`nearcast demo` as a person runs it: what it proves, and that it leaves nothing behind however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.waiting import until

pytestmark = pytest.mark.slow

# A slow machine that encodes the clip first; set up and with the clip encoded it takes about 20 s.
LIMIT_S = 300.0


class Demo:
    """One run of the command. Its processes are known by a mark in their environment, its files by their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = f"DEMO_UNDER_TEST={uuid.uuid4().hex}"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        name, _, value = self._mark.partition("=")
        return subprocess.Popen(
            [sys.executable, "-m", "bench", "demo", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.folder), name: value},
        )

    def processes(self) -> list[int]:
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if self._is_ours(path)]

    def _is_ours(self, environ: Path) -> bool:
        try:
            return self._mark.encode() in environ.read_bytes().split(b"\0")
        except OSError:  # it ended, or is another user's
            return False

    @contextmanager
    def up(self) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
        """The demo when it has printed its addresses."""
        with self.start("--json", "--quiet") as process:
            try:
                assert process.stdout is not None
                yield process, json.loads(process.stdout.readline())
            finally:
                process.kill()


@pytest.fixture
def demo(package: Path) -> Iterator[Demo]:
    """With the clip encoded already: `package` shares the demo's cache."""
    # Not in pytest's folders: those of a worker have names so long that none is left for local sockets (unix(7)).
    with TemporaryDirectory(prefix="demo-") as folder:
        yield Demo(Path(folder))


def test_the_demo_plays_the_film_through_while_appliances_are_killed(demo: Demo) -> None:
    with demo.start("--once", "--json") as process:
        output, progress = process.communicate(timeout=LIMIT_S)
    result = json.loads(output)
    assert process.returncode == 0, result["checks"]
    assert result["passed"] is True
    assert result["offload"] == 1.0
    assert [check["name"] for check in result["checks"] if not check["passed"]] == []
    assert {play["protocol"] for play in result["plays"]} == {"HLS", "DASH"}
    for play in result["plays"]:
        assert (play["wrong_bytes"], play["stalls"], play["given_up"]) == (0, 0, "")
        assert play["duration_s"] == pytest.approx(30.0, abs=0.1)
        assert bool(play["switches"]) == (play["site"] == "north"), "the killed appliance stands in the north"
    assert "appliances at" in progress
    assert demo.processes() == []
    assert list(demo.folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_told_to_end_leaves_nothing(demo: Demo, number: signal.Signals) -> None:
    with demo.up() as (process, addresses):
        with urllib.request.urlopen(addresses["page"], timeout=10) as page:
            assert page.status == 200
        process.send_signal(number)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    assert demo.processes() == []
    assert list(demo.folder.iterdir()) == []


def test_a_demo_that_is_ended_while_it_starts_leaves_nothing(demo: Demo) -> None:
    with demo.start() as process:
        assert process.stderr is not None
        while "origin at" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert demo.processes() == []
    assert list(demo.folder.iterdir()) == []


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux), which Linux has")
def test_a_demo_that_is_killed_leaves_no_process(demo: Demo) -> None:
    with demo.up() as (process, _):
        assert len(demo.processes()) > 5
        process.kill()
    asyncio.run(until(lambda: demo.processes() == []))


def test_the_page_may_stop_and_start_an_appliance(demo: Demo) -> None:
    with demo.up() as (process, addresses):
        states = [_order(addresses, "north-1", what) for what in ("stop", "start")]
        assert states == ["stopped", "running"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def _order(addresses: dict[str, Any], name: str, what: str) -> str:
    url = f"{addresses['control']}/api/v1/appliances/{name}/{what}"
    headers = {"Origin": addresses["steering"]}
    with urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers), timeout=30) as answer:
        return str(json.loads(answer.read())["state"])
