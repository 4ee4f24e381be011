"""One client of a delivery worker: bytes in, requests, answers out, nothing copied on the way.

The socket is driven with add_reader and add_writer instead of a transport: uvloop's transports have no sendfile, and
asyncio's would read the file through Python for TLS. Content goes from page cache to socket by `os.sendfile`; the head
before it by `send(MSG_MORE)`, so that both leave in one packet.

What is queued but unsent in the kernel is bounded by TCP_NOTSENT_LOWAT: a slow client then pins 128 KiB, not the whole
send buffer, and pages are still in cache when they are sent. Unlike SO_SNDBUF it does not cap the bytes in flight.

An answer may grow while it is sent: `limit` is how far its bytes are known to be there. An answer that waits too long
for its limit to move is reset by the worker's tick: players survive a reset, what stalls them is a transfer that stops.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
import struct
from collections import deque
from time import monotonic
from typing import NamedTuple, Protocol

import httptools

from oca.http.answer import head, problem

logger = logging.getLogger(__name__)

_NOTSENT_LOWAT_BYTES = 128 * 1024
# One turn moves at most this; a fast client on a fast link must not keep the others waiting.
_LARGEST_SEND_BYTES = 2 * 1024 * 1024
_RECEIVE_BYTES = 64 * 1024
# RFC 9110 asks for 8000 octets of request line at least; CMCD in headers and long tokens need more.
LARGEST_HEAD_BYTES = 16 * 1024
_HEAD_TOO_LARGE = f"the head of a request may have {LARGEST_HEAD_BYTES} bytes"
# Requests of one client that wait behind the one being answered; reading stops beyond.
_LARGEST_PIPELINE = 32
# The peer is gone, or the network to it: normal, not an error.
_VANISHED = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})
_RESET = struct.pack("ii", 1, 0)
_HOST = re.compile(r"[^\s/,]*\s*")
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
# Only these are looked at; all others cost nothing but their bytes.
_KNOWN_HEADERS = frozenset(
    b"range if-range if-match if-none-match cache-control user-agent content-length transfer-encoding host "
    b"cmcd-request cmcd-object cmcd-status cmcd-session".split()
)


class Request(NamedTuple):
    method: str
    target: bytes
    headers: dict[str, str]
    keep_alive: bool
    complaint: tuple[int, str] | None = None  # what is wrong with it: status and sentence; the connection then ends


class Descriptor:
    """An open file that several answers send from; closed when the last lets go after it was retired."""

    __slots__ = ("fd", "is_retired", "users")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.users = 0
        self.is_retired = False

    def retire(self) -> None:
        """Nobody new takes it."""
        self.is_retired = True
        self._close_if_free()

    def release(self) -> None:
        self.users -= 1
        self._close_if_free()

    def _close_if_free(self) -> None:
        if self.is_retired and not self.users and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Handler(Protocol):
    """What a connection asks of its worker. `date` ends every head: the Date field and the empty line."""

    date: bytes

    def respond(self, connection: Connection, request: Request) -> None:
        """Must lead to exactly one of send, send_file, or abort, now or later."""

    def answered(self, connection: Connection, *, whole: bool) -> None:
        """The answer to `connection.request` ended."""

    def closed(self, connection: Connection) -> None: ...


class Connection:
    """States: idle (no request), answering (`request` is set), closed (`fd` is -1)."""

    __slots__ = (
        "_descriptor", "_handler", "_head", "_head_bytes", "_headers", "_loop", "_parser", "_queue", "_raw_bytes",
        "_reading", "_refused", "_sock", "_target", "_unsent", "_writing", "address", "body_sent", "end", "ends", "fd",
        "limit", "lingers", "missed", "moved_at", "need", "piece", "position", "reading_since", "request", "started_at",
        "status", "waits",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, address: str, handler: Handler) -> None:
        self._loop, self._sock, self.address, self._handler = loop, sock, address, handler  # truncated: for the log
        self.fd = sock.fileno()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT_BYTES)
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._reading = self._writing = False
        self.ends = False  # close after the answers that are queued
        self._refused = False
        self.lingers = False  # all is said; what still comes in is discarded
        self.moved_at = monotonic()
        # The request that is being read. Raw bytes count what the parser may have buffered, the others what it told.
        self._raw_bytes = self._head_bytes = 0
        self._headers: dict[str, str] = {}
        self._target = b""
        self.reading_since = 0.0
        self.request: Request | None = None
        self._clear_answer()
        self._read(True)

    def _clear_answer(self) -> None:
        self.request = None
        self._head = b""
        self._unsent = False
        self._descriptor: Descriptor | None = None
        self.position = self.end = self.limit = 0
        self.body_sent = 0
        self.status = 0
        self.started_at = 0.0
        self.waits = False
        # For the worker: what it asked of the parent for this answer (0 if nothing), whether it ever did, and
        # the piece it answers with.
        self.need = 0
        self.missed = False
        self.piece: object = None

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
            data = self._sock.recv(_RECEIVE_BYTES)
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
        if self.lingers:
            return
        if not self.reading_since:
            self.reading_since = monotonic()
        self._parse(data)
        if self.request is None and self._queue:
            self._next()

    def _parse(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        while data:
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                # RFC 9110 7.8: a server may ignore Upgrade. What follows is ordinary HTTP/1.1 for a new parser.
                self._parser = httptools.HttpRequestParser(self)
                data = data[upgrade.args[0] :]
            except httptools.HttpParserCallbackError:  # usually _Refused, and the complaint is queued
                self._refuse(400, "not HTTP/1.1")
                data = b""
            except httptools.HttpParserError as error:
                self._refuse(505 if "HTTP version" in str(error) else 400, f"not HTTP/1.1: {error}")
                data = b""
        if self._raw_bytes > LARGEST_HEAD_BYTES:
            self._refuse(431, _HEAD_TOO_LARGE)

    def _refuse(self, status: int, sentence: str) -> None:
        """Nothing after this can be understood: answer what came before, complain once, close."""
        if self._refused:
            return
        self._refused = True
        self._read(False)
        self.ends = True
        self.reading_since = 0.0
        self._queue.append(Request("GET", self._target, {}, False, (status, sentence)))

    # ... callbacks of httptools, in the order of a message

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}
        self._head_bytes = 0

    def on_url(self, target: bytes) -> None:
        self._target += target
        self._head_bytes += len(target)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        name = name.lower()
        if name in _KNOWN_HEADERS:
            key = name.decode("ascii")
            known = self._headers.get(key)
            text = value.decode("latin-1")
            # RFC 9110 5.3: several fields of one name are one list. A second Range or Host is malformed either way.
            self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        self._raw_bytes = 0
        headers = self._headers
        if self._head_bytes > LARGEST_HEAD_BYTES:
            self._refuse(431, _HEAD_TOO_LARGE)
            raise _Refused
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            self._refuse(413, "content is only read here: a request may have no body")
            raise _Refused
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(505, f"HTTP/{version} is not spoken here, expected HTTP/1.1")
            raise _Refused
        host = headers.get("host", "" if version == "1.0" else "/")
        if not _HOST.fullmatch(host):
            self._refuse(400, "a request needs exactly one Host")  # RFC 9112 3.2
            raise _Refused

    def on_message_complete(self) -> None:
        self.reading_since = 0.0
        self._raw_bytes = 0
        parser = self._parser
        keep_alive = parser.should_keep_alive()
        method = parser.get_method().decode("ascii")
        if self._target[:1] != b"/":
            self._target = _origin_form(self._target)
        self._queue.append(Request(method, self._target, self._headers, keep_alive))
        if len(self._queue) >= _LARGEST_PIPELINE:
            self._read(False)

    # Answering

    def _next(self) -> None:
        """Answers what is queued, one after another; a loop, for pipelined answers would nest deeply."""
        while self.request is None and self._queue and self.fd >= 0:
            request = self.request = self._queue.popleft()
            self.started_at = self.moved_at = monotonic()
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
            if self._refused:
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

    def advance(self, limit: int) -> None:
        """More of the answer's bytes are there."""
        if limit > self.limit:
            self.limit = limit
            if not self._writing:
                self._pump()

    def _pump(self) -> None:
        """Sends until all is sent, the socket is full, its turn is over, or the bytes that are there run out."""
        before = self.position
        try:
            if self._unsent:
                self._send_head()
            stop = min(self.limit, before + _LARGEST_SEND_BYTES)
            while self.position < stop:
                assert self._descriptor is not None
                sent = os.sendfile(self.fd, self._descriptor.fd, self.position, stop - self.position)
                if not sent:
                    logger.error("a stored file is shorter than its package says", extra={"target": self._target})
                    self.abort()
                    return
                self.position += sent
                self.body_sent += sent
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            if error.errno not in _VANISHED:
                logger.error("cannot send", extra={"errno": errno.errorcode.get(error.errno or 0), "why": str(error)})
            self.abort()
            return
        if self.position > before:
            self.moved_at = monotonic()
        if self._unsent or self.position < self.limit:
            self._write(True)
            return
        self._write(False)
        self.waits = self.position < self.end
        if not self.waits:
            self._finish()

    def _send_head(self) -> None:
        flags = socket.MSG_MORE if self.position < self.limit else 0
        sent = self._sock.send(self._head, flags)
        self._head = self._head[sent:]
        self._unsent = bool(self._head)
        self.moved_at = monotonic()
        if self._unsent:
            raise BlockingIOError

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

    # Ending

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
            self._sock.shutdown(socket.SHUT_WR)
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


def _origin_form(target: bytes) -> bytes:
    """A target in absolute form, as it would be without its authority (RFC 9112 3.2.2); others as they are."""
    match = _AUTHORITY.match(target)
    if match is None:
        return target
    rest = target[match.end() :]
    return rest if rest[:1] == b"/" else b"/" + rest


class _Refused(Exception):
    """Stops httptools in the middle of a message."""
