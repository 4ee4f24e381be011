"""Receives one answer in a thread, from a socket straight to whoever takes its bytes.

A block that goes through the event loop is copied, wrapped and handed over some sixty times; here a thread reads into
one buffer of its own, and what takes a piece (to digest and write it) does so before the next one is read, while the
bytes are still in the processor's cache. All three let go of the interpreter, so two blocks are received, digested and
written on two cores at once. The buffer begins with a page, and pieces of a wanted size fill it from there: they can go
to a disk as they are. Only plain HTTP/1.1 is spoken: what comes over TLS, or in chunks, comes the other way
(oca.miss.upstream).

    a kept connection?  ->  GET, Range  ->  206 of the length asked for  ->  pieces to `take`  ->  kept for the next

`stop` may be called from another thread, and ends it at once.
"""

from __future__ import annotations

import contextlib
import mmap
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TypeAlias, TypeVar

_Result = TypeVar("_Result")

Address: TypeAlias = tuple[str, int]
Take: TypeAlias = Callable[[memoryview], None]
# What it costs to move bytes now: seconds to wait before more of them may come.
Pace: TypeAlias = Callable[[int], float]

# Past memory, a disk that takes 2.4 GB/s in writes of this size takes 1.5 in writes of a quarter of it (ext4, into a
# sparse file). It still fits the second-level cache of a core.
PIECE_BYTES = 1024 * 1024
# Of what is handed on as it comes.
_MOST_AT_ONCE_BYTES = 256 * 1024
_LARGEST_HEAD_BYTES = 16 * 1024
# More are closed as they come back: an upstream need not keep what nobody uses.
_MOST_IDLE = 16
# The pace may change meanwhile.
_LONGEST_WAIT_S = 0.25
# An upstream that has had this long to come up to a speed is judged by it.
_JUDGED_AFTER_S = 2.0
# struct linger (socket(7)): on, and no time to linger.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r\n)")
_buffers = threading.local()


class Answered(Exception):
    """Another status than 206. `retry_after_s` is what the answer asks for, 0 if nothing."""

    def __init__(self, status: int, retry_after_s: float) -> None:
        super().__init__(f"status {status}")
        self.status, self.retry_after_s = status, retry_after_s


class Malformed(Exception):
    """Not an answer to what was asked: it says what is wrong."""


class Crawls(Exception):
    """It gives bytes, and so few of them that others are better asked."""


class Connections:
    """Those that are open and idle, by address. Any thread takes and gives."""

    def __init__(self) -> None:
        self._idle: defaultdict[Address, list[socket.socket]] = defaultdict(list)
        self._lock = threading.Lock()
        self._is_closed = False

    def take(self, address: Address) -> socket.socket | None:
        while True:
            with self._lock:
                idle = self._idle[address]
                if not idle:
                    return None
                connection = idle.pop()
            if _is_quiet(connection):
                return connection
            connection.close()

    def give(self, address: Address, connection: socket.socket) -> None:
        with self._lock:
            if not self._is_closed and len(self._idle[address]) < _MOST_IDLE:
                self._idle[address].append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()


def _is_quiet(connection: socket.socket) -> bool:
    """False where the upstream closed it meanwhile, or said what nobody asked."""
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


