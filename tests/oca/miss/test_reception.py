from __future__ import annotations

import ctypes
import mmap
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from oca.miss.reception import PIECE_BYTES, Answered, Connections, Crawls, Malformed, Reception, retry_after

# Long enough that a busy machine is not taken for a silent upstream.
STALL_S = 2.0
BODY = bytes(range(256)) * 4096
REQUEST = b"GET /x HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n"
Serve = Callable[[socket.socket], None]


class Server:
    """Each connection is one turn of `serve`, in a thread; a connection whose turn is over is closed."""

    def __init__(self) -> None:
        self.serve: Serve = answer(BODY)
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._turn, args=(connection,), daemon=True).start()

    def _turn(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may go at any time
            self.serve(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def answer(body: bytes, head: str = "", *, status: str = "206 Partial Content", pause_s: float = 0.0) -> Serve:
    """Answers each request of a connection so."""

    def serve(connection: socket.socket) -> None:
        while ask(connection):
            fields = head or f"Content-Length: {len(body)}\r\n"
            connection.sendall(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode())
            for first in range(0, len(body), 65536):
                connection.sendall(body[first : first + 65536])
                if pause_s:
                    threading.Event().wait(pause_s)

    return serve


def ask(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        if not (piece := connection.recv(4096)):
            return b""
        data += piece
    return data


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def connections() -> Iterator[Connections]:
    connections = Connections()
    yield connections
    connections.close()


def receive(server: Server, connections: Connections, length: int = len(BODY), **more: Any) -> bytes:
    came = bytearray()
    Reception(connections, server.address, REQUEST, STALL_S).run(length, came.extend, **more)
    return bytes(came)


@pytest.mark.parametrize("piece_bytes", [0, 5000, 65536, PIECE_BYTES])
def test_an_answer_comes_whole_and_its_connection_is_used_again(
    server: Server, connections: Connections, piece_bytes: int
) -> None:
    for _ in range(3):
        assert receive(server, connections, piece_bytes=lambda: piece_bytes) == BODY
    assert server.connections == 1


def test_pieces_are_of_the_wanted_size_and_begin_with_a_page(server: Server, connections: Connections) -> None:
    server.serve = answer(BODY[:200_000], pause_s=0.001)
    pieces = []

    def take(piece: memoryview) -> None:
        pieces.append((len(piece), ctypes.addressof(ctypes.c_char.from_buffer(piece)) % mmap.PAGESIZE))

    Reception(connections, server.address, REQUEST, STALL_S).run(200_000, take, piece_bytes=lambda: 65536)
    assert pieces == [(65536, 0), (65536, 0), (65536, 0), (200_000 - 3 * 65536, 0)]


def test_a_wait_ends_when_the_pace_changes(
    server: Server, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oca.miss.reception._LONGEST_WAIT_S", 0.001)
    waits = iter([3600.0, 3600.0, 0.0])
    asked = []

    def pace(count: int) -> float:
        asked.append(count)
        return next(waits, 0.0)

    assert receive(server, connections, pace=pace, piece_bytes=lambda: PIECE_BYTES) == BODY
    assert asked == [len(BODY), 0, 0]


def test_a_connection_that_was_closed_meanwhile_costs_nothing(server: Server, connections: Connections) -> None:
    once = answer(BODY)

    def serve(connection: socket.socket) -> None:
        ask(connection)
        connection.sendall(f"HTTP/1.1 206 x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)

    server.serve = serve
    assert receive(server, connections) == BODY
    server.serve = once
    assert receive(server, connections) == BODY
    assert server.connections == 2


@pytest.mark.parametrize(("head", "after_s"), [("Retry-After: 7\r\nContent-Length: 0\r\n", 7.0), ("", 0.0)])
def test_another_status_is_told_with_when_to_come_back(
    server: Server, connections: Connections, head: str, after_s: float
) -> None:
    server.serve = answer(b"", head, status="503 Service Unavailable")
    with pytest.raises(Answered) as caught:
        receive(server, connections)
    assert (caught.value.status, caught.value.retry_after_s) == (503, after_s)


@pytest.mark.parametrize(
    "head", ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "X: y\r\n", f"Content-Length: {10**12}\r\n"]
)
def test_an_answer_of_another_size_is_refused_before_a_byte_is_taken(
    server: Server, connections: Connections, head: str
) -> None:
    server.serve = answer(BODY, head)
    with pytest.raises(Malformed):
        receive(server, connections)


def test_what_is_no_http_is_refused(server: Server, connections: Connections) -> None:
    server.serve = lambda connection: connection.sendall(ask(connection) and b"SSH-2.0-x\r\n\r\n")
    with pytest.raises(Malformed, match="not HTTP"):
        receive(server, connections)


def test_an_answer_that_is_cut_is_an_error_after_what_came(server: Server, connections: Connections) -> None:
    def serve(connection: socket.socket) -> None:
        ask(connection)
        connection.sendall(f"HTTP/1.1 206 x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:1000])

    server.serve = serve
    came = bytearray()
    with pytest.raises(ConnectionError, match="1000 of"):
        Reception(connections, server.address, REQUEST, STALL_S).run(len(BODY), came.extend)
    assert came == BODY[:1000]


def test_who_is_silent_is_left_in_time(server: Server, connections: Connections) -> None:
    def serve(connection: socket.socket) -> None:
        ask(connection)
        connection.recv(1)  # says nothing until the client goes

    server.serve = serve
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(server, connections)
    assert time.monotonic() - started < 10 * STALL_S


def test_who_gives_too_little_is_left_for_others(
    server: Server, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oca.miss.reception._JUDGED_AFTER_S", 0.05)
    server.serve = answer(BODY, pause_s=0.02)
    with pytest.raises(Crawls):
        receive(server, connections, least_bytes_s=1e12)
    assert receive(server, connections, least_bytes_s=1.0) == BODY


def test_time_that_we_wait_ourselves_is_not_the_sources(
    server: Server, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oca.miss.reception._JUDGED_AFTER_S", 0.0)
    pauses = iter([0.2])
    assert receive(server, connections, pace=lambda count: next(pauses, 0.0), least_bytes_s=len(BODY) * 5.0) == BODY


def test_a_stop_ends_it_at_once(server: Server, connections: Connections) -> None:
    asked = threading.Event()

    def serve(connection: socket.socket) -> None:
        ask(connection)
        asked.set()
        connection.recv(1)

    server.serve = serve
    reception = Reception(connections, server.address, REQUEST, 60.0)

    def stop() -> None:
        asked.wait(10)
        reception.stop()

    threading.Thread(target=stop).start()
    started = time.monotonic()
    with pytest.raises(OSError):
        reception.run(10, lambda piece: None)
    assert time.monotonic() - started < 10


def test_an_upstream_hears_of_a_stop_with_the_next_byte_that_it_sends(server: Server, connections: Connections) -> None:
    asked, stopped, heard = threading.Event(), threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        ask(connection)
        asked.set()
        stopped.wait(10)
        try:
            connection.send(b"the first of what it has left")
        except ConnectionError:
            heard.set()

    server.serve = serve
    reception = Reception(connections, server.address, REQUEST, 60.0)

    def stop() -> None:
        asked.wait(10)
        reception.stop()

    threading.Thread(target=stop).start()
    with pytest.raises(OSError):
        reception.run(10, lambda piece: None)
    stopped.set()
    assert heard.wait(10)


def test_what_takes_the_bytes_may_fail_and_the_connection_is_not_used_again(
    server: Server, connections: Connections
) -> None:
    def fail(piece: memoryview) -> None:
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError):
        Reception(connections, server.address, REQUEST, STALL_S).run(len(BODY), fail)
    assert receive(server, connections) == BODY
    assert server.connections == 2


@pytest.mark.parametrize(("text", "seconds"), [("5", 5.0), ("", 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("-1", 0)])
def test_only_seconds_are_read_of_retry_after(text: str, seconds: float) -> None:
    assert retry_after(text) == seconds
