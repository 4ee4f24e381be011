"""One delivery process: accepts clients, keeps them within bounds, and lets oca.delivery answer them.

Workers share nothing but the listening ports and the parent's socket. Without its parent a worker ends.

Three things can be asked for without end: connections, bytes, and patience. Connections: of all, at most as many as
there are descriptors for, of one client at most a share of that; when there is no room, those that idle longest go
first, then newcomers are told to come back (503). Bytes: those who begin to watch are refused when the nominal bit rate
of all who watch is beyond what the appliance may serve; those who watch already go on. Patience: a head, a handshake,
an answer that does not move and one that crawls each have their time.
"""

from __future__ import annotations

import asyncio
import email.utils
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

import msgspec
import uvloop

from config.logs import start_logging
from encoder.package import BLOCK_SIZE
from oca import messages
from oca.access_log import AccessLog
from oca.delivery import Delivery
from oca.gate import Gate
from oca.http.connection import Connection
from oca.http.request import is_background
from oca.http.tls import BytePath, Certificates, TlsConnection, find_byte_path, load_certificates
from oca.link import Link
from oca.messages import Message
from oca.pieces import FileName, Pieces
from oca.tokens.keys import parse_keys

logger = logging.getLogger(__name__)

_MOST_DESCRIPTORS = 8192
# Descriptors for what is neither a stored file nor a client: log, local socket, listener, files as they land.
_SPARE_DESCRIPTORS = 64
# Clients beyond the limit that are told so, as soon as they ask; for one more, the one that was silent longest goes.
_MOST_TURNED_AWAY = 32
_TICK_S = 0.25
# How late the event loop comes to what is ready is measured this often; a player's answer waits as long as the probe.
_PROBE_S = 0.02
# Fills that peers have of a worker at once, and from which share of the capacity on players need it themselves.
_MOST_FILLS = 16
_FILL_SHARE = 0.8
_ACCEPT_AT_ONCE = 64
_FD_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ACCEPT_PAUSE_S = 0.1
# A head, or a handshake, that takes longer than this to arrive is not a player's.
_HEAD_LIMIT_S = 10.0
# An answer gets this long to come up to a speed at which even sound could not be played.
_CRAWL_AFTER_S, _CRAWL_BYTES_S = 30.0, 1024
# A client that is silent this long is left by a worker that was replaced: players ask each few seconds. One that drains
# does not wait for those.
_QUIET_LIMIT_S, _DRAIN_QUIET_LIMIT_S = 5.0, 0.5
# Nominal load from which newcomers are refused: steering sends nobody new from 1.0 on, and reports take some seconds.
_HARD_LOAD = 1.1
_LOG_DAY_S = 86400.0
# Failures of one kind are logged when the first happens, then counted and told this often.
_REPEATS_EVERY_S = 60.0


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent tells a worker when it starts, on its standard input."""

    appliance: str
    number: int
    listen_fd: int
    tls_fd: int  # -1: no TLS
    socket: str
    access_log: str
    event_log: str
    log_bytes: int
    log_keep: int
    stall_limit_s: float
    idle_limit_s: float
    requests_per_connection: int
    connections_per_client: int  # 0: half of all
    capacity_bps: int  # this worker's share
    certificates: str
    ticket_keys: bytes
    byte_path: BytePath | None  # None: the best that works
    token_keys: bytes  # a JWK Set; empty: content is for everybody
    token_issuers: tuple[str, ...]
    token_audiences: tuple[str, ...]
    log_level: str
    embargoes: dict[str, float] = {}  # "title/package" -> until when players are not served
    peer_addresses: tuple[str, ...] = ()  # of those who are served all the same, where there are no tokens


class Worker:
    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._link = Link(self._hear)
        self._listeners = [socket.socket(fileno=settings.listen_fd)]
        self._certificates: Certificates | None = None
        self._byte_path: BytePath | None = None
        if settings.tls_fd >= 0:
            self._listeners.append(socket.socket(fileno=settings.tls_fd))
            self._certificates = load_certificates(Path(settings.certificates), settings.ticket_keys)
            self._byte_path = settings.byte_path or find_byte_path(self._certificates.default)
        most_files, self._most_connections = _shares(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._most_per_client = settings.connections_per_client or max(1, self._most_connections // 2)
        self._connections: set[Connection] = set()
        self._per_client: Counter[str] = Counter()
        self._turned_away = 0
        self._pieces = Pieces(most_files)
        self._log = _open_log(settings.access_log, settings)
        self._events = _open_log(settings.event_log, settings)
        self._gate: Gate | None = None
        if settings.token_keys:
            keys = parse_keys(settings.token_keys, "the parent's settings")
            self._gate = Gate(keys, settings.token_issuers, settings.token_audiences)
        self._delivery = Delivery(
            settings.appliance,
            self._link,
            self._pieces,
            self._log,
            self._events,
            self._gate,
            self._note,
            self._left,
            settings.requests_per_connection,
            settings.embargoes,
            frozenset(settings.peer_addresses),
        )
        self._failures: Counter[str] = Counter()
        self._failures_told_at = monotonic()
        self._lines_lost = 0
        self._leaving_since = self._quiet_limit_s = 0.0  # set when nothing new is taken any more
        self._closing = asyncio.Event()
        self._late_s = 0.0
        self._probe_at = 0.0

    # Lifecycle

    async def run(self) -> None:
        """Serves until the parent is gone, or until a drain has let every answer finish."""
        await self._link.start(Path(self._settings.socket))
        self._loop.add_signal_handler(signal.SIGTERM, self.drain)
        self._loop.add_signal_handler(signal.SIGUSR1, self.hand_over)
        # Ctrl-C in a terminal reaches us too, but it is for the parent, which then has us drain. So is SIGHUP.
        for number in (signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, lambda: None)
        self._listen(True)
        parent_gone = asyncio.create_task(self._link.ended.wait())
        closing = asyncio.create_task(self._closing.wait())
        self._tick()
        self._probe()
        self._link.say(messages.Serving(os.getpid(), self._byte_path or ""))
        await asyncio.wait([parent_gone, closing], return_when=asyncio.FIRST_COMPLETED)
        self._listen(False)
        for connection in list(self._connections):
            connection.abort()
        parent_gone.cancel()
        closing.cancel()
        self._tell_load()
        await self._link.close()
        self._log.close()
        self._events.close()

    def drain(self) -> None:
        """Takes nothing new, lets what is under way finish, then ends. The parent bounds how long that may take."""
        self._leave(_DRAIN_QUIET_LIMIT_S)

    def hand_over(self) -> None:
        """A successor serves: as `drain`, but in no hurry."""
        self._leave(_QUIET_LIMIT_S)

    def _leave(self, quiet_limit_s: float) -> None:
        """A client is told in its next answer that its connection ends: it may be asking at this very moment."""
        self._quiet_limit_s = min(quiet_limit_s, self._quiet_limit_s or quiet_limit_s)  # a drain stays one
        self._leaving_since = monotonic()
        self._listen(False)
        for connection in self._connections:
            connection.is_spent = True
        if not self._connections:
            self._closing.set()

    def _listen(self, on: bool) -> None:
        for listener in self._listeners:
            listener.setblocking(False)
            if on:
                self._loop.add_reader(listener.fileno(), self._accept, listener)
            else:
                self._loop.remove_reader(listener.fileno())

    def _tick(self) -> None:
        """Four times a second: dates, counters, the logs, and connections that do not move."""
        self._loop.call_later(_TICK_S, self._tick)
        delivery = self._delivery
        delivery.date = f"Date: {email.utils.formatdate(usegmt=True)}\r\n\r\n".encode()
        nominal_bps = self._tell_load()
        delivery.is_strained = nominal_bps > self._settings.capacity_bps
        delivery.is_full = nominal_bps > self._settings.capacity_bps * _HARD_LOAD
        fills = sum(
            1
            for connection in self._connections
            if connection.request and is_background(connection.request.headers.get("priority", ""))
        )
        is_needed = nominal_bps > self._settings.capacity_bps * _FILL_SHARE
        delivery.refuses_fills = bool(is_needed or fills >= _MOST_FILLS or self._leaving_since)
        for log in (self._log, self._events):
            log.flush()
        if self._log.lost > self._lines_lost:
            self._note(f"the access log cannot be written: {self._log.trouble}", self._log.lost - self._lines_lost)
            self._lines_lost = self._log.lost
        now = monotonic()
        if now - self._failures_told_at > _REPEATS_EVERY_S:
            self._tell_failures(now)
        # Nothing is judged before the shortest of the limits.
        oldest = now - (self._quiet_limit_s or self._settings.stall_limit_s)
        for connection in [c for c in self._connections if c.moved_at < oldest or c.body_sent]:
            self._judge(connection, now)

    def _tell_load(self) -> int:
        """Tells the parent what happened so far; gives the nominal bit rate of all who watch."""
        nominal_bps = sum(connection.rate_bps for connection in self._connections)
        counts, gate = self._delivery.counts, self._gate
        self._link.say(
            messages.Load(
                connections=len(self._connections),
                most_connections=self._most_connections,
                nominal_bps=nominal_bps,
                requests=counts.requests,
                bytes_sent=counts.bytes_sent,
                bytes_missed=counts.bytes_missed,
                errors=counts.errors,
                refused=counts.refused,
                tokens_refused=gate.refused if gate else 0,
                tokens_replayed=gate.replayed if gate else 0,
                cmcd_ignored=counts.cmcd_ignored,
                prefetched=counts.prefetched,
                late_s=self._late_s,
            )
        )
        self._late_s = 0.0
        noted = self._delivery.notes.take(monotonic())
        if noted is not None:
            self._link.say(noted)
        return nominal_bps

    def _probe(self) -> None:
        now = self._loop.time()
        if self._probe_at:
            self._late_s = max(self._late_s, now - self._probe_at)
        self._probe_at = now + _PROBE_S
        self._loop.call_at(self._probe_at, self._probe)

    def _judge(self, connection: Connection, now: float) -> None:
        """Ends a connection that has not moved for longer than its state allows."""
        settings, still = self._settings, now - connection.moved_at
        if connection.lingers:
            if still > settings.stall_limit_s:
                connection.close()
        elif connection.request is None:
            reading = connection.reading_since
            quiet = now - max(self._leaving_since, connection.moved_at)
            is_left = self._leaving_since and quiet > self._quiet_limit_s
            if reading and now - reading > _HEAD_LIMIT_S:
                connection.abort()
            elif still > settings.idle_limit_s or (is_left and not reading):
                connection.close()
        elif connection.need and not connection.head_is_sent:
            if still > settings.stall_limit_s:
                self._delivery.fail_late(connection)
        elif connection.waits:
            if still > settings.stall_limit_s:
                connection.abort()
        elif still > settings.idle_limit_s or _crawls(connection, now):
            connection.abort()

    # Clients

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _FD_EXHAUSTED:  # the queue stays readable: without a pause this would spin
                    self._pause_accepting(os.strerror(error.errno or 0))
                return  # anything else is the fault of one client that is gone already (accept(2), ERRORS)
            self._admit(sock, address[0], listener)

    def _admit(self, sock: socket.socket, client: str, listener: socket.socket) -> None:
        if self._per_client[client] >= self._most_per_client:
            self._note("a client has as many connections as one may have")
            self._delivery.counts.refused += 1
            sock.close()
            return
        heard = len(self._connections) - self._turned_away
        is_beyond = heard >= self._most_connections and not self._make_room()
        if is_beyond:
            self._note("as many clients as there are descriptors for, none of them idle")
            self._delivery.counts.refused += 1
            if self._turned_away >= _MOST_TURNED_AWAY:
                self._end_a_silent_one()
        sock.setblocking(False)
        try:
            if listener is self._listeners[0]:
                connection = Connection(self._loop, sock, client, self._delivery)
            else:
                assert self._certificates is not None and self._byte_path is not None
                connection = TlsConnection(
                    self._loop, sock, client, self._delivery, self._certificates.default, self._byte_path
                )
        except OSError:  # it is gone already
            sock.close()
            return
        connection.is_turned_away = connection.is_spent = is_beyond
        self._turned_away += is_beyond
        self._connections.add(connection)
        self._per_client[client] += 1

    def _make_room(self) -> bool:
        """Closes the connections that idle longest; False if none does."""
        candidates = (c for c in self._connections if c.is_idle and not c.is_turned_away)
        idle = sorted(candidates, key=lambda connection: connection.moved_at)
        for connection in idle[: max(1, len(idle) // 16)]:  # some at once: to find them takes a look at all
            connection.close()
        return bool(idle)

    def _end_a_silent_one(self) -> None:
        """Of those that are only to hear that there is no room, the one that has not asked for longest goes."""
        turned_away = (c for c in self._connections if c.is_turned_away)
        min(turned_away, key=lambda connection: connection.moved_at).close()

    def _left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._turned_away -= connection.is_turned_away
        self._per_client[connection.client] -= 1
        if not self._per_client[connection.client]:
            del self._per_client[connection.client]
        if self._leaving_since and not self._connections:
            self._closing.set()

    def _pause_accepting(self, why: str) -> None:
        self._note(f"cannot accept: {why}")
        self._listen(False)
        self._loop.call_later(_ACCEPT_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if not self._leaving_since:
            self._listen(True)

    # What the parent says of its own accord

    def _hear(self, message: Message) -> None:
        if isinstance(message, messages.Gone):
            self._pieces.forget(FileName(message.title, message.package, message.file))
        elif isinstance(message, messages.Embargo):
            self._delivery.embargo(message)
        elif isinstance(message, messages.Rotten):
            name = FileName(message.title, message.package, message.file)
            self._pieces.distrust(name, message.block)
            for connection in [c for c in self._connections if _sends_from(c, name, message.block)]:
                connection.abort()

    # Failures

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


def _crawls(connection: Connection, now: float) -> bool:
    age = now - connection.started_at
    return age > _CRAWL_AFTER_S and connection.body_sent < age * _CRAWL_BYTES_S


def _sends_from(connection: Connection, name: FileName, block: int) -> bool:
    """Whether the answer under way has bytes of this block (-1: of any), sent or to be sent."""
    piece = connection.piece
    if piece is None or piece.name != name or not connection.head_is_sent:
        return False
    extent = piece.extent
    return block < 0 or (
        extent.offset < (block + 1) * BLOCK_SIZE and extent.offset + extent.length > block * BLOCK_SIZE
    )


def _shares(limit: int) -> tuple[int, int]:
    """How many stored files may be open, and how many clients, when a process may have `limit` descriptors."""
    files = max(1, min(limit // 4, _MOST_DESCRIPTORS))
    return files, max(1, limit - files - _SPARE_DESCRIPTORS - _MOST_TURNED_AWAY)


def _open_log(path: str, settings: WorkerSettings) -> AccessLog:
    return AccessLog(Path(path), largest_bytes=settings.log_bytes, oldest_s=_LOG_DAY_S, keep=settings.log_keep)


def main() -> None:
    """Started by the parent: `python -m oca.worker`, with the settings as JSON on standard input."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerSettings)
    start_logging(settings.log_level)
    # Nothing here is cyclic but what lives as long as the process: rare and short collections.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def run() -> None:
        await Worker(settings).run()

    uvloop.run(run())


if __name__ == "__main__":
    main()
