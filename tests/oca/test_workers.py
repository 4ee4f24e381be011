"""Workers as a client sees them being replaced, and what the parent makes of what they say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from encoder.package import BLOCK_SIZE
from oca.errors import OcaError
from oca.messages import Load
from oca.workers import Workload, listen
from tests.media import make_package
from tests.oca.clients import Client, free_port, metric
from tests.oca.running import Running
from tests.waiting import is_alive, until

WORKERS = 2


class Fleet:
    """A running appliance with two workers that are replaced by SIGHUP."""

    def __init__(self, running: Running, folder: Path, admin_port: int) -> None:
        self.running, self.admin_port = running, admin_port
        self.base = f"/v1/title/{folder.name}"
        self.data = (folder / "v360.mp4").read_bytes()

    def client(self) -> Client:
        return Client(self.running.connect())

    async def pids(self) -> list[int]:
        pids: list[int] = (await self.running.ask("status"))["workers"]
        return pids

    async def replace(self) -> tuple[list[int], list[int]]:
        """Asks for it and waits until it is done; who served before, and who serves now."""
        before = await self.pids()
        self.running.process.send_signal(signal.SIGHUP)
        now: list[int] = []

        async def are_others() -> bool:
            now[:] = await self.pids()
            return not set(now) & set(before)

        await until(are_others)
        return before, now

    def children(self) -> set[int]:
        """Every worker process of this appliance that lives."""
        parent = self.running.process.pid
        pids = {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}
        return {pid for pid in pids if is_alive(pid) and b"oca.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    directory = tmp_path_factory.mktemp("workers")
    folder = make_package(directory / "source", size=8 * BLOCK_SIZE + 12345)
    admin_port = free_port()
    running = Running(directory / "a", "--workers", str(WORKERS), "--admin", f"127.0.0.1:{admin_port}")
    shutil.copytree(directory / "source", running.volume)
    await running.start()
    yield Fleet(running, folder, admin_port)
    assert await running.end() == 0


@pytest.mark.asyncio(loop_scope="module")
class TestReplacement:
    async def test_a_download_under_way_gets_every_byte_and_the_next_request_an_answer(self, fleet: Fleet) -> None:
        with fleet.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
            client.send(f"{fleet.base}/v360.mp4")
            assert client.sock.recv(1000, socket.MSG_PEEK)  # it has begun
            before, _ = await fleet.replace()
            assert is_alive(before[0]) or is_alive(before[1])
            answer = await asyncio.to_thread(client.receive)
            assert answer.body == fleet.data
            # The head said nothing of an end, so the client may ask on.
            last = client.ask(f"{fleet.base}/v360.m3u8")
            assert (last.status, last.headers.get("connection")) == (200, "close")
            assert client.is_ended()
        await until(lambda: not any(map(is_alive, before)))

    async def test_a_client_that_idles_is_told_in_its_next_answer(self, fleet: Fleet) -> None:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(fleet.client()) for _ in range(20)]
            for client in clients:
                assert "connection" not in client.ask(f"{fleet.base}/v360.m3u8").headers
            await fleet.replace()
            for client in clients:
                answer = client.ask(f"{fleet.base}/v360.m3u8")
                assert (answer.status, answer.headers.get("connection")) == (200, "close")
                assert client.is_ended()

    async def test_half_a_request_is_waited_for(self, fleet: Fleet) -> None:
        with fleet.client() as client:
            assert client.ask(f"{fleet.base}/v360.m3u8").status == 200
            client.sock.sendall(f"GET {fleet.base}/v360.m3u8 HTTP/1.1\r\nHo".encode())
            await fleet.replace()
            client.sock.sendall(b"st: a\r\n\r\n")
            assert client.receive().status == 200
            assert client.is_ended()

    async def test_no_newcomer_is_refused(self, fleet: Fleet) -> None:
        done = asyncio.Event()

        async def keep_coming() -> int:
            count = 0
            while not done.is_set():
                reader, writer = await asyncio.open_connection(fleet.running.host, fleet.running.port)
                writer.write(f"GET {fleet.base}/v360.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
                await writer.wait_closed()
                count += 1
            return count

        async with asyncio.TaskGroup() as group:
            coming = [group.create_task(keep_coming()) for _ in range(4)]
            for _ in range(2):
                await fleet.replace()
            done.set()
        assert sum(task.result() for task in coming) > 100

    async def test_pipelined_requests_that_came_before_are_all_answered(self, fleet: Fleet) -> None:
        with fleet.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
            client.send(f"{fleet.base}/v360.mp4")
            for _ in range(3):
                client.send(f"{fleet.base}/v360.m3u8")
            assert client.sock.recv(1000, socket.MSG_PEEK)
            await fleet.replace()
            answers = [await asyncio.to_thread(client.receive) for _ in range(4)]
            assert answers[0].body == fleet.data
            assert [answer.headers.get("connection") for answer in answers] == [None, None, None, "close"]

    async def test_nothing_that_was_counted_is_lost(self, fleet: Fleet) -> None:
        before = await metric(fleet.admin_port, "nearcast_oca_requests_total")
        with fleet.client() as client:
            for _ in range(50):
                assert client.ask(f"{fleet.base}/v360.m3u8").status == 200
        gone, _ = await fleet.replace()
        await until(lambda: not any(map(is_alive, gone)))
        assert await metric(fleet.admin_port, "nearcast_oca_requests_total") == before + 50
        assert await metric(fleet.admin_port, "nearcast_oca_connections") == 0

    async def test_one_that_dies_while_its_successor_starts_leaves_no_process_too_many(self, fleet: Fleet) -> None:
        before = await fleet.pids()
        fleet.running.process.send_signal(signal.SIGHUP)
        await until(lambda: len(fleet.children()) > WORKERS)
        os.kill(before[0], signal.SIGKILL)

        async def is_over() -> bool:
            pids = await fleet.pids()
            return not set(pids) & set(before) and all(map(is_alive, pids))

        await until(is_over)
        # A third one would be started half a second after the death.
        restarts = "nearcast_oca_worker_restarts_total"
        with contextlib.suppress(AssertionError):
            await until(lambda: len(fleet.children()) > WORKERS, limit_s=2.0)
        assert fleet.children() == set(await fleet.pids()), await metric(fleet.admin_port, restarts)

    async def test_where_no_successor_comes_to_serve_the_old_ones_go_on(self, fleet: Fleet) -> None:
        before = await fleet.pids()
        log = fleet.running.state / "access.log"
        log.rename(log.with_name("kept"))
        log.mkdir()  # so no new worker can open it

        async def reload_is(value: float) -> bool:
            return await metric(fleet.admin_port, "nearcast_oca_config_last_reload_successful") == value

        try:
            fleet.running.process.send_signal(signal.SIGHUP)
            await until(lambda: reload_is(0))
            with fleet.client() as client:
                assert client.ask(f"{fleet.base}/v360.m3u8").status == 200
        finally:
            log.rmdir()
            log.with_name("kept").rename(log)
        assert await fleet.pids() == before
        assert fleet.children() == set(before)
        await fleet.replace()
        await until(lambda: reload_is(1))


async def test_a_drain_lets_a_download_finish_and_ends_with_it(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source", size=8 * BLOCK_SIZE)
    running = Running(tmp_path / "a")
    shutil.copytree(tmp_path / "source", running.volume)
    await running.start()
    with Client(running.connect()) as client, Client(running.connect()) as idle:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        assert idle.ask("/nothing").status == 404
        client.send(f"/v1/title/{folder.name}/v360.mp4")
        assert client.sock.recv(1000, socket.MSG_PEEK)
        running.process.send_signal(signal.SIGTERM)

        def is_refused() -> bool:
            try:
                running.connect().close()
            except ConnectionRefusedError:
                return True
            return False

        await until(is_refused)
        body = (await asyncio.to_thread(client.receive)).body
        assert body == (folder / "v360.mp4").read_bytes()
    assert await running.end() == 0


# Ports and sums


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OcaError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            listen(("127.0.0.1", port), 2)


def test_all_workers_listen_on_one_port() -> None:
    listeners = listen(("127.0.0.1", 0), 3)
    assert len({listener.getsockname() for listener in listeners}) == 1
    for listener in listeners:
        listener.close()


def test_what_a_worker_did_stays_done_and_its_clients_go_with_it() -> None:
    load = Workload()
    fields = dict.fromkeys(Load.__struct_fields__, 0)
    first = msgspec.convert({**fields, "connections": 3, "nominal_bps": 10, "requests": 5, "bytes_sent": 100}, Load)
    second = msgspec.structs.replace(first, connections=1, nominal_bps=4, requests=7, bytes_sent=150)
    load.count(None, first)
    load.count(first, second)
    assert (load.total["connections"], load.total["requests"], load.total["bytes_sent"]) == (1, 7, 150)
    load.forget(second)
    assert (load.total["connections"], load.total["nominal_bps"], load.total["requests"]) == (0, 0, 7)
