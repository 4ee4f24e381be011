"""One client of a delivery worker: bytes in, requests, answers out, nothing copied on the way.

The socket is driven with add_reader and add_writer instead of a transport: uvloop's transports have no sendfile, and
asyncio's would read the file through Python for TLS. Content goes from page cache to socket by `os.sendfile`; the head
before it by `send(MSG_MORE)`, so that both leave in one packet. Over TLS (oca.http.tls) only the three methods that
touch the socket are others.

What is queued but unsent in the kernel is bounded by TCP_NOTSENT_LOWAT: a slow client then pins a few pages, not the
whole send buffer, and pages are still in cache when they are sent. Unlike SO_SNDBUF it does not cap what is in flight.

An answer may grow while it is sent: `limit` is how far its bytes are known to be there. An answer that waits too long
for its limit to move is reset by the worker's tick: players survive a reset, what stalls them is a transfer that stops.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

from oca.http.answer import Part, head, problem
from oca.http.request import Request, RequestReader

if TYPE_CHECKING:
    from oca.gate import Pass
    from oca.needs import Need
    from oca.pieces import Piece

logger = logging.getLogger(__name__)

# Measured with BBR over loopback, 32 connections, 1 MiB: 7 to 9 GB/s with 16 or 32 KiB, 2 to 3 GB/s from 64 KiB on,
# where pacing holds back what is queued; with cubic there is no difference.
_NOTSENT_LOWAT_BYTES = 16 * 1024
# One turn moves at most this; a fast client on a fast link must not keep the others waiting.
_LARGEST_SEND_BYTES = 2 * 1024 * 1024
# As large as a head may be: a whole request in one read.
_RECEIVE_BYTES = 16 * 1024
# Requests of one client that wait behind the one being answered; reading stops beyond.
_LARGEST_PIPELINE = 32
# The peer is gone, or the network to it: normal, not an error.
_VANISHED = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})
_RESET = struct.pack("ii", 1, 0)
# linux/tcp.h, struct tcp_info: tcpi_rtt at 68 and tcpi_min_rtt at 148 (microseconds), tcpi_delivery_rate (bytes/s) at
# 160. To ask and unpack takes 0.6 us.
_TCP_INFO = struct.Struct("68xI76xI8xQ")
_NO_MIN_RTT = 0xFFFFFFFF


class MeasuredLink(NamedTuple):
    """What TCP knows of the way to a client; 0: not known."""

    rtt_us: int  # smoothed
    least_rtt_us: int  # of the last minutes
    rate_bps: int  # of late


class Descriptor:
    """An open file that several answers send from; closed when the last lets go after it was retired."""

    __slots__ = ("_map", "fd", "is_retired", "users")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._map: mmap.mmap | None = None
        self.users = 0
        self.is_retired = False

    def view(self, first: int, end: int) -> memoryview:
        """Bytes [first, end) without a copy. Raises OSError or ValueError where the file cannot be mapped."""
        if self._map is None or len(self._map) < end:  # cut short once, and repaired since
            self._map = mmap.mmap(self.fd, 0, prot=mmap.PROT_READ)
        return memoryview(self._map)[first:end]

    def retire(self) -> None:
        """Nobody new takes it."""
        self.is_retired = True
        self._close_if_free()

    def release(self) -> None:
        self.users -= 1
        self._close_if_free()

    def _close_if_free(self) -> None:
        if self.is_retired and not self.users and self.fd >= 0:
            self._map = None  # unmapped with its last view
            os.close(self.fd)
            self.fd = -1


class Handler(Protocol):
    """What a connection asks of its worker. `date` ends every head: the Date field and the empty line."""

    date: bytes

    def usual(self, connection: Connection, data: bytes) -> bool:
        """Whether `data`, which came while idle, was a request that is answered by now."""

    def respond(self, connection: Connection, request: Request) -> None:
        """Must lead to exactly one of send, send_file, or abort, now or later."""

    def answered(self, connection: Connection, *, whole: bool) -> None:
        """The answer to `connection.request` ended."""

    def unreadable(self, connection: Connection, why: str) -> None:
        """The file at `connection.position` cannot be read, or is shorter than it should be; the answer was cut."""

    def closed(self, connection: Connection) -> None: ...


class Connection:
    """States: idle (no request), answering (`request` is set), closed (`fd` is -1)."""

    __slots__ = (
        "_descriptor", "_handler", "_head", "_loop", "_parts", "_queue", "_reader", "_reading", "_sock", "_unsent",
        "_writing", "address", "body_sent", "client", "cmsd", "cmsd_until", "end", "ends", "fd", "hit",
        "is_spent", "is_turned_away", "limit", "lingers", "missed", "moved_at", "need", "piece", "position", "rate_bps",
        "reading_since", "request", "served", "started_at", "status", "token", "waits",
    )  # fmt: skip
    scheme = "http"

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, client: str, handler: Handler) -> None:
        self._loop, self._sock, self.client, self._handler = loop, sock, client, handler
        self.fd = sock.fileno()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT_BYTES)
        self._reader = RequestReader()
        self._queue: list[Request] = []  # those that came behind `request`
        self._reading = self._writing = False
        self.ends = False  # close after the answers that are queued
        self.lingers = False  # all is said; what still comes in is discarded
        self.moved_at = monotonic()
        self.reading_since = 0.0  # when the first byte of the request came that is being read
        self.served = 0  # requests so far
        self.is_spent = False  # the next answer is its last
        self.is_turned_away = False  # accepted only to be told that there is no room
        # For the worker: the address as logs may have it, the CMSD field that is good for a while, the nominal bit rate
        # of what is being watched, and the access token that came last in a path.
        self.address = ""
        self.cmsd = b""
        self.cmsd_until = 0.0
        self.rate_bps = 0
        self.token: Pass | None = None
        self.request: Request | None = None
        self._clear_answer()
        self._start()

    def _start(self) -> None:
        self._read(True)

    def _clear_answer(self) -> None:
        self.request = None
        self._head = b""
        self._unsent = False
        self._descriptor: Descriptor | None = None
        self._parts: Sequence[Part] = ()  # of an answer of several ranges, those still to come
        self.position = self.end = self.limit = 0
        self.body_sent = 0
        self.status = 0
        self.started_at = 0.0
        self.waits = False
        # For the worker: what it asked of the parent for this answer, whether it ever did, whether nothing had to be
        # fetched for it, and the piece it answers with.
        self.need: Need | None = None
        self.missed = False
        self.hit = True
        self.piece: Piece | None = None

    # The socket: what TLS does in another way

    def _receive(self) -> bytes:
        """What has come; empty at the end. Raises BlockingIOError if nothing has, OSError."""
        return self._sock.recv(_RECEIVE_BYTES)

    def _send(self, data: bytes, *, more: bool) -> int:
        """Sends some of it, `more` follows at once. Raises BlockingIOError, OSError."""
        return self._sock.send(data, socket.MSG_MORE if more else 0)

    def _send_from(self, descriptor: Descriptor, first: int, end: int) -> int:
        """Sends some of these bytes of a file; 0 where it ends before. Raises BlockingIOError, OSError."""
        try:
            sent = os.sendfile(self.fd, descriptor.fd, first, end - first)
        except BlockingIOError:
            self._push()
            raise
        if sent < end - first:
            self._push()
        return sent

    def _push(self) -> None:
        """Has TCP send what it holds back.

        sendfile promises more to come, so the end of what the socket took waits for a whole segment. Over loopback
        those have 64 KiB: more than may be unsent, so no more ever comes, and the transfer stands still for 200 ms.
        """
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _say_end(self) -> None:
        """Tells the peer that nothing follows. Raises OSError."""
        self._sock.shutdown(socket.SHUT_WR)

    # Reading requests

    def _read(self, on: bool) -> None:
        if on is not self._reading and self.fd >= 0:
            self._reading = on
            if on:
                self._loop.add_reader(self.fd, self._readable)
            else:
                self._loop.remove_reader(self.fd)

    def _readable(self) -> None:
        try:
            data = self._receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        if not data:
            self._read(False)
            self.ends = True
            if self.request is None:
                self.close()
            return
        if self.request is None and not self.ends and not self._reader.midway and self._handler.usual(self, data):
            return
        if self.lingers:
            return
        requests = self._reader.feed(data)
        if self._reader.midway:
            if requests or not self.reading_since:
                self.reading_since = monotonic()
            if self._reader.wants_continue and self.request is None and not requests:
                self._go_ahead()
        else:
            self.reading_since = 0.0
        if requests:
            self._queue.extend(requests)
            if self._reader.has_refused:
                self._read(False)
                self.ends = True
            elif len(self._queue) >= _LARGEST_PIPELINE:
                self._read(False)
            if self.request is None:
                self._next()

    def _go_ahead(self) -> None:
        """RFC 9110 10.1.1: the client sends its content when it hears that we take it."""
        self._reader.wants_continue = False
        with suppress(OSError):  # it sends without it, too
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n", more=False)

    # Answering

    def _next(self) -> None:
        """Answers what is queued, one after another; a loop, for pipelined answers would nest deeply."""
        while self.request is None and self._queue and self.fd >= 0:
            request = self.request = self._queue.pop(0)
            self.started_at = self.moved_at = monotonic()
            self.served += 1
            if not request.keep_alive:  # RFC 9112 9.6: nothing that comes after it is answered
                self.ends = True
                self._queue.clear()
                self._read(False)
            try:
                self._handler.respond(self, request)
            except Exception:
                logger.exception("a request could not be answered", extra={"method": request.method})
                self.abort()
        if self.fd >= 0 and self.request is None:
            if self._reader.has_refused:
                self._linger()
            elif self.ends:
                self.close()
            elif not self._reading:
                self._read(True)

    def send(self, status: int, answer_head: bytes, body: bytes = b"") -> None:
        """A whole answer that is in memory."""
        self.status = status
        self._head = answer_head + body
        self._unsent = True
        self.body_sent = len(body)
        self._pump()

    def send_file(
        self, status: int, answer_head: bytes, descriptor: Descriptor, first: int, end: int, limit: int
    ) -> None:
        """Head, then bytes [first, end) of a file, of which [first, limit) are there; `advance` tells of more."""
        self.status = status
        self._head = answer_head
        self._unsent = True
        self._descriptor = descriptor
        descriptor.users += 1
        self.position, self.end, self.limit = first, end, limit
        self._pump()

    def send_parts(self, status: int, answer_head: bytes, descriptor: Descriptor, parts: Sequence[Part]) -> None:
        """Head, then several ranges of a file whose bytes are all there."""
        self._parts = parts[1:]
        part = parts[0]
        self.send_file(status, answer_head + part.head, descriptor, part.first, part.end, part.end)

    def advance(self, limit: int) -> None:
        """More of the answer's bytes are there."""
        if limit > self.limit:
            self.limit = limit
            if not self._writing:
                self._pump()

    def send_at_once(self, answer_head: bytes, descriptor: Descriptor, first: int, end: int) -> bool:
        """Head and content, while idle; false where not all of it went out: `go_on` sends the rest."""
        sent, position = 0, first
        try:
            sent = self._sock.send(answer_head, socket.MSG_MORE if first < end else 0)
            if sent == len(answer_head) and first < end:
                position += os.sendfile(self.fd, descriptor.fd, first, min(end - first, _LARGEST_SEND_BYTES))
        except OSError:  # the socket is full, or `go_on` will find out
            pass
        if position == end and sent == len(answer_head):
            return True
        self._hold(answer_head[sent:], descriptor, first, position, end)
        self._push()
        return False

    def _hold(self, head_left: bytes, descriptor: Descriptor, first: int, position: int, end: int) -> None:
        """Keeps what is left of an answer that was begun."""
        self.status = 200
        self._head, self._unsent = head_left, bool(head_left)
        self._descriptor = descriptor
        descriptor.users += 1
        self.position, self.end, self.limit = position, end, end
        self.body_sent = position - first

    def go_on(self, request: Request, piece: Piece, started_at: float) -> None:
        """Sends the rest of an answer that `send_at_once` began."""
        self.request, self.piece, self.started_at = request, piece, started_at
        self._pump()
        self.resume()

    def _pump(self) -> None:
        """Sends until all is sent, the socket is full, its turn is over, or the bytes that are there run out."""
        before = self.body_sent
        try:
            while True:
                if self._unsent:
                    self._send_head()
                if self.position < self.limit:
                    self._send_some(_LARGEST_SEND_BYTES - (self.body_sent - before))
                    if self.fd < 0:
                        return
                if not self._parts or self.position < self.end or self.body_sent - before >= _LARGEST_SEND_BYTES:
                    break
                part, self._parts = self._parts[0], self._parts[1:]
                self._head, self._unsent = part.head, True
                self.body_sent += len(part.head)
                self.position, self.end, self.limit = part.first, part.end, part.end
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            if error.errno not in _VANISHED:
                # EIO and its kind come from the file: a socket's troubles are all in the list.
                self._handler.unreadable(self, os.strerror(error.errno or 0))
            self.abort()
            return
        if self.body_sent > before:
            self.moved_at = monotonic()
        if self._unsent or self.position < self.limit or (self._parts and self.position == self.end):
            self.waits = False  # now it is the client that takes its time
            self._write(True)
            return
        self._write(False)
        self.waits = self.position < self.end
        if not self.waits:
            self._finish()

    def _send_head(self) -> None:
        sent = self._send(self._head, more=self.position < self.limit)
        if sent < len(self._head):
            self._head = self._head[sent:]
            self.moved_at = monotonic()
            raise BlockingIOError
        self._head = b""
        self._unsent = False

    def _send_some(self, most: int) -> None:
        """Sends file bytes, at most so many. A short count means that the socket is full (tcp(7), NOTSENT_LOWAT)."""
        assert self._descriptor is not None
        stop = min(self.limit, self.position + most)
        while self.position < stop:
            sent = self._send_from(self._descriptor, self.position, stop)
            if not sent:
                self._handler.unreadable(self, "it is shorter than its package says")
                self.abort()
                return
            self.position += sent
            self.body_sent += sent

    def _write(self, on: bool) -> None:
        if on is not self._writing and self.fd >= 0:
            self._writing = on
            if on:
                self._loop.add_writer(self.fd, self._writable)
            else:
                self._loop.remove_writer(self.fd)

    def _writable(self) -> None:
        self._pump()
        if self.request is None and self.fd >= 0:
            self._next()

    def _finish(self) -> None:
        self._release()
        self._handler.answered(self, whole=True)
        self._clear_answer()

    def _release(self) -> None:
        if self._descriptor is not None:
            self._descriptor.release()
            self._descriptor = None

    def resume(self) -> None:
        """After an answer that ended outside of `_readable` and `_writable`: goes on with the next request."""
        if self.request is None and self.fd >= 0:
            self._next()

    @property
    def head_is_sent(self) -> bool:
        """True once it is too late for another status."""
        return self.status != 0

    @property
    def is_last(self) -> bool:
        """True if no other answer follows the one under way."""
        return self.ends and not self._queue

    @property
    def is_idle(self) -> bool:
        """True between answers, with nothing of a next request."""
        return self.request is None and not self._reader.midway and not self.lingers

    def measured_link(self) -> MeasuredLink:
        """What TCP knows of the way to the client; zeros where the system does not tell."""
        try:
            told = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            rtt_us, least_us, rate = _TCP_INFO.unpack(told)
        except (OSError, AttributeError, struct.error):  # a kernel before 4.9 tells less
            return MeasuredLink(0, 0, 0)
        return MeasuredLink(rtt_us, 0 if least_us == _NO_MIN_RTT else least_us, rate * 8)

    # Ending

    def end_after_this(self) -> None:
        """Reads nothing more; answers what has come."""
        self.ends = True
        self._read(False)

    def complain(self, status: int, sentence: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """An answer that says why there is none."""
        assert self.request is not None
        body = problem(status, sentence)
        fields = (
            ("Content-Type", "application/problem+json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *headers,
        )
        if self.is_last:
            fields = (*fields, ("Connection", "close"))
        self.send(
            status, head(status, fields)[:-2] + self._handler.date, b"" if self.request.method == "HEAD" else body
        )

    def _linger(self) -> None:
        """Says the end and discards what still comes, until the client closes or the worker's tick does.

        RFC 9112 9.6: closing with input unread is a reset, which takes the complaint away from the client.
        """
        try:
            self._say_end()
        except OSError:
            self.close()
            return
        self.lingers = True
        self._read(True)

    def abort(self) -> None:
        """Ends at once with a reset: the client must not take what it has for the whole."""
        if self.fd >= 0:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def close(self) -> None:
        if self.fd < 0:
            return
        self._read(False)
        self._write(False)
        self.fd = -1
        self._sock.close()
        self._queue.clear()
        self._release()
        if self.request is not None:
            self._handler.answered(self, whole=False)
            self.request = None
        self._handler.closed(self)
