"""Several workers on one port: real processes, of which some are killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.steering import SteeringSettings
from oca.report import Report
from steering.errors import WorkerError
from steering.service import Service
from steering.workers import parent as workers
from steering.workers.parent import Workers
from steering.workers.worker import Siblings, Start, bind, encode_line
from tests.steering.conftest import JSON, Origin
from tests.steering.test_cli import LIMIT_S, configuration, line_with, run
from tests.steering.values import report
from tests.waiting import is_alive, until

HLS = "/play/film/master.m3u8"


class Running:
    def __init__(self, url: str, parent: asyncio.subprocess.Process, log: asyncio.StreamReader) -> None:
        self.url, self.parent, self.log = url, parent, log

    @property
    def workers(self) -> list[int]:
        """Process IDs of those that run now."""
        children = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text()
        return [int(pid) for pid in children.split() if is_alive(int(pid))]

    async def get(self, path: str) -> tuple[int, str]:
        """Over a connection of its own, so that any worker may answer."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def report(self, one: Report) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/v1/reports", data=msgspec.json.encode(one), headers=JSON) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def all_know(self, what: str, path: str) -> None:
        """Waits until twenty answers in a row say so: two workers that draw lots are both among them."""

        async def is_so() -> bool:
            return all(what in text for _, text in await asyncio.gather(*(self.get(path) for _ in range(20))))

        await until(is_so)


@asynccontextmanager
async def serving(config: Path, tmp_path: Path, workers: int = 2) -> AsyncIterator[Running]:
    parent = await run(
        "serve", "--config", str(config), "--workers", str(workers), "--ready-file", str(tmp_path / "ready")
    )
    assert parent.stderr is not None
    try:
        await line_with(parent.stderr, '"workers": ')
        yield Running(f"http://{(tmp_path / 'ready').read_text().strip()}", parent, parent.stderr)
    finally:
        if parent.returncode is None:
            parent.terminate()
        await asyncio.wait_for(parent.communicate(), LIMIT_S)


@pytest.fixture
async def running(tmp_path: Path, origin: Origin) -> AsyncIterator[Running]:
    origin.publish("film")
    async with serving(configuration(tmp_path, origin.url), tmp_path) as running:
        await running.all_know('"film"', "/api/v1/titles")
        yield running


async def test_a_report_to_one_worker_is_known_to_all(running: Running) -> None:
    await running.report(report("a1"))
    await running.all_know('"a1"', "/api/v1/fleet?held=0")
    assert len(running.workers) == 2


async def test_a_session_begun_at_one_is_steered_by_any(running: Running) -> None:
    _, playlist = await running.get(HLS)
    path = playlist.split('SERVER-URI="', 1)[1].split('"', 1)[0].removeprefix(running.url)
    for _ in range(20):
        assert (await running.get(path))[0] == 200
    polls = await counted(running, "nearcast_steering_polls")
    assert {labels["session"] for labels, value in polls if value} == {"ours"}


async def counted(running: Running, name: str) -> list[tuple[dict[str, str], float]]:
    _, text = await running.get("/metrics")
    families = {one.name: one for one in text_string_to_metric_families(text)}
    return [(one.labels, one.value) for one in families[name].samples if not one.name.endswith("_created")]


async def test_one_scrape_has_what_all_workers_count(running: Running) -> None:
    for _ in range(20):
        await running.get("/steer/hls")
    polls = await counted(running, "nearcast_steering_polls")
    assert sum(value for _, value in polls) == 20
    assert {labels["worker"] for labels, _ in await counted(running, "nearcast_steering_worker_up")} == {"0", "1"}


async def test_a_killed_worker_costs_the_others_nothing_and_is_started_again(running: Running) -> None:
    await running.report(report("a1"))
    await running.all_know('"a1"', "/api/v1/fleet?held=0")
    killed, other = running.workers
    ended = asyncio.Event()
    polls: list[int] = []

    async def poll(session: aiohttp.ClientSession) -> None:
        while not ended.is_set():
            async with session.get(f"{running.url}/steer/hls") as answer:
                polls.append(answer.status)

    async with connected_to(running, other) as session:
        player = asyncio.create_task(poll(session))
        os.kill(killed, signal.SIGKILL)
        await line_with(running.log, "a worker ended and is started again")
        # New connections go to those that listen, from the moment that one is dead.
        assert {(await running.get("/steer/hls"))[0] for _ in range(20)} == {200}
        await until(lambda: all_are_up(running))
        await running.all_know('"a1"', "/api/v1/fleet?held=0")
        ended.set()
        await player  # raises what its connection met
    assert set(polls) == {200}
    assert other in running.workers
    assert killed not in running.workers


