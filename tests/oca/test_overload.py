"""What is asked for without end: connections, bytes and patience."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from encoder.package import BLOCK_SIZE
from oca.worker import Worker, WorkerSettings
from tests.media import make_package
from tests.oca.clients import Client, free_port, metric
from tests.oca.running import Running
from tests.waiting import until

# Of so many descriptors a quarter is for files, 64 for what else there is, 32 for those who are turned away.
DESCRIPTORS, MOST = 256, 96
LARGEST_IDLE_BYTES = 16 * 1024


class Small:
    """A running appliance whose only worker has few descriptors."""

    def __init__(self, running: Running, folder: Path, admin_port: int) -> None:
        self.running, self.admin_port = running, admin_port
        self.base = f"/v1/title/{folder.name}"
        self.path = f"{self.base}/v360.m3u8"
        self.data = (folder / "v360.mp4").read_bytes()

    def client(self) -> Client:
        return Client(self.running.connect())

    async def connections(self) -> int:
        return int(await metric(self.admin_port, "nearcast_oca_connections"))

    @contextlib.contextmanager
    def idle(self, count: int) -> Iterator[list[Client]]:
        """So many clients that asked once."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.client()) for _ in range(count)]
            for client in clients:
                assert client.ask(self.path).status == 200
            yield clients

    @contextlib.contextmanager
    def busy(self, count: int) -> Iterator[list[Client]]:
        """So many clients that asked for much and read nothing of it."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.client()) for _ in range(count)]
            for client in clients:
                client.send(f"{self.base}/v360.mp4")
            for client in clients:
                assert client.sock.recv(1, socket.MSG_PEEK)
            yield clients


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Small]:
    directory = tmp_path_factory.mktemp("overload")
    folder = make_package(directory / "source", size=4 * BLOCK_SIZE)
    admin_port = free_port()
    running = Running(
        directory / "a", "--connections-per-client", "1000", "--admin", f"127.0.0.1:{admin_port}",
    )  # fmt: skip
    shutil.copytree(directory / "source", running.volume)
    await running.start()
    # A worker raises its limit to the highest it may have, which it inherits.
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    before = (await running.ask("status"))["workers"]
    os.kill(before[0], signal.SIGKILL)

    async def is_another() -> bool:
        return bool((await running.ask("status"))["workers"] != before)

    await until(is_another)
    yield Small(running, folder, admin_port)
    assert await running.end() == 0


@pytest.mark.asyncio(loop_scope="module")
class TestConnections:
    @pytest_asyncio.fixture(autouse=True, loop_scope="module")
    async def _alone(self, small: Small) -> None:
        """The clients of the test before are gone."""

        async def is_alone() -> bool:
            return await small.connections() == 0

        await until(is_alone)

    async def test_those_who_idle_longest_make_room_for_newcomers(self, small: Small) -> None:
        with small.idle(MOST) as clients:
            for client in clients[:10]:  # so they idle least
                assert client.ask(small.path).status == 200
            with small.idle(20):
                assert clients[10].is_ended()
                for client in clients[:10]:
                    assert client.ask(small.path).status == 200

    async def test_where_all_are_busy_newcomers_are_told_to_come_back(self, small: Small) -> None:
        with small.idle(1):  # so that the fields of its requests are known
            pass
        with small.busy(MOST) as clients:
            for path in (small.path, "/nothing", f"{small.path}?long=way"):
                with small.client() as newcomer:
                    answer = newcomer.ask(path)
                    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                    assert answer.headers["connection"] == "close"
                    assert "cache-status" in answer.headers and b"detail" in answer.body
                    assert newcomer.is_ended()
            assert clients[0].receive().body == small.data
            with small.client() as newcomer:  # the one that is done idles, and makes room
                assert newcomer.ask(small.path).status == 200

        async def are_counted() -> bool:
            return await metric(small.admin_port, "nearcast_oca_refused_total") >= 3

        await until(are_counted)

    async def test_more_newcomers_than_can_be_told_are_cut_off_and_the_worker_lives(self, small: Small) -> None:
        before = (await small.running.ask("status"))["workers"]
        with small.busy(MOST) as clients, contextlib.ExitStack() as stack:
            newcomers = [stack.enter_context(small.client()) for _ in range(200)]
            ends = [self._end(newcomer, small.path) for newcomer in newcomers]
            assert set(ends) <= {200, 503, 0} and ends.count(503) >= 1
            assert ends.count(200) == 0
            assert clients[0].receive().body == small.data
        assert (await small.running.ask("status"))["workers"] == before

    def _end(self, newcomer: Client, path: str) -> int:
        try:
            return newcomer.ask(path).status
        except (EOFError, ConnectionError):
            return 0

    async def test_silent_newcomers_do_not_keep_those_out_who_ask(self, small: Small) -> None:
        with small.busy(MOST), contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(small.client())
            with small.client() as newcomer:
                assert self._end(newcomer, small.path) in (200, 503)

    async def test_slow_readers_do_not_slow_the_others(self, small: Small) -> None:
        with small.busy(MOST - 1), small.client() as client:
            started_at = time.monotonic()
            for _ in range(200):
                assert client.ask(small.path).status == 200
            assert client.ask(f"{small.base}/v360.mp4").body == small.data
            assert time.monotonic() - started_at < 5

    async def test_files_are_sent_right_while_descriptors_are_short(self, small: Small) -> None:
        with small.idle(MOST):
            for _ in range(5):
                with small.client() as client:
                    for number in range(1, 8):
                        assert client.ask(f"{small.base}/v360/{number}.m4s").status == 200


async def test_three_thousand_who_idle_cost_little_memory_and_keep_nobody_waiting(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source")
    port = free_port()
    running = Running(tmp_path / "a", "--admin", f"127.0.0.1:{port}", "--connections-per-client", "4000")
    shutil.copytree(tmp_path / "source", running.volume)
    await running.start()
    path = f"/v1/title/{folder.name}/v360.m3u8"
    worker = (await running.ask("status"))["workers"][0]
    count = 3000
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Client(running.connect()))
        for _ in range(100):
            assert first.ask(path).status == 200
        before = resident_bytes(worker)
        for _ in range(count):
            assert stack.enter_context(Client(running.connect())).ask(path).status == 200
        each = (resident_bytes(worker) - before) / count
        print(f"{each / 1024:.1f} KiB for each idle connection")  # noqa: T201
        assert each < LARGEST_IDLE_BYTES
        started_at = time.monotonic()
        for _ in range(1000):
            assert first.ask(path).status == 200
        assert time.monotonic() - started_at < 5
    assert await running.end() == 0


def resident_bytes(process_id: int) -> int:
    found = re.search(r"^Rss:\s+([0-9]+) kB$", Path(f"/proc/{process_id}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def test_beyond_the_nominal_bit_rate_those_who_watch_go_on_and_newcomers_are_told_to_come_back(
    tmp_path: Path,
) -> None:
    folder = make_package(tmp_path / "source")  # 800 kbit/s
    port = free_port()
    running = Running(tmp_path / "a", "--admin", f"127.0.0.1:{port}", "--capacity", "1 Mbit/s")
    shutil.copytree(tmp_path / "source", running.volume)
    await running.start()
    segment = f"/v1/title/{folder.name}/v360/{{}}.m4s"

    def ask_once() -> int:
        with Client(running.connect()) as newcomer:
            return newcomer.ask(segment.format(1)).status

    try:
        with Client(running.connect()) as first, Client(running.connect()) as second:
            assert first.ask(segment.format(1)).status == second.ask(segment.format(1)).status == 200

            def is_refused() -> bool:
                with Client(running.connect()) as newcomer:
                    answer = newcomer.ask(segment.format(2))
                    return (answer.status, answer.headers.get("retry-after")) == (503, "1")

            await until(is_refused)  # from the next tick on
            for number in range(1, 8):
                for client in (first, second):
                    assert client.ask(segment.format(number)).status == 200
            await until(lambda: first.ask(segment.format(1)).headers["cmsd-dynamic"].endswith(";du"))
        await until(lambda: ask_once() == 200)
        assert await metric(port, "nearcast_oca_refused_total") >= 1
    finally:
        await running.end()


# Patience

NOW = 1000.0


class Waiting:
    """A connection as the worker's tick sees it, which tells what was done to it."""

    def __init__(self, **state: Any) -> None:
        self.moved_at = self.started_at = NOW
        self.reading_since = 0.0
        self.request: object = None
        self.need = self.body_sent = 0
        self.lingers = self.waits = self.head_is_sent = False
        self.done = ""
        for name, value in state.items():
            assert hasattr(self, name)
            setattr(self, name, value)

    def close(self) -> None:
        self.done = "close"

    def abort(self) -> None:
        self.done = "abort"


