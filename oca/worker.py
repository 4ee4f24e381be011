"""One delivery process: accepts, looks up, sends, logs; what it lacks it asks of the parent.

    request path -> Piece (an extent of a stored file, its descriptor, its prebuilt head)  -> sendfile
                 -> not held whole: Need to the parent -> Located, Landed ...              -> sendfile as bytes land

A Piece is made once per URL and kept, so that the usual request costs one dictionary look-up. Workers share nothing but
the listening port, the volume (which they only read) and the parent's socket. Without its parent a worker ends.
"""

from __future__ import annotations

import asyncio
import email.utils
import errno
import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from time import monotonic
from urllib.parse import unquote_to_bytes

import msgspec
import uvloop

from config.errors import NearcastError
from config.logs import start_logging
from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Extent, PackageIndex, StoredFile
from oca import messages
from oca.access_log import AccessLog, Record, truncated
from oca.http.answer import CORS_HEADERS, PREFLIGHT_HEADERS, Decision, decide, head
from oca.http.connection import Connection, Descriptor, Request
from oca.link import Link
from oca.messages import Message

logger = logging.getLogger(__name__)

# What makes the usual answer unusual; all of it is decided in oca.http.answer.
_SPECIAL = frozenset({"range", "if-none-match", "if-match", "if-range"})
# Pieces are ~1 KiB each; at the limit the oldest half goes, which costs a look-up each to make again.
_MOST_PIECES = 65536
_MOST_DESCRIPTORS = 8192
_TICK_S = 0.25
_ACCEPT_AT_ONCE = 64
_FD_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# A head that takes longer than this to arrive is not a player's.
_HEAD_LIMIT_S = 10.0


class WorkerSettings(msgspec.Struct, frozen=True):
    """What the parent tells a worker on its command line."""

    appliance: str
    number: int
    listen_fd: int
    socket: str
    volume: str
    access_log: str
    stall_limit_s: float
    idle_limit_s: float
    log_level: str


class Piece:
    """What one URL stands for, ready to be sent. `descriptor` is None until the file is held whole."""

    __slots__ = ("descriptor", "extent", "head", "key", "part")

    def __init__(self, key: tuple[str, str], part: str, extent: Extent) -> None:
        self.key, self.part, self.extent = key, part, extent
        self.descriptor: Descriptor | None = None
        self.head = b""  # of a plain 200, without the Date that ends it


