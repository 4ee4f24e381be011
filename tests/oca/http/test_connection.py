"""One connection, its bytes and its end, against a client that sees all of them."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oca.http.answer import Part
from oca.http.connection import Connection, Descriptor
from oca.http.request import Request
from tests.oca.clients import Client
from tests.oca.http.senders import How, Sender, loopback
from tests.waiting import until

SIZE = 5_000_001
ASKED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESET = b"\x01\0\0\0\0\0\0\0"


@pytest.fixture(scope="module")
def data() -> bytes:
    return random.Random(2).randbytes(SIZE)


@pytest.fixture
def descriptor(tmp_path: Path, data: bytes) -> Iterator[Descriptor]:
    (tmp_path / "file").write_bytes(data)
    descriptor = Descriptor(tmp_path / "file")
    yield descriptor
    descriptor.retire()
    assert descriptor.fd == -1, "an answer did not let go of its file"


def connect(handler: Sender) -> tuple[Connection, socket.socket]:
    near, far = loopback()
    return Connection(asyncio.get_running_loop(), far, "127.0.0.1", handler), near


async def by_client(near: socket.socket, act: Callable[[Client], list[bytes]]) -> list[bytes]:
    """What a client does that blocks, beside the loop."""

    def run() -> list[bytes]:
        with Client(near) as client:
            return act(client)

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("how", ["whole", "at once", "growing"])
@pytest.mark.parametrize("reads", [1500, 1_000_000])
async def test_every_way_to_send_gives_the_bytes_of_the_file(
    descriptor: Descriptor, data: bytes, how: How, reads: int
) -> None:
    handler = Sender(descriptor, SIZE, how)
    connection, near = connect(handler)
    bodies = await by_client(near, lambda client: [client.ask("/", size=reads).body for _ in range(3)])
    assert [body == data for body in bodies] == [True] * 3
    await until(lambda: connection.fd < 0)
    assert not handler.trouble and handler.is_closed


@pytest.mark.parametrize("how", ["whole", "growing"])
async def test_pipelined_requests_get_their_answers_one_after_another(
    descriptor: Descriptor, data: bytes, how: How
) -> None:
    handler = Sender(descriptor, 100_000, how)
    connection, near = connect(handler)
    near.sendall(ASKED * 100)
    bodies = await by_client(near, lambda client: [client.receive().body for _ in range(100)])
    assert all(body == data[:100_000] for body in bodies)
    await until(lambda: connection.fd < 0)
    assert handler.wholes == [True] * 100


async def test_a_client_that_half_closes_gets_its_answer_and_then_the_end(descriptor: Descriptor, data: bytes) -> None:
    handler = Sender(descriptor, SIZE)
    connection, near = connect(handler)
    near.sendall(ASKED)
    near.shutdown(socket.SHUT_WR)
    bodies = await by_client(near, lambda client: [client.receive().body, b"" if client.is_ended() else b"more"])
    assert [bodies[0] == data, bodies[1]] == [True, b""]
    await until(lambda: connection.fd < 0)
    assert handler.wholes == [True]


@pytest.mark.parametrize("how", ["whole", "at once", "growing"])
async def test_a_client_that_resets_ends_the_answer_and_frees_the_file(descriptor: Descriptor, how: How) -> None:
    handler = Sender(descriptor, SIZE, how)
    connection, near = connect(handler)

    def leave(client: Client) -> list[bytes]:
        client.sock.sendall(ASKED)
        client.sock.recv(1000)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return []

    await by_client(near, leave)
    await until(lambda: connection.fd < 0)
    assert (handler.wholes, handler.trouble, descriptor.users) == ([False], "", 0)


async def test_a_file_that_is_shorter_than_it_should_be_cuts_the_answer(descriptor: Descriptor, tmp_path: Path) -> None:
    os.truncate(tmp_path / "file", 1_000_000)
    hows: tuple[How, ...] = ("whole", "at once")
    for how in hows:
        handler = Sender(descriptor, SIZE, how)
        connection, near = connect(handler)

        def fetch(client: Client) -> list[bytes]:
            with pytest.raises((EOFError, ConnectionResetError)):
                client.ask("/")
            return []

        await by_client(near, fetch)
        await until(lambda connection=connection: connection.fd < 0)  # type: ignore[misc]
        assert handler.wholes == [False] and "shorter" in handler.trouble


async def test_a_complaint_is_the_last_answer_and_what_comes_after_it_is_thrown_away(descriptor: Descriptor) -> None:
    handler = Sender(descriptor, 1000)
    connection, near = connect(handler)
    near.sendall(ASKED + b"nonsense\r\n\r\n" + ASKED)

    def read(client: Client) -> list[bytes]:
        assert [client.receive().status, client.receive().status] == [200, 400]
        assert client.is_ended()
        for _ in range(100):  # is not answered with a reset, which would take the complaint away
            client.sock.sendall(ASKED * 100)
        return []

    await by_client(near, read)
    await until(lambda: connection.fd < 0)
    assert handler.wholes == [True, True]


async def test_the_time_of_a_head_begins_with_its_own_first_byte(descriptor: Descriptor) -> None:
    handler = Sender(descriptor, 1000)
    connection, near = connect(handler)
    with near:
        near.sendall(ASKED[:10])
        await until(lambda: connection.reading_since > 0)
        of_the_first = connection.reading_since
        near.sendall(ASKED[10:] + ASKED[:10])
        await until(lambda: handler.wholes == [True])
        assert connection.reading_since > of_the_first
        near.sendall(ASKED[10:])
        await until(lambda: handler.wholes == [True, True])
        assert connection.reading_since == 0
    await until(lambda: connection.fd < 0)


async def test_an_answer_may_be_cut_while_it_waits(descriptor: Descriptor) -> None:
    class Never(Sender):
        def respond(self, connection: Connection, request: Request) -> None:
            connection.send_file(200, self.head(), self.descriptor, 0, SIZE, 1000)

    handler = Never(descriptor, SIZE)
    connection, near = connect(handler)
    near.sendall(ASKED)
    await until(lambda: connection.waits)
    assert connection.body_sent == 1000
    connection.abort()
    with near:
        assert (await asyncio.to_thread(near.recv, 10)).startswith(b"HTTP")
    assert handler.wholes == [False] and descriptor.users == 0


async def test_a_handler_that_fails_costs_one_connection(
    descriptor: Descriptor, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Sender):
        def respond(self, connection: Connection, request: Request) -> None:
            raise RuntimeError("on purpose")

    connection, near = connect(Failing(descriptor, 1000))
    near.sendall(ASKED)
    await until(lambda: connection.fd < 0)
    near.close()
    assert "could not be answered" in caplog.text


SPANS = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 900_000)), min_size=2, max_size=12)


@given(SPANS, st.sampled_from([1500, 65536, 1_000_000]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_ranges_are_their_parts_one_after_another(
    descriptor: Descriptor, data: bytes, spans: list[tuple[int, int]], reads: int
) -> None:
    parts = [Part(b"--x%d\r\n" % n, first, min(SIZE, first + length)) for n, (first, length) in enumerate(spans)]
    parts.append(Part(b"--x--", SIZE, SIZE))
    expected = b"".join(part.head + data[part.first : part.end] for part in parts)

    class Several(Sender):
        def respond(self, connection: Connection, request: Request) -> None:
            head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % len(expected)
            connection.send_parts(206, head, self.descriptor, parts)
            if connection.request is not None:  # else it went out at once
                assert connection.head_is_sent

    async def run() -> list[bytes]:
        handler = Several(descriptor, SIZE)
        connection, near = connect(handler)
        bodies = await by_client(near, lambda client: [client.ask("/", size=reads).body for _ in range(2)])
        await until(lambda: connection.fd < 0)
        assert handler.wholes == [True, True]
        return bodies

    assert [body == expected for body in asyncio.run(run())] == [True, True]


def test_a_descriptor_is_closed_when_the_last_lets_go(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    descriptor = Descriptor(tmp_path / "file")
    descriptor.users += 2
    descriptor.retire()
    descriptor.release()
    assert os.pread(descriptor.fd, 7, 0) == bytes(descriptor.view(0, 7)) == b"content"
    descriptor.release()
    assert descriptor.fd == -1