class Reception:
    """One request. `received` and `waited_s` (for the pace) grow while `run` is under way."""

    def __init__(self, connections: Connections, address: Address, request: bytes, stall_s: float) -> None:
        self.received = 0
        self.waited_s = 0.0
        self._connections, self._address, self._request, self._stall_s = connections, address, request, stall_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def run(
        self,
        length: int,
        take: Take,
        *,
        pace: Pace | None = None,
        least_bytes_s: float = 0.0,
        piece_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        """Hands `length` bytes to `take`, in order. Blocks.

        It waits for pieces of the size that `piece_bytes` gives (at most PIECE_BYTES; 0: as they come). Raises
        Answered, Malformed, Crawls, OSError (TimeoutError after `stall_s` without a byte), and whatever `take` raises.
        """
        connection, rest, keeps = self._ask(length)
        try:
            self._receive(connection, rest, length, take, pace, least_bytes_s, piece_bytes)
        except BaseException:
            self._break_off(connection)
            raise
        self._let_go()
        if keeps and not self._stopped.is_set():
            self._connections.give(self._address, connection)
        else:
            connection.close()

    def _ask(self, length: int) -> tuple[socket.socket, bytes, bool]:
        """The connection, what came of the body with the head, and whether it may be used again."""
        kept = self._connections.take(self._address)
        if kept is not None:
            try:
                return self._ask_on(kept, length)
            except (ConnectionError, BrokenPipeError):
                # Closed by the upstream in the moment of our question: it has not been answered, and is asked anew.
                if self._stopped.is_set():
                    raise
        return self._ask_on(self._connect(), length)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=self._stall_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel keeps the time: Python's own timeouts cost a poll(2) for each read.
        connection.settimeout(None)
        seconds, part = divmod(self._stall_s, 1)
        limit = struct.pack("ll", int(seconds), int(part * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return connection

    def _ask_on(self, connection: socket.socket, length: int) -> tuple[socket.socket, bytes, bool]:
        with self._lock:
            self._socket = connection
        try:
            if self._stopped.is_set():
                raise ConnectionAbortedError("stopped")
            connection.sendall(self._request)
            head = b""
            while (end := head.find(b"\r\n\r\n")) < 0:
                if len(head) > _LARGEST_HEAD_BYTES:
                    raise Malformed("the head of an answer without an end")
                piece = _in_time(partial(connection.recv, _LARGEST_HEAD_BYTES))
                if not piece:
                    raise ConnectionResetError("closed before an answer")
                head += piece
            return connection, head[end + 4 :], _check(head[: end + 2], length)
        except BaseException:
            self._break_off(connection)
            raise

    def _receive(
        self,
        connection: socket.socket,
        rest: bytes,
        length: int,
        take: Take,
        pace: Pace | None,
        least_bytes_s: float,
        piece_bytes: Callable[[], int],
    ) -> None:
        started = time.monotonic()
        buffer = _buffer()
        if len(rest) > length:
            raise Malformed(f"more than the {length} bytes asked for")
        buffer[: len(rest)] = rest
        have = len(rest)
        while self.received < length:
            wanted = piece_bytes()
            end = min(max(have, wanted or _MOST_AT_ONCE_BYTES), length - self.received)
            if have < end and (wanted or not have):
                flags = socket.MSG_WAITALL if wanted else 0
                count = _in_time(partial(connection.recv_into, buffer[have:end], 0, flags))
                if not count and not have:
                    raise ConnectionResetError(f"cut off after {self.received} of {length} bytes")
                have += count
            self._hand_over(buffer[:have], take, pace)
            have = 0
            took_s = time.monotonic() - started - self.waited_s
            if took_s > _JUDGED_AFTER_S and self.received < least_bytes_s * took_s:
                raise Crawls(f"{self.received} bytes in {took_s:.0f} s")

    def _hand_over(self, piece: memoryview, take: Take, pace: Pace | None) -> None:
        take(piece)
        self.received += len(piece)
        if pace is not None:
            self._wait(pace, len(piece))
        if self._stopped.is_set():
            raise ConnectionAbortedError("stopped")

    def _wait(self, pace: Pace, count: int) -> None:
        before = time.monotonic()
        wait_s = pace(count)
        if wait_s <= 0:
            return
        while wait_s > 0 and not self._stopped.wait(min(wait_s, _LONGEST_WAIT_S)):
            wait_s = pace(0)
        self.waited_s += time.monotonic() - before

    def _break_off(self, connection: socket.socket) -> None:
        """Resets it, so that the upstream hears of it at once.

        After a `stop` the window that an upstream has filled stays shut, though what came was read. It has our FIN,
        probes the window, and without a reset it held the connection for 107 s (Linux 6.18).
        """
        self._let_go()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()

    def _let_go(self) -> None:
        """From here on `stop` must not touch the socket: its number may be another's soon."""
        with self._lock:
            self._socket = None


def _in_time(read: Callable[[], _Result]) -> _Result:
    try:
        return read()
    except BlockingIOError as error:  # what SO_RCVTIMEO makes of a time-out (socket(7))
        raise TimeoutError("silent for too long") from error


def _buffer() -> memoryview:
    """This thread's own: a new one each time would be a page fault for each page, each time."""
    if not hasattr(_buffers, "view"):
        _buffers.view = memoryview(mmap.mmap(-1, PIECE_BYTES))
    return _buffers.view  # type: ignore[no-any-return]


def _check(head: bytes, length: int) -> bool:
    """Whether the connection can be used again. Raises Answered, Malformed where it is not the 206 asked for."""
    status_line = _STATUS_LINE.match(head)
    if status_line is None:
        raise Malformed("not HTTP/1.1")
    fields = _fields(head)
    status = int(status_line[1])
    if status != 206:
        raise Answered(status, retry_after(fields.get(b"retry-after", b"").decode("latin-1")))
    if b"transfer-encoding" in fields:
        raise Malformed("an answer in chunks")
    if fields.get(b"content-length", b"") != str(length).encode():
        raise Malformed("an answer of the wrong size")
    return fields.get(b"connection", b"").lower() != b"close" and head.startswith(b"HTTP/1.1")


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def retry_after(text: str) -> float:
    """Seconds; 0 for none, and for a date (RFC 9110 10.2.3 allows one, nobody who serves content here gives one)."""
    return float(text) if text.isdecimal() and len(text) <= 6 else 0.0
