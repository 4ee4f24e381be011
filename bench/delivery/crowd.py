"""Connections that do next to nothing, in a process of their own: idle ones, and slow readers.

    parent                                   python -m bench.delivery.crowd JOB
      <- {"idle": 10000}                     every idle connection has asked for one small file, and got it
      -> a line
      <- {"slow": 998}                       so many slow readers have asked for a large file and got its first bytes
      -> end of input
      <- {"kept": 11000, "read_bytes": ...}  how many of them the server had not closed

A slow reader has a small receive buffer and takes one small piece a second. What it does not take waits in the server's
kernel or in the server: that is what it costs.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType

import msgspec

from bench.delivery.programs import on_cores
from bench.errors import BenchError

# Loopback addresses to come from: each has some 28,000 ports (net.ipv4.ip_local_port_range).
_SOURCES = tuple(f"127.0.0.{number}" for number in range(2, 10))
_SLOW_BUFFER_BYTES = 16 * 1024
_SLOW_PIECE_BYTES = 4 * 1024
# All slow readers have their turn once a second, a share of them each tick.
_TICKS_PER_S = 20
_CONNECT_LIMIT_S = 10.0
_OPEN_LIMIT_S = 60.0
# A server of threads starts them one by one.
_SETTLE_LIMIT_S = 20.0
_POLL_S = 0.2


class Job(msgspec.Struct, frozen=True):
    port: int
    small: str  # paths
    large: str
    idle: int
    slow: int


class Kept(msgspec.Struct, frozen=True):
    kept: int
    read_bytes: int  # by the slow readers


class Crowd:
    """The parent's end. Everything ends when it is closed."""

    def __init__(self, job: Job, cores: frozenset[int]) -> None:
        with on_cores(cores):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.delivery.crowd", msgspec.json.encode(job).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def await_idle(self) -> None:
        """Raises BenchError."""
        self._line()

    def become_slow(self) -> None:
        """Raises BenchError."""
        self._order(b"\n")
        self._line()

    def end(self) -> Kept:
        """Raises BenchError."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        return msgspec.json.decode(self._line(), type=Kept)

    def _order(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it says why on its standard error
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _line(self) -> bytes:
        out = self._process.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], _OPEN_LIMIT_S)
        line = out.readline() if ready else b""
        if not line:
            self._process.kill()
            told = self._process.communicate()[1].decode(errors="replace").strip()[-300:]
            raise BenchError(f"the crowd of idle and slow connections failed: {told or 'it said nothing in time'}")
        return line


def run(job: Job) -> None:
    idle = [_open_idle(job, number) for number in range(job.idle)]
    _say({"idle": len(idle)})
    sys.stdin.readline()
    slow = [_open_slow(job, number) for number in range(job.slow)]
    _say({"slow": _await_first_bytes(slow)})
    read = _read_slowly(slow)
    _say({"kept": sum(map(_is_open, idle)) + sum(map(_is_open, slow)), "read_bytes": read})


def _open_idle(job: Job, number: int) -> socket.socket:
    connection = _connect(job, number, 0, job.small)
    with connection.makefile("rb") as answer:  # buffered reading; the connection stays open
        if b" 20" not in answer.readline():
            raise ConnectionError("an idle connection's request was not answered with 200")
        length = 0
        while (line := answer.readline().lower()) not in (b"\r\n", b""):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if len(answer.read(length)) < length:
            raise ConnectionError("an idle connection's answer was cut")
    connection.setblocking(False)
    return connection


def _open_slow(job: Job, number: int) -> socket.socket:
    connection = _connect(job, number, _SLOW_BUFFER_BYTES, job.large)
    connection.setblocking(False)
    return connection


def _connect(job: Job, number: int, receive_buffer_bytes: int, path: str) -> socket.socket:
    """A connection on which a path was asked for; 0 leaves the buffer to the system."""
    connection = socket.socket()
    connection.settimeout(_CONNECT_LIMIT_S)
    if receive_buffer_bytes:  # before the connect, for the window is scaled then (tcp(7))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.bind((_SOURCES[number % len(_SOURCES)], 0))
    connection.connect(("127.0.0.1", job.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\n\r\n".encode())
    return connection


def _await_first_bytes(slow: list[socket.socket]) -> int:
    """How many have something to read; returns when all have, or at the limit."""
    until = time.monotonic() + _SETTLE_LIMIT_S
    with select.epoll() as poll:
        waiting = {connection.fileno() for connection in slow}
        for fd in waiting:
            poll.register(fd, select.EPOLLIN)
        while waiting and time.monotonic() < until:
            for fd, _ in poll.poll(_POLL_S):
                poll.unregister(fd)
                waiting.discard(fd)
        return len(slow) - len(waiting)


def _read_slowly(slow: list[socket.socket]) -> int:
    """Reads until standard input ends; returns how many bytes."""
    read, tick = 0, 0
    due = time.monotonic()
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))
        if ready and not sys.stdin.readline():
            return read
        for connection in slow[tick % _TICKS_PER_S :: _TICKS_PER_S]:
            with suppress(OSError):  # nothing there, or closed: counted at the end
                read += len(connection.recv(_SLOW_PIECE_BYTES))
        tick += 1
        due += 1 / _TICKS_PER_S


def _is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _say(fact: dict[str, int]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(fact) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(msgspec.json.decode(sys.argv[1], type=Job))
