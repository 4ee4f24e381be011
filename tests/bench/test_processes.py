"""Processes of the network, with small programs in their place."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import ProcessFailed
from bench.processes import Process
from tests.waiting import is_alive, until

# Writes its ready file, starts a child, says its child's process ID, and sleeps. Its last argument is the ready file.
_SERVICE = """
import os, pathlib, signal, subprocess, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, os.environ.get("NEARCAST_OCA_DISK"), flush=True)
pathlib.Path(sys.argv[-1]).write_text("127.0.0.1:1234\\n")
time.sleep(600)
"""
_FAILURE = """
import sys
print("a line of its log")
print("error: the sentence that says why", file=sys.stderr)
sys.exit(1)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which `python -m` finds a service and one that fails."""
    (tmp_path / "service_for_tests.py").write_text(_SERVICE)
    (tmp_path / "failure_for_tests.py").write_text(_FAILURE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def child_of(process: Process) -> int:
    return int(process.log.read_text().split()[0])


async def test_a_process_is_ready_when_it_says_so_and_ends_with_its_children(programs: Path) -> None:
    process = Process("service", programs, "service_for_tests", [])
    process.start()
    assert await process.ready() == "127.0.0.1:1234"
    child = child_of(process)
    assert is_alive(child)
    await process.stop()
    assert not process.is_running
    await until(lambda: not is_alive(child))


async def test_a_process_that_ignores_the_request_to_end_is_killed(programs: Path) -> None:
    process = Process("service", programs, "service_for_tests", ["deaf"])
    process.start()
    await process.ready()
    await process.stop(limit_s=0.1)
    assert not process.is_running


async def test_a_paused_process_can_be_stopped(programs: Path) -> None:
    process = Process("service", programs, "service_for_tests", [])
    process.start()
    await process.ready()
    process.signal(signal.SIGSTOP)
    await process.stop()
    assert not process.is_running


async def test_a_process_that_fails_at_its_start_says_why(programs: Path) -> None:
    process = Process("origin", programs, "failure_for_tests", [])
    process.start()
    with pytest.raises(ProcessFailed, match=r"^origin could not start: the sentence that says why$"):
        await process.ready()
    await process.stop()


async def test_a_process_that_never_says_that_it_is_ready_is_told_of_with_its_log(programs: Path) -> None:
    (programs / "silence_for_tests.py").write_text("import time; print('so far', flush=True); time.sleep(600)")
    process = Process("silence", programs, "silence_for_tests", [])
    process.start()
    await until(lambda: process.log.read_text() != "")
    with pytest.raises(ProcessFailed, match=r"silence was not ready after 0 s: its log ends so:\nso far"):
        await process.ready(limit_s=0.0)
    await process.stop()


async def test_a_command_that_fails_or_takes_too_long_is_told_of(programs: Path) -> None:
    process = Process("plan", programs, "failure_for_tests", [])
    process.start(announces=False)
    with pytest.raises(ProcessFailed, match=r"plan failed \(exit code 1\): the sentence that says why"):
        await process.finished(20.0)
    slow = Process("slow", programs, "service_for_tests", [str(programs / "ready")])
    slow.start(announces=False)
    with pytest.raises(ProcessFailed, match="slow was not done after 0 s"):
        await slow.finished(0.0)
    await slow.stop()


async def test_settings_of_this_machines_real_services_do_not_reach_the_network(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARCAST_OCA_DISK", "1 TB")
    process = Process("service", programs, "service_for_tests", [])
    process.start()
    await process.ready()
    assert process.log.read_text().split()[1] == "None"
    await process.stop()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux), which Linux has")
def test_a_process_ends_when_we_are_killed(programs: Path) -> None:
    starter = (
        "import sys, time\nfrom pathlib import Path\nfrom bench.processes import Process\n"
        f"process = Process('service', Path({str(programs)!r}), 'service_for_tests', [])\n"
        "process.start()\nprint(process._process.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as we:
        assert we.stdout is not None
        process_id = int(we.stdout.readline())
        assert is_alive(process_id)
        we.kill()
    asyncio.run(until(lambda: not is_alive(process_id)))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux), which Linux has")
def test_a_process_ends_when_we_are_killed_before_the_kernel_knows_that_it_should(
    programs: Path, tmp_path: Path
) -> None:
    late = tmp_path / "bin" / "setpriv"
    late.parent.mkdir()
    late.write_text(
        '#!/bin/sh\nparent=$PPID\nwhile [ -d "/proc/$parent" ]; do sleep 0.01; done\n'
        f'exec {shutil.which("setpriv")} "$@"\n'
    )
    late.chmod(0o755)
    starter = (
        "import time\nfrom pathlib import Path\nfrom bench.processes import Process\n"
        f"process = Process('service', Path({str(programs)!r}), 'service_for_tests', [])\n"
        "process.start()\nprint(process._process.pid, flush=True)\ntime.sleep(600)\n"
    )
    environment = {**os.environ, "PATH": f"{late.parent}:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, env=environment) as we:
        assert we.stdout is not None
        process_id = int(we.stdout.readline())
        we.kill()
    asyncio.run(until(lambda: not is_alive(process_id)))
    assert not (programs / "service.ready").exists()