class Late:
    def fail_late(self, connection: Waiting) -> None:
        connection.done = "503"


def judged(left_for: float = 0.0, quiet_limit_s: float = 0.0, **state: Any) -> str:
    """What the tick does to a connection; the worker was replaced `left_for` seconds ago, 0 for not at all."""
    worker = Worker.__new__(Worker)
    fields = dict.fromkeys(WorkerSettings.__struct_fields__, 0)
    texts = dict.fromkeys(("appliance", "socket", "access_log", "event_log", "certificates", "log_level"), "")
    more: dict[str, Any] = {"ticket_keys": b"", "byte_path": None, "token_keys": b""}
    more |= {"token_issuers": (), "token_audiences": (), "embargoes": {}, "peer_addresses": ()}
    limits = {"stall_limit_s": 2.0, "idle_limit_s": 60.0}
    worker._settings = msgspec.convert({**fields, **texts, **more, **limits}, WorkerSettings)
    worker._delivery = Late()  # type: ignore[assignment]
    worker._leaving_since = NOW - left_for if left_for else 0.0
    worker._quiet_limit_s = quiet_limit_s
    connection = Waiting(**state)
    worker._judge(connection, NOW)  # type: ignore[arg-type]
    return connection.done


ASKED = object()


@pytest.mark.parametrize(
    ("state", "done"),
    [
        # Idle: a minute.
        ({}, ""),
        ({"moved_at": NOW - 59}, ""),
        ({"moved_at": NOW - 61}, "close"),
        # A head or a handshake: ten seconds from its first byte, whatever else comes.
        ({"reading_since": NOW - 9, "moved_at": NOW - 9}, ""),
        ({"reading_since": NOW - 11, "moved_at": NOW - 30}, "abort"),
        ({"reading_since": NOW - 11, "moved_at": NOW}, "abort"),
        # Bytes that were asked for and do not come.
        ({"request": ASKED, "need": 1, "moved_at": NOW - 1}, ""),
        ({"request": ASKED, "need": 1, "moved_at": NOW - 3}, "503"),
        ({"request": ASKED, "need": 1, "moved_at": NOW - 1, "head_is_sent": True, "waits": True}, ""),
        ({"request": ASKED, "need": 1, "moved_at": NOW - 3, "head_is_sent": True, "waits": True}, "abort"),
        # A client that reads nothing, or next to nothing.
        ({"request": ASKED, "head_is_sent": True, "body_sent": 5000, "moved_at": NOW - 59}, ""),
        ({"request": ASKED, "head_is_sent": True, "body_sent": 10**9, "moved_at": NOW - 61}, "abort"),
        ({"request": ASKED, "head_is_sent": True, "body_sent": 1000, "started_at": NOW - 29}, ""),
        ({"request": ASKED, "head_is_sent": True, "body_sent": 30_000, "started_at": NOW - 31}, "abort"),
        ({"request": ASKED, "head_is_sent": True, "body_sent": 40_000, "started_at": NOW - 31}, ""),
        ({"request": ASKED, "head_is_sent": True, "body_sent": 400_000, "started_at": NOW - 400}, "abort"),
        # One that was told what is wrong and does not hang up.
        ({"lingers": True, "moved_at": NOW - 1}, ""),
        ({"lingers": True, "moved_at": NOW - 3}, "close"),
    ],
)
def test_each_state_has_its_time(state: dict[str, Any], done: str) -> None:
    assert judged(**state) == done


@pytest.mark.parametrize(
    ("state", "done"),
    [
        ({"moved_at": NOW - 30, "left_for": 4.0}, ""),
        ({"moved_at": NOW - 30, "left_for": 6.0}, "close"),
        ({"moved_at": NOW - 4, "left_for": 30.0}, ""),
        ({"moved_at": NOW - 30, "left_for": 6.0, "reading_since": NOW - 1}, ""),
        ({"moved_at": NOW - 30, "left_for": 6.0, "request": ASKED, "head_is_sent": True}, ""),
    ],
)
def test_a_worker_that_was_replaced_leaves_those_who_are_silent(state: dict[str, Any], done: str) -> None:
    assert judged(quiet_limit_s=5.0, **state) == done