class Worker:
    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._volume = Path(settings.volume)
        self._loop = asyncio.get_running_loop()
        self._link = Link(self._hear)
        self._log = AccessLog(Path(settings.access_log))
        self._listener = socket.socket(fileno=settings.listen_fd)
        self._connections: set[Connection] = set()
        self._pieces: dict[bytes, Piece] = {}
        self._indexes: dict[tuple[str, str], PackageIndex] = {}
        self._descriptors: dict[Path, Descriptor] = {}
        self._load = {"requests": 0, "bytes_sent": 0, "bytes_missed": 0, "errors": 0}
        self._draining = False
        self._closing = asyncio.Event()
        self._date = b""
        self._hit = ("Cache-Status", f"{settings.appliance}; hit")
        self._fetched = ("Cache-Status", f"{settings.appliance}; fwd=miss; stored")

    # Lifecycle

    async def run(self) -> None:
        """Serves until the parent is gone, or until a drain has let every answer finish."""
        await self._link.start(Path(self._settings.socket))
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self.drain)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener.fileno(), self._accept)
        parent_gone = asyncio.create_task(self._link.ended.wait())
        closing = asyncio.create_task(self._closing.wait())
        self._tick()
        await asyncio.wait([parent_gone, closing], return_when=asyncio.FIRST_COMPLETED)
        self._loop.remove_reader(self._listener.fileno())
        for connection in list(self._connections):
            connection.abort()
        parent_gone.cancel()
        closing.cancel()
        await self._link.close()
        self._log.close()

    def drain(self) -> None:
        """Takes nothing new, lets what is under way finish, then ends. The parent bounds how long that may take."""
        self._draining = True
        self._loop.remove_reader(self._listener.fileno())
        for connection in list(self._connections):
            connection.ends = True
            if connection.request is None:
                connection.close()
        if not self._connections:
            self._closing.set()

    def _tick(self) -> None:
        """Four times a second: dates, counters, the log, and connections that do not move."""
        self._loop.call_later(_TICK_S, self._tick)
        self._date = f"Date: {email.utils.formatdate(usegmt=True)}\r\n\r\n".encode()
        self._link.say(messages.Load(connections=len(self._connections), **self._load))
        try:
            self._log.flush()
        except OSError as error:
            logger.error("the access log cannot be written", extra={"why": str(error)})
        now = monotonic()
        for connection in [c for c in self._connections if now - c.moved_at > self._settings.stall_limit_s]:
            self._judge(connection, now)

    def _judge(self, connection: Connection, now: float) -> None:
        """Ends a connection that has not moved for longer than its state allows."""
        still = now - connection.moved_at
        if connection.request is None:
            reading = connection.reading_since
            if (reading and now - reading > _HEAD_LIMIT_S) or still > self._settings.idle_limit_s:
                connection.close()
        elif connection.need and not connection.head_is_sent:
            self._forget_need(connection)
            connection.complain(503, "the bytes asked for could not be fetched in time", (("Retry-After", "1"),))
            connection.resume()
        elif connection.waits or still > self._settings.idle_limit_s:
            connection.abort()

    def _accept(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _FD_EXHAUSTED:  # the queue stays readable: without a pause this would spin
                    self._loop.remove_reader(self._listener.fileno())
                    self._loop.call_later(0.1, self._loop.add_reader, self._listener.fileno(), self._accept)
                    logger.warning("cannot accept", extra={"why": os.strerror(error.errno or 0)})
                return  # anything else is the fault of one client that is gone already (accept(2), ERRORS)
            sock.setblocking(False)
            self._connections.add(Connection(self._loop, sock, truncated(address[0]), self))

    # Requests (oca.http.connection.Handler)

    def respond(self, connection: Connection, request: Request) -> None:
        if request.complaint is not None:
            connection.complain(*request.complaint)
            return
        if request.method not in ("GET", "HEAD"):
            self._respond_other(connection, request)
            return
        piece = self._pieces.get(request.target.partition(b"?")[0])
        if piece is not None and piece.descriptor is not None:
            self._send(connection, request, piece, piece.descriptor)
            return
        try:
            self._look_up(connection, request)
        except NearcastError as error:
            self._complain(connection, error.status, str(error))

    def answered(self, connection: Connection, *, whole: bool) -> None:
        request, piece = connection.request, connection.piece
        assert request is not None
        missed = connection.need != 0
        self._forget_need(connection)
        sent = connection.body_sent
        load = self._load
        load["requests"] += 1
        load["bytes_sent"] += sent
        load["bytes_missed"] += sent if missed else 0
        load["errors"] += connection.status >= 500
        target, _, query = request.target.decode("latin-1").partition("?")
        extent_of = piece if isinstance(piece, Piece) else None
        title, package = extent_of.key if extent_of else ("", "")
        self._log.write(
            Record(
                time=time.time(),
                appliance=self._settings.appliance,
                client=connection.address,
                method=request.method,
                title=title,
                package=package,
                file=extent_of.extent.file.name if extent_of else "",
                part=extent_of.part if extent_of else _without_token(target)[:256],
                status=connection.status,
                bytes=sent,
                whole=whole,
                hit=not missed and connection.status < 400,
                seconds=round(monotonic() - connection.started_at, 6),
                agent=request.headers.get("user-agent", "")[:256],
                cmcd=_cmcd(query, request.headers),
            )
        )

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._draining and not self._connections:
            self._closing.set()

    def _respond_other(self, connection: Connection, request: Request) -> None:
        if request.method == "OPTIONS":
            connection.send(204, head(204, (*PREFLIGHT_HEADERS, *_closing(connection))))
        else:
            sentence = f"{request.method} is not for content, expected GET, HEAD or OPTIONS"
            connection.complain(405, sentence, (("Allow", "GET, HEAD, OPTIONS"), *CORS_HEADERS))

    def _complain(self, connection: Connection, status: int, sentence: str) -> None:
        retry = (("Retry-After", "1"),) if status == 503 else ()
        connection.complain(status, sentence, (*CORS_HEADERS, *retry))

    def _send(self, connection: Connection, request: Request, piece: Piece, descriptor: Descriptor) -> None:
        """Answers from a file that is held whole."""
        connection.piece = piece
        headers = request.headers
        if request.method == "GET" and not connection.ends and _SPECIAL.isdisjoint(headers):
            extent = piece.extent
            end = extent.offset + extent.length
            connection.send_file(200, piece.head + self._date, descriptor, extent.offset, end, end)
            return
        decision = decide(request.method, headers, piece.extent)
        answer = self._head(connection, decision, self._hit)
        connection.send_file(decision.status, answer, descriptor, decision.first, decision.end, decision.end)

    def _head(self, connection: Connection, decision: Decision, cache_status: tuple[str, str]) -> bytes:
        fields = (*decision.headers, cache_status, *CORS_HEADERS, *_closing(connection))
        return head(decision.status, fields)[:-2] + self._date

    # Look-up: from a URL to a piece

    def _look_up(self, connection: Connection, request: Request) -> None:
        """Finds what the URL stands for and answers, or asks the parent. Raises NearcastError."""
        raw = request.target.partition(b"?")[0]
        try:
            path = unquote_to_bytes(raw).decode("ascii")
        except UnicodeDecodeError:
            raise PackageError("the path of a content URL is ASCII", status=404) from None
        _, title, package, part = packages.parse_content_path(path)
        index = self._index(title, package)
        if index is None:
            self._need_manifest(connection, request, title, package)
            return
        piece = Piece((title, package), part, self._locate(index, package, part))
        connection.piece = piece
        try:
            descriptor = self._descriptor(self._volume / title / package / piece.extent.file.name)
        except FileNotFoundError:
            self._need(connection, request, piece)
            return
        piece.descriptor = descriptor
        decision = decide("GET", {}, piece.extent)
        piece.head = head(200, (*decision.headers, self._hit, *CORS_HEADERS))[:-2]
        self._keep(raw, piece)
        self._send(connection, request, piece, descriptor)

    def _index(self, title: str, package: str) -> PackageIndex | None:
        """The package's index if its manifest is held. The parent has checked it against its name."""
        index = self._indexes.get((title, package))
        if index is None:
            with suppress(FileNotFoundError):
                data = (self._volume / title / package / MANIFEST_NAME).read_bytes()
                index = self._indexes[title, package] = PackageIndex(packages.decode(data))
                if len(self._indexes) > 1024:
                    self._indexes.pop(next(iter(self._indexes)))
        return index

    def _locate(self, index: PackageIndex, package: str, part: str) -> Extent:
        if part != MANIFEST_NAME:
            return index.locate(part)
        # The manifest does not list itself; the package's name is its digest.
        size = (self._volume / index.package.title / package / MANIFEST_NAME).stat().st_size
        return Extent(StoredFile(MANIFEST_NAME, size, package, ()), 0, size, packages.media_type(MANIFEST_NAME))

    def _descriptor(self, path: Path) -> Descriptor:
        """Raises FileNotFoundError. The name exists only while the file is whole and right."""
        descriptor = self._descriptors.get(path)
        if descriptor is None:
            descriptor = self._descriptors[path] = Descriptor(path)
            if len(self._descriptors) > _MOST_DESCRIPTORS:
                self._forget(next(iter(self._descriptors)))
        return descriptor

    def _keep(self, target: bytes, piece: Piece) -> None:
        if len(self._pieces) >= _MOST_PIECES:
            for old in list(self._pieces)[: _MOST_PIECES // 2]:
                del self._pieces[old]
        self._pieces[target] = piece

    def _forget(self, path: Path) -> None:
        """The file is no longer held, or its descriptor is needed for another one."""
        descriptor = self._descriptors.pop(path, None)
        if descriptor is not None:
            descriptor.retire()
            for target in [t for t, piece in self._pieces.items() if piece.descriptor is descriptor]:
                del self._pieces[target]

    # Misses

    def _need_manifest(self, connection: Connection, request: Request, title: str, package: str) -> None:
        id = self._link.next_id()
        connection.need = id

        def hear(message: Message) -> None:
            self._forget_need(connection)
            if isinstance(message, messages.Failed):
                self._complain(connection, message.status, message.reason)
            elif isinstance(message, messages.Done):
                try:
                    self._look_up(connection, request)
                except NearcastError as error:
                    self._complain(connection, error.status, str(error))
            connection.resume()

        need = messages.Need(id, title, package, MANIFEST_NAME, 0, 0, cached_only=_cached_only(request))
        self._link.ask(id, need, hear)

    def _need(self, connection: Connection, request: Request, piece: Piece) -> None:
        """Asks the parent for bytes that are not held whole, and sends them as they land."""
        decision = decide(request.method, request.headers, piece.extent)
        answer = self._head(connection, decision, self._fetched)
        if decision.first == decision.end:
            connection.send(decision.status, answer)
            return
        id = self._link.next_id()
        connection.need = id
        path: Path | None = None

        def hear(message: Message) -> None:
            nonlocal path
            if isinstance(message, messages.Located):
                path = Path(message.path)
            elif isinstance(message, messages.Landed) and path is not None:
                if connection.head_is_sent:
                    connection.advance(message.upto)
                else:
                    descriptor = _open_landing(path)
                    first, end = decision.first, decision.end
                    connection.send_file(decision.status, answer, descriptor, first, end, message.upto)
                    descriptor.retire()
            elif isinstance(message, messages.Failed):
                if connection.head_is_sent:
                    connection.abort()
                else:
                    self._forget_need(connection)
                    self._complain(connection, message.status, message.reason)
            connection.resume()

        key = piece.key
        file = piece.extent.file.name
        need = messages.Need(id, *key, file, decision.first, decision.end, cached_only=_cached_only(request))
        self._link.ask(id, need, hear)

    def _forget_need(self, connection: Connection) -> None:
        if connection.need:
            self._link.forget(connection.need)
            self._link.say(messages.Forget(connection.need))
            connection.need = 0

    def _hear(self, message: Message) -> None:
        if isinstance(message, messages.Gone):
            self._forget(Path(message.path))


def _open_landing(path: Path) -> Descriptor:
    """A file whose bytes are landing. It may have got its final name since the parent told the other one."""
    try:
        return Descriptor(path)
    except FileNotFoundError:
        return Descriptor(path.with_name(path.name.removesuffix(packages.RESERVED_SUFFIXES[0])))


def _closing(connection: Connection) -> tuple[tuple[str, str], ...]:
    return (("Connection", "close"),) if connection.ends else ()


def _cached_only(request: Request) -> bool:
    return "only-if-cached" in request.headers.get("cache-control", "")


def _without_token(path: str) -> str:
    """A token is a key: it does not belong in a log."""
    if path.startswith("/t/"):
        _, _, rest = path[3:].partition("/")
        return "/" + rest
    return path


def _cmcd(query: str, headers: dict[str, str]) -> str:
    """What the player said about itself; headers win over the query (CTA-5004-B section 6)."""
    told = [value for name, value in headers.items() if name.startswith("cmcd-")]
    if told:
        return ",".join(told)[:2048]
    fields = (field.partition("=") for field in query.split("&"))
    raw = next((value for name, _, value in fields if name == "CMCD"), "")
    return unquote_to_bytes(raw).decode("utf-8", "replace")[:2048]


def main() -> None:
    """Started by the parent: `python -m oca.worker SETTINGS` with the settings as JSON."""
    settings = msgspec.json.decode(sys.argv[1], type=WorkerSettings)
    start_logging(settings.log_level)

    async def run() -> None:
        await Worker(settings).run()

    uvloop.run(run())


if __name__ == "__main__":
    main()
