"""Several workers on one port: real processes, of which some are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from oca.report import Report
from steering.worker import bind
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