@asynccontextmanager
async def connected_to(running: Running, worker: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with one connection, to this worker: the kernel draws lots, so several may have to be tried."""
    opened: list[socket.socket] = []

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        opened.append(socket.socket(*info[:3]))
        return opened[-1]

    sessions: list[aiohttp.ClientSession] = []

    async def is_connected() -> bool:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, socket_factory=open_socket))
        async with session.get(f"{running.url}/healthz") as answer:
            assert answer.status == 200
        if is_served_by(worker, opened[-1].getsockname()[1]):
            sessions.append(session)
            return True
        await session.close()
        return False

    await until(is_connected)
    async with sessions[0] as session:
        yield session


def is_served_by(worker: int, client_port: int) -> bool:
    """Whether a client's connection ends at this process (proc(5): the remote port and the inode of each socket)."""
    rows = [line.split() for line in Path(f"/proc/{worker}/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[2].rpartition(":")[2], 16) == client_port}
    opened = {str(file.readlink()) for file in Path(f"/proc/{worker}/fd").iterdir() if file.is_symlink()}
    return any(f"socket:[{inode}]" in opened for inode in inodes)


async def all_are_up(running: Running) -> bool:
    return all(value == 1 for _, value in await counted(running, "nearcast_steering_worker_up"))


async def test_a_worker_that_starts_without_a_database_knows_what_the_other_does(
    running: Running, tmp_path: Path
) -> None:
    await running.report(report("a1"))
    await running.all_know('"a1"', "/api/v1/fleet?held=0")
    for path in tmp_path.glob("fleet.sqlite*"):
        path.unlink()
    (tmp_path / "fleet.sqlite").write_bytes(b"this is no database" * 100)
    await running.all_know("not a database", "/readyz")
    killed, other = running.workers
    os.kill(killed, signal.SIGKILL)
    await line_with(running.log, "a worker ended and is started again")
    await until(lambda: len(running.workers) == 2)
    (new,) = set(running.workers) - {other}
    async with connected_to(running, new) as session, session.get(f"{running.url}/api/v1/fleet?held=0") as answer:
        assert [one["report"]["name"] for one in (await answer.json())["appliances"]] == ["a1"]


async def test_hangup_changes_all_or_none(running: Running, tmp_path: Path, origin: Origin) -> None:
    for prefixes, said, announced in (
        ('"10.0.0.0/8"', "were read again", '"10.0.0.0/8"'),
        ('"10.0.0.1/8"', "expected 10.0.0.0/8", '"10.0.0.0/8"'),
        ("3", "expected a list", '"10.0.0.0/8"'),
    ):
        configuration(tmp_path, origin.url, prefixes)
        running.parent.send_signal(signal.SIGHUP)
        await line_with(running.log, said)
        await running.all_know(announced, "/api/v1/fleet?held=0")

        async def all_say_so(was_taken: bool = "again" in said) -> bool:
            told = await counted(running, "nearcast_steering_config_last_reload_successful")
            return {value for _, value in told} == {float(was_taken)}

        await until(all_say_so)


async def test_termination_ends_all(tmp_path: Path, origin: Origin) -> None:
    async with serving(configuration(tmp_path, origin.url), tmp_path) as running:
        workers = running.workers
        running.parent.terminate()
        assert await asyncio.wait_for(running.parent.wait(), LIMIT_S) == 0
    assert not [pid for pid in workers if is_alive(pid)]


async def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path, origin: Origin) -> None:
    async with serving(configuration(tmp_path, origin.url), tmp_path) as running:
        workers = running.workers
        running.parent.kill()
        await until(lambda: not [pid for pid in workers if is_alive(pid)])


async def test_what_is_wrong_with_the_settings_is_said_once(tmp_path: Path) -> None:
    process = await run(
        "serve", "--config", str(configuration(tmp_path, "http://127.0.0.1:1", '"10.0.0.1/8"')), "--workers", "2"
    )
    _, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert error.decode().count("site 'north', prefix 1: found '10.0.0.1/8', expected 10.0.0.0/8") == 1
    assert "Traceback" not in error.decode()


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with bind(("127.0.0.1", 0)) as taken:
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        database = f"sqlite:///{tmp_path}/fleet.sqlite"
        process = await run("serve", "--listen", address, "--workers", "2", "--database", database)
        _, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 1
    assert f"error: listen: {address} cannot be used: " in error.decode()


# Below, the parent in this process, and children that only speak as a worker does.

SERVES = """print('{"type": "Serving"}', flush=True)"""
OBEYS = """
import sys
for line in sys.stdin:
    if '"Change"' in line:
        print('{"type": "Taken"}', flush=True)
"""


@asynccontextmanager
async def parent_of(script: str, monkeypatch: pytest.MonkeyPatch, count: int = 1) -> AsyncIterator[Workers]:
    monkeypatch.setattr(workers, "_COMMAND", (sys.executable, "-S", "-c", script))
    monkeypatch.setattr(workers, "_RESTART_AFTER_S", 0.01)
    parent = Workers(SteeringSettings(listen=("127.0.0.1", 0), workers=count))
    try:
        yield parent
    finally:
        await parent.close()


def ends(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if "a worker ended" in record.message]


async def test_one_that_serves_and_dies_again_and_again_is_started_ever_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with parent_of(SERVES, monkeypatch) as parent:
        await parent.start()
        await until(lambda: len(ends(caplog)) >= 4)
    assert [record.again_in_s for record in ends(caplog)[:4]] == [0.01, 0.02, 0.04, 0.08]


async def test_one_that_served_for_long_is_started_again_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_SOUND_AFTER_S", 0.0)
    async with parent_of(SERVES, monkeypatch) as parent:
        await parent.start()
        await until(lambda: len(ends(caplog)) >= 4)
    assert {record.again_in_s for record in ends(caplog)[:4]} == {0.01}


async def test_why_one_cannot_be_started_again_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = f"""
import pathlib
if pathlib.Path({str(tmp_path / "again")!r}).exists():
    print('{{"type": "Failed", "reason": "a file is gone", "exit_code": 2}}', flush=True)
else:
    pathlib.Path({str(tmp_path / "again")!r}).touch()
    {SERVES}
"""
    async with parent_of(script, monkeypatch) as parent:
        await parent.start()
        await until(lambda: len(ends(caplog)) >= 2)
    assert ends(caplog)[1].reason == "a file is gone"


async def test_what_else_is_written_where_a_worker_speaks_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = "print('a library greets you', flush=True)\nprint('x' * 3_000_000, flush=True)\n"
    async with parent_of(noise + SERVES + "\n" + noise + OBEYS, monkeypatch) as parent:
        await parent.start()
        async with asyncio.timeout(LIMIT_S):
            await parent.reload(lambda: SteeringSettings())


async def test_one_that_hangs_holds_up_no_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_CHANGE_LIMIT_S", 0.3)
    async with parent_of(SERVES + OBEYS, monkeypatch, count=2) as parent:
        await parent.start()
        hanging, other = parent.process_ids
        os.kill(hanging, signal.SIGSTOP)
        async with asyncio.timeout(LIMIT_S):
            await parent.reload(lambda: SteeringSettings())
        await until(lambda: not is_alive(hanging))
        assert other in parent.process_ids
    assert any("hangs" in record.message for record in caplog.records)


async def test_none_are_one_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    async with parent_of(SERVES + OBEYS, monkeypatch, count=0) as parent:
        await parent.start()
        assert len(parent.process_ids) == os.cpu_count()


async def test_a_command_that_is_not_there_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with parent_of("", monkeypatch) as parent:
        monkeypatch.setattr(workers, "_COMMAND", ("/nowhere/python",))
        with pytest.raises(WorkerError, match="worker 0 cannot be started: No such file"):
            await parent.start()


# And a worker alone, of which this process is the parent.


@asynccontextmanager
async def worker_alone(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    settings = SteeringSettings(database=f"sqlite:///{tmp_path}/fleet.sqlite", origin="http://127.0.0.1:1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "steering.workers.worker",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(encode_line(Start(settings, 0, 1, ("127.0.0.1", 0), str(tmp_path), "INFO")))
        async with asyncio.timeout(LIMIT_S):
            assert b"Serving" in await process.stdout.readline()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_one_that_no_longer_hears_its_parent_ends(tmp_path: Path) -> None:
    async with worker_alone(tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write(b"what is this\n")
        assert await asyncio.wait_for(process.wait(), LIMIT_S) != 0


async def test_a_loop_that_hangs_ends_its_process_and_says_where() -> None:
    script = """
import asyncio, time
from steering.workers.worker import ending_if_it_hangs

async def hang():
    time.sleep(600)

async def main():
    async with ending_if_it_hangs(0.5):
        await asyncio.sleep(1)  # no loop that waits hangs
        print("waited", flush=True)
        await hang()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert (said, process.returncode) == (b"waited\n", 1)
    assert b"in hang" in error


async def test_one_that_starts_beside_another_asks_the_next(tmp_path: Path, origin: Origin) -> None:
    services = [
        Service(SteeringSettings(database=f"sqlite:///{tmp_path}/{n}.sqlite", origin=origin.url)) for n in "012"
    ]
    starts = [Start(SteeringSettings(), n, 3, ("127.0.0.1", 0), str(tmp_path), "INFO") for n in range(3)]
    siblings = [Siblings(start, service) for start, service in zip(starts, services, strict=True)]
    for one in siblings:
        await one.start()
    services[1].take_small_report(msgspec.json.encode(report("a1")))
    assert [heard.report.name for heard in await siblings[2].recall()] == ["a1"]
    for one in siblings:
        await one.close()
