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
import resource
import signal
import socket
import sys
import time
from collections import Counter
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
from oca.errors import OcaError
from oca.http.answer import CORS_HEADERS, PREFLIGHT_HEADERS, Decision, decide, head
from oca.http.connection import Connection, Descriptor, Request
from oca.link import Link
from oca.messages import Message

logger = logging.getLogger(__name__)

# What makes the usual answer unusual; all of it is decided in oca.http.answer.
_SPECIAL = frozenset({"range", "if-none-match", "if-match", "if-range"})
# Pieces are ~1 KiB each; at the limit the oldest half goes, which costs a look-up each to make again.
_MOST_PIECES = 65536
# A longer target is not a player's; keeping it would let one client fill the memory.
_LARGEST_KEPT_TARGET = 512
# An index without block digests has some 100 KB for a long film.
_MOST_INDEXES = 256
_MOST_DESCRIPTORS = 8192
# Descriptors for what is neither a stored file nor a client: log, local socket, listener, files as they land.
_SPARE_DESCRIPTORS = 64
_TICK_S = 0.25
_ACCEPT_AT_ONCE = 64
_FD_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ACCEPT_PAUSE_S = 0.1
# A head that takes longer than this to arrive is not a player's.
_HEAD_LIMIT_S = 10.0
# Failures of one kind are logged when the first happens, then counted and told this often.
_REPEATS_EVERY_S = 60.0
# What players are told where the trouble is ours; what is behind an appliance is not for them.
_EXCUSES = {
    404: "no such content is known here",
    502: "the bytes asked for came wrong from where they are kept",
    503: "the bytes asked for cannot be had now: what keeps them does not answer",
    504: "what was asked for is not held here, and only what is held was asked for",
}


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
    """What one URL stands for, ready to be sent. `descriptor` is None until the file, at `path`, is held whole."""

    __slots__ = ("descriptor", "extent", "head", "key", "part", "path")

    def __init__(self, key: tuple[str, str], part: str, extent: Extent, path: Path) -> None:
        self.key, self.part, self.extent, self.path = key, part, extent, path
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
        self._targets: dict[Path, set[bytes]] = {}  # of the pieces that are kept, by their file
        self._most_descriptors, self._most_connections = _shares(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._failures: Counter[str] = Counter()
        self._failures_told_at = monotonic()
        self._lines_lost = 0
        self._load = {"requests": 0, "bytes_sent": 0, "bytes_missed": 0, "errors": 0}
        self._draining = False
        self._closing = asyncio.Event()
        self.date = b""  # ends every head: the Date field and the empty line
        self._hit = ("Cache-Status", f"{settings.appliance}; hit")
        self._fetched = ("Cache-Status", f"{settings.appliance}; fwd=miss; stored")
        self._forwarded = ("Cache-Status", f"{settings.appliance}; fwd=miss")

    # Lifecycle

    async def run(self) -> None:
        """Serves until the parent is gone, or until a drain has let every answer finish."""
        await self._link.start(Path(self._settings.socket))
        self._loop.add_signal_handler(signal.SIGTERM, self.drain)
        # Ctrl-C in a terminal reaches us too, but it is for the parent, which then has us drain.
        self._loop.add_signal_handler(signal.SIGINT, lambda: None)
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
        self.date = f"Date: {email.utils.formatdate(usegmt=True)}\r\n\r\n".encode()
        self._link.say(messages.Load(connections=len(self._connections), **self._load))
        self._log.flush()
        if self._log.lost > self._lines_lost:
            self._note(f"the access log cannot be written: {self._log.trouble}", self._log.lost - self._lines_lost)
            self._lines_lost = self._log.lost
        now = monotonic()
        if now - self._failures_told_at > _REPEATS_EVERY_S:
            self._tell_failures(now)
        for connection in [c for c in self._connections if now - c.moved_at > self._settings.stall_limit_s]:
            self._judge(connection, now)

    def _judge(self, connection: Connection, now: float) -> None:
        """Ends a connection that has not moved for longer than its state allows."""
        still = now - connection.moved_at
        if connection.lingers:
            connection.close()
        elif connection.request is None:
            reading = connection.reading_since
            if (reading and now - reading > _HEAD_LIMIT_S) or still > self._settings.idle_limit_s:
                connection.close()
        elif connection.need and not connection.head_is_sent:
            self._fail(connection, 503, "what was needed did not come in time")
            connection.resume()
        elif connection.waits or still > self._settings.idle_limit_s:
            connection.abort()

    def _accept(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            if len(self._connections) >= self._most_connections:
                self._pause_accepting("as many clients as there are descriptors for")
                return
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _FD_EXHAUSTED:  # the queue stays readable: without a pause this would spin
                    self._pause_accepting(os.strerror(error.errno or 0))
                return  # anything else is the fault of one client that is gone already (accept(2), ERRORS)
            sock.setblocking(False)
            self._connections.add(Connection(self._loop, sock, truncated(address[0]), self))

    def _pause_accepting(self, why: str) -> None:
        self._note(f"cannot accept: {why}")
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(_ACCEPT_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if not self._draining:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _note(self, failure: str, times: int = 1) -> None:
        """Logs a failure when it is the first of its kind, else counts it."""
        if failure not in self._failures:
            logger.warning("a worker could not do what was asked", extra={"why": failure})
        self._failures[failure] += times

    def _tell_failures(self, now: float) -> None:
        for failure, times in self._failures.items():
            if times > 1:
                logger.warning("this happened again and again", extra={"why": failure, "times": times})
        self._failures.clear()
        self._failures_told_at = now

    # Requests (oca.http.connection.Handler)

    def respond(self, connection: Connection, request: Request) -> None:
        if request.complaint is not None:
            connection.complain(*request.complaint)
            return
        if request.method not in ("GET", "HEAD"):
            self._respond_other(connection, request)
            return
        piece = self._pieces.get(_kept_path(request.target))
        if piece is not None and piece.descriptor is not None:
            self._send(connection, request, piece, piece.descriptor)
            return
        self._look_up(connection, request)

    def answered(self, connection: Connection, *, whole: bool) -> None:
        request, piece = connection.request, connection.piece
        assert request is not None
        missed = connection.missed
        self._forget_need(connection)
        sent = connection.body_sent
        load = self._load
        load["requests"] += 1
        load["bytes_sent"] += sent
        load["bytes_missed"] += sent if missed and connection.status < 400 else 0
        load["errors"] += connection.status >= 500
        query = request.target.partition(b"?")[2].decode("latin-1")
        extent_of = piece if isinstance(piece, Piece) else None
        if extent_of is not None:
            (title, package), part = extent_of.key, extent_of.part
        else:
            title, package, part = _named(request.target)
        self._log.write(
            Record(
                time=time.time(),
                appliance=self._settings.appliance,
                client=connection.address,
                method=request.method,
                title=title,
                package=package,
                file=extent_of.extent.file.name if extent_of else "",
                part=part,
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
            connection.send(204, head(204, (*PREFLIGHT_HEADERS, *_closing(connection)))[:-2] + self.date)
        else:
            sentence = f"{request.method} is not for content, expected GET, HEAD or OPTIONS"
            connection.complain(405, sentence, (("Allow", "GET, HEAD, OPTIONS"), *CORS_HEADERS))

    def _fail(self, connection: Connection, status: int, reason: str) -> None:
        """Answers that it cannot be done now. The reason is for our log only: it names disks and upstreams."""
        self._forget_need(connection)
        if status >= 500:
            self._note(reason)
        told = status if status in _EXCUSES else 503
        self._complain(connection, told, _EXCUSES[told])

    def _complain(self, connection: Connection, status: int, sentence: str) -> None:
        retry = (("Retry-After", "1"),) if status == 503 else ()
        connection.complain(status, sentence, (*CORS_HEADERS, *retry))

    def _send(self, connection: Connection, request: Request, piece: Piece, descriptor: Descriptor) -> None:
        """Answers from a file that is held whole."""
        connection.piece = piece
        headers = request.headers
        if (
            request.method == "GET"
            and not connection.is_last
            and not connection.missed
            and _SPECIAL.isdisjoint(headers)
        ):
            extent = piece.extent
            end = extent.offset + extent.length
            connection.send_file(200, piece.head + self.date, descriptor, extent.offset, end, end)
            return
        decision = decide(request.method, headers, piece.extent)
        answer = self._head(connection, decision, self._fetched if connection.missed else self._hit)
        connection.send_file(decision.status, answer, descriptor, decision.first, decision.end, decision.end)

    def _head(self, connection: Connection, decision: Decision, cache_status: tuple[str, str]) -> bytes:
        fields = (*decision.headers, cache_status, *CORS_HEADERS, *_closing(connection))
        return head(decision.status, fields)[:-2] + self.date

    # Look-up: from a URL to a piece

    def _look_up(self, connection: Connection, request: Request) -> None:
        """Finds what the URL stands for and answers, or asks the parent."""
        try:
            name = packages.parse_content_path(_decoded(request.target))
            try:
                extent = self._locate(self._index(name.title, name.package), name.package, name.path)
            except FileNotFoundError:
                self._need_manifest(connection, request, name.title, name.package)
                return
            folder = self._volume / name.title / name.package
            piece = Piece((name.title, name.package), name.path, extent, folder / extent.file.name)
            connection.piece = piece
            try:
                descriptor = self._descriptor(piece.path)
            except FileNotFoundError:
                self._need(connection, request, piece)
                return
        except PackageError as error:
            self._complain(connection, error.status, str(error))
            return
        except NearcastError as error:
            self._fail(connection, error.status, str(error))
            return
        except OSError as error:  # no descriptors, a disk that fails
            self._fail(connection, 503, f"a stored file cannot be opened: {os.strerror(error.errno or 0)}")
            return
        piece.descriptor = descriptor
        decision = decide("GET", {}, piece.extent)
        piece.head = head(200, (*decision.headers, self._hit, *CORS_HEADERS))[:-2]
        self._keep(_kept_path(request.target), piece)
        self._send(connection, request, piece, descriptor)

    def _index(self, title: str, package: str) -> PackageIndex:
        """The package's index. Raises FileNotFoundError if its manifest is not held, OcaError if it is not right."""
        index = self._indexes.get((title, package))
        if index is None:
            data = (self._volume / title / package / MANIFEST_NAME).read_bytes()
            if packages.package_name(data) != package:
                raise OcaError(f"the manifest of {title}/{package} has another digest than its name", status=503)
            try:
                index = PackageIndex(_without_blocks(packages.decode(data)))
            except PackageError as error:
                raise OcaError(f"the manifest of {title}/{package} is of no use: {error}", status=503) from error
            if len(self._indexes) >= _MOST_INDEXES:
                self._indexes.pop(next(iter(self._indexes)))
            self._indexes[title, package] = index
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
            if len(self._descriptors) > self._most_descriptors:
                self._forget(next(iter(self._descriptors)))
        return descriptor

    def _keep(self, target: bytes, piece: Piece) -> None:
        if len(target) > _LARGEST_KEPT_TARGET:
            return
        if len(self._pieces) >= _MOST_PIECES:
            for old in list(self._pieces)[: _MOST_PIECES // 2]:
                self._targets[self._pieces.pop(old).path].discard(old)
        self._pieces[target] = piece
        self._targets.setdefault(piece.path, set()).add(target)

    def _forget(self, path: Path) -> None:
        """The file is no longer held, or its descriptor is needed for another one."""
        descriptor = self._descriptors.pop(path, None)
        if descriptor is not None:
            descriptor.retire()
        for target in self._targets.pop(path, ()):
            del self._pieces[target]

    # Misses

    def _need_manifest(self, connection: Connection, request: Request, title: str, package: str) -> None:
        if connection.missed:  # it was fetched for this request, and is not there
            self._fail(connection, 503, f"the manifest of {title}/{package} was fetched and is gone")
            return
        id = self._link.next_id()
        connection.need, connection.missed = id, True

        def hear(message: Message) -> None:
            if isinstance(message, messages.Failed):
                self._fail(connection, message.status, message.reason)
            elif isinstance(message, messages.Done):
                self._forget_need(connection)
                self._look_up(connection, request)
            connection.resume()

        need = messages.Need(id, title, package, MANIFEST_NAME, 0, 0, cached_only=_cached_only(request))
        self._link.ask(id, need, hear)

    def _need(self, connection: Connection, request: Request, piece: Piece) -> None:
        """Asks the parent for bytes that are not held whole, and sends them as they land."""
        connection.missed = True
        cached_only = _cached_only(request)
        decision = decide(request.method, request.headers, piece.extent)
        if decision.first == decision.end:
            if cached_only:
                self._complain(connection, 504, _EXCUSES[504])
            else:
                connection.send(decision.status, self._head(connection, decision, self._forwarded))
            return
        id = self._link.next_id()
        connection.need = id
        located: messages.Located | None = None

        def hear(message: Message) -> None:
            nonlocal located
            if isinstance(message, messages.Located):
                located = message
            elif isinstance(message, messages.Landed) and connection.head_is_sent:
                connection.advance(message.upto)
            elif isinstance(message, messages.Landed) and located is not None:
                try:
                    descriptor = _open_landing(located)
                except OSError as error:
                    self._fail(connection, 503, f"a landing file cannot be opened: {os.strerror(error.errno or 0)}")
                else:
                    answer = self._head(connection, decision, self._fetched)
                    first, end = decision.first, decision.end
                    connection.send_file(decision.status, answer, descriptor, first, end, message.upto)
                    descriptor.retire()
            elif isinstance(message, messages.Failed):
                if connection.head_is_sent:
                    self._note(message.reason)
                    connection.abort()
                else:
                    self._fail(connection, message.status, message.reason)
            connection.resume()

        file = piece.extent.file.name
        need = messages.Need(id, *piece.key, file, decision.first, decision.end, cached_only=cached_only)
        self._link.ask(id, need, hear)

    def _forget_need(self, connection: Connection) -> None:
        if connection.need:
            self._link.forget(connection.need)
            self._link.say(messages.Forget(connection.need))
            connection.need = 0

    def _hear(self, message: Message) -> None:
        if isinstance(message, messages.Gone):
            self._forget(Path(message.path))


def _shares(limit: int) -> tuple[int, int]:
    """How many stored files may be open, and how many clients, when a process may have `limit` descriptors."""
    files = max(1, min(limit // 2, _MOST_DESCRIPTORS))
    return files, max(1, limit - files - _SPARE_DESCRIPTORS)


def _open_landing(located: messages.Located) -> Descriptor:
    """The file whose bytes are landing. Raises OSError.

    It may have got its final name since the parent told the other one. Or it was dropped and asked for again: then the
    path is that of another file, still full of holes, and only the inode tells.
    """
    path = Path(located.path)
    for name in (path, path.with_name(path.name.removesuffix(packages.RESERVED_SUFFIXES[0]))):
        with suppress(FileNotFoundError):
            descriptor = Descriptor(name)
            if os.fstat(descriptor.fd).st_ino == located.inode:
                return descriptor
            descriptor.retire()
    raise FileNotFoundError(errno.ENOENT, "the file whose bytes landed is gone", located.path)


def _without_blocks(package: packages.Package) -> packages.Package:
    """A worker verifies nothing: without the digests an index is a third of its size."""
    replace = msgspec.structs.replace
    return replace(package, files=tuple(replace(file, blocks=()) for file in package.files))


def _closing(connection: Connection) -> tuple[tuple[str, str], ...]:
    return (("Connection", "close"),) if connection.is_last else ()


def _cached_only(request: Request) -> bool:
    return "only-if-cached" in request.headers.get("cache-control", "").lower()


def _kept_path(target: bytes) -> bytes:
    """The path without query and token: what a piece is kept by, as neither changes what is served."""
    path = target.partition(b"?")[0]
    if path.startswith(b"/t/"):
        end = path.find(b"/", 3)
        if end > 0:
            return path[end:]
    return path


def _decoded(target: bytes) -> str:
    """Raises PackageError."""
    try:
        return unquote_to_bytes(target.partition(b"?")[0]).decode("ascii")
    except UnicodeDecodeError:
        raise PackageError("the path of a content URL is ASCII", status=404) from None


def _named(target: bytes) -> tuple[str, str, str]:
    """Title, package and part, for the log; empty where it is no content URL: a token may be anywhere in it then."""
    try:
        _, title, package, part = packages.parse_content_path(_decoded(target))
    except PackageError:
        return "", "", ""
    return title, package, part


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
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def run() -> None:
        await Worker(settings).run()

    uvloop.run(run())


if __name__ == "__main__":
    main()
