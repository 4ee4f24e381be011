"""Asks other appliances and the origin for bytes: in order, no more at once than they bear, and once more if need be.

Peers are asked with `Cache-Control: only-if-cached` (RFC 9111 5.2.1.7), so that a peer which lacks the bytes says so
(504) instead of asking us in turn. The origin, the last of the list, is asked without it.

An upstream that failed rests (oca.miss.breaker), and is then passed over while there is another. When its rest is over,
one request asks it in its old place, before those that are well: asked after them it would never be asked again, since
the origin has everything. That one request may lose its share of time, and nobody else does.

Where all others have failed, those that rest are asked all the same, better late than never: but one request at a time,
and whoever comes meanwhile waits for its outcome. So the only upstream of an appliance is found again by the first
request that it answers, all who waited are refused by one failure, and what recovers meets one request and not a herd.

A fill asks in an order of its own: of sources that are as good as each other, whichever will have given the block
first, by what it gave of late and what is asked of it now; and one that is slower than a tenth of another comes after
it. Its requests say that they are in no hurry (RFC 9218), so that an appliance may refuse them while it has players to
serve: it is then not asked to fill from until it is ready (Retry-After), and that is no failure.

When everybody has failed, those that were down or busy are asked once more after a pause by chance, if the budget
(oca.miss.budget) allows. The pause ends early enough that a player who has waited since the first question, or since
the last bytes, is still there: upstreams have half of its patience each, so nothing is retried after more than that.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence, Set
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from oca.errors import UpstreamError
from oca.miss.breaker import Breaker
from oca.miss.budget import RetryBudget
from oca.miss.door import Door, Priority, Unavailable, UpstreamState
from oca.miss.reception import Address, Answered, Connections, Crawls, Malformed, Reception, retry_after

_PIECE_BYTES = 256 * 1024
# Honest answers about one file, which say nothing of how the upstream is.
_NOT_THERE = (404, 504)
# 256 MiB of blocks under way: far more than fills any appliance's link, and few enough for any web server.
MOST_AT_ONCE = 64
# A fill has no player who waits; but what cannot be had for so many times as long is not to be had now.
_FILL_PATIENCE = 10
# Slower than this share of what another source gives, and bytes are better had from that one.
_TOO_SLOW = 0.1
# RFC 9218 4.1: urgency 7 is for background work, such as software updates.
BACKGROUND = "u=7"
# Of one upstream's share of time: long enough for a process that is restarted, short enough for its answer after it.
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True)
class Source:
    """A base URL that serves content URLs, and whether it may fetch what it lacks."""

    url: str
    cached_only: bool


# Has a reception run in a thread: how many bytes, how many a second at least, and what to call in the event loop as
# they come. The others are sources that could be asked instead.
Receiver: TypeAlias = Callable[[Reception, int, float, Callable[[], None]], Awaitable[None]]
Others: TypeAlias = Sequence[Source]


class Upstreams:
    """`stall_s` bounds connecting, each wait for bytes and the wait for room: who takes longer is given up.

    `credentials` makes headers that each request carries besides; `draw` gives numbers in [0, 1) for the jitter.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        stall_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        most_at_once: int = MOST_AT_ONCE,
        credentials: Callable[[], dict[str, str]] = dict,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.stall_s = stall_s
        self.clock = clock
        self.draw = draw
        self.budget = RetryBudget(clock())
        self._session = session
        self._timeout = aiohttp.ClientTimeout(connect=stall_s, sock_connect=stall_s, sock_read=stall_s)
        self._most_at_once = most_at_once
        self._credentials = credentials
        self._doors: dict[str, Door] = {}
        self._connections = Connections()

    def close(self) -> None:
        self._connections.close()

    # Whom to ask

    def attempts(self, sources: Sequence[Source], priority: Priority = Priority.MISS, equals: int = 1) -> Attempts:
        """All of them in their order, for one document or block. The first `equals` are as good as each other."""
        self.budget.earn(self.clock())
        return Attempts(self, sources, priority, frozenset(sources[:equals]))

    def order(self, sources: Sequence[Source]) -> list[Source]:
        """The same sources, those that rest last."""
        return sorted(sources, key=lambda source: not self.door(source).is_next())

    def fill_order(self, sources: Sequence[Source], equals: Set[Source]) -> list[Source]:
        """The same sources as a fill asks them."""
        doors = {source: self.door(source) for source in sources}
        fastest = max((door.rate_bytes_s for door in doors.values()), default=0.0)

        def preference(source: Source) -> tuple[bool, bool, bool, float]:
            door = doors[source]
            is_slow = 0 < door.rate_bytes_s < fastest * _TOO_SLOW
            # One that nobody knows yet is tried as if it were as fast as any.
            wait = (door.under_way + 1) / (door.rate_bytes_s or fastest or 1.0) if source in equals else 0.0
            return (not door.is_next() or door.is_held_off(), is_slow, source not in equals, wait)

        return sorted(sources, key=preference)

    def least_rate(self, source: Source, others: Sequence[Source]) -> float:
        """Bytes a second below which `source` is left for one of the others; 0 if there is none that is better."""
        ready = [door for door in map(self.door, others) if door.is_next() and not door.is_held_off()]
        return _TOO_SLOW * max((door.rate_bytes_s for door in ready), default=0.0)

    def rest(self, source: Source, why: str) -> None:
        """What this source gave was wrong: ask it last for a while."""
        self.door(source).trip(why)

    def door(self, source: Source) -> Door:
        door = self._doors.get(source.url)
        if door is None:
            breaker = Breaker(self.draw)
            door = self._doors[source.url] = Door(source.url, breaker, self._most_at_once, self.clock)
        return door

    # Asking

    def read(
        self, source: Source, path: str, first: int, end: int, priority: Priority = Priority.MISS
    ) -> AsyncGenerator[bytes, None]:
        """Bytes [first, end) of a content URL in pieces. Raises UpstreamError, also after some pieces have come."""
        return self._pieces(
            source, path, priority, {"Range": f"bytes={first}-{end - 1}"}, 206, end - first, end - first
        )

    async def receive(
        self, source: Source, path: str, first: int, end: int, priority: Priority, receiver: Receiver, others: Others
    ) -> None:
        """The same of a source that `is_plain`, to where the receiver has them in a thread of its own.

        Raises UpstreamError, and whatever becomes of the bytes there.
        """
        door = self.door(source)
        ticket = await door.enter(priority, self.stall_s * (_FILL_PATIENCE if priority is Priority.FILL else 1))
        started = self.clock()
        noted = 0

        def note() -> None:
            nonlocal noted
            count, noted = reception.received - noted, reception.received
            if count:
                door.moved(ticket, count)

        try:
            with _translated(source, door, ticket):
                address = await self._address(source)
                fields = {"Range": f"bytes={first}-{end - 1}"}
                request = _request(source, path, {**_headers(source, priority), **self._credentials(), **fields})
                reception = Reception(self._connections, address, request, self.stall_s)
                least = self.least_rate(source, others) if priority is Priority.FILL else 0.0
                try:
                    await receiver(reception, end - first, least, note)
                except Answered as answer:
                    self._judge(answer.status, answer.retry_after_s, source, path, door, ticket, priority)
                except Malformed as error:
                    door.fail(ticket, str(error), is_costly=True)
                    raise UpstreamError(f"{source.url}{path} sent {error}", status=502) from error
                except Crawls as error:
                    door.fail(ticket, f"too slow: {error}", is_costly=True)
                    raise Unavailable(f"{source.url} is much slower than others ({error})") from error
                finally:
                    note()
            door.measured(end - first, self.clock() - started - reception.waited_s)
            door.succeed(ticket)
        finally:
            door.leave(ticket)

    async def _address(self, source: Source) -> Address:
        """Where to connect to: looked up here, for in a thread it would take as long as it likes."""
        url = urlsplit(source.url)
        host, port = url.hostname or "", url.port or 80
        if _is_numeric(host):
            return host, port
        async with asyncio.timeout(self.stall_s):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return str(found[0][4][0]), port

    def _judge(
        self, status: int, retry_after_s: float, source: Source, path: str, door: Door, ticket: int, priority: Priority
    ) -> NoReturn:
        """An answer without what was asked for becomes our own error, and the door hears of it."""
        said = f"{source.url}{path} answered {status}"
        if status in _NOT_THERE:
            door.succeed(ticket)
            raise UpstreamError(said, status=404 if status == 404 else 503)
        if status == 503 and retry_after_s and priority is Priority.FILL:
            door.hold_off(retry_after_s)
            raise Unavailable(f"{said}: it has players to serve first", retry_after_s=retry_after_s)
        door.fail(ticket, f"status {status}", is_costly=False)
        raise Unavailable(said)

    async def read_whole(self, source: Source, path: str, limit: int, priority: Priority = Priority.MISS) -> bytes:
        """A small document. Raises UpstreamError (404 where the source says that there is no such thing)."""
        async with aclosing(self._pieces(source, path, priority, {}, 200, 0, limit)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def _pieces(
        self, source: Source, path: str, priority: Priority, headers: dict[str, str], status: int, least: int, most: int
    ) -> AsyncGenerator[bytes, None]:
        """The body of an answer that has to have this status and from `least` to `most` bytes."""
        door = self.door(source)
        ticket = await door.enter(priority, self.stall_s * (_FILL_PATIENCE if priority is Priority.FILL else 1))
        count = 0
        try:
            headers = {**_headers(source, priority), **self._credentials(), **headers}
            with _translated(source, door, ticket):
                async with self._session.get(source.url + path, headers=headers, timeout=self._timeout) as answer:
                    if answer.status != status:
                        wait_s = retry_after(answer.headers.get("Retry-After", ""))
                        self._judge(answer.status, wait_s, source, path, door, ticket, priority)
                    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                        count += len(piece)
                        door.moved(ticket, len(piece))
                        if count > most:
                            break
                        yield piece
            if not least <= count <= most:
                door.fail(ticket, "an answer of the wrong size", is_costly=True)
                raise UpstreamError(f"{source.url}{path} sent {count} bytes, expected {least} to {most}", status=502)
            door.succeed(ticket)
        finally:
            door.leave(ticket)

    # For the metrics

    def snapshot(self) -> list[UpstreamState]:
        """Everybody who was ever asked, or put in order to be."""
        return [door.state() for door in self._doors.values()]

    @property
    def retries_left(self) -> float:
        return self.budget.left(self.clock())

    @property
    def fetched_bytes(self) -> dict[str, int]:
        return {url: door.bytes for url, door in self._doors.items()}


class Attempts:
    """Goes through sources until whoever iterates has what it wants, and asks the one whose turn it is.

    Who is next is decided each time anew: while one was asked, another may have failed or recovered.
    """

    def __init__(
        self, upstreams: Upstreams, sources: Sequence[Source], priority: Priority, equals: Set[Source]
    ) -> None:
        self._upstreams = upstreams
        self._priority = priority
        self._equals = equals
        self._waits_since = upstreams.clock()
        self._left = list(sources)
        self._again: list[Source] = []  # those that were down or busy in the first round
        self._is_second_round = False
        self._source: Source

    def __aiter__(self) -> Attempts:
        return self

    async def __anext__(self) -> Source:
        if not self._left and not await self._start_again():
            raise StopAsyncIteration
        if self._priority is Priority.FILL:
            self._source = self._upstreams.fill_order(self._left, self._equals)[0]
        else:
            self._source = self._upstreams.order(self._left)[0]
        self._left.remove(self._source)
        if self._is_second_round:
            self._upstreams.door(self._source).retries += 1
        return self._source

    async def read(self, path: str, first: int, end: int) -> AsyncGenerator[bytes, None]:
        """As of Upstreams, of the source whose turn it is."""
        with self._noting_failure():
            async with aclosing(self._upstreams.read(self._source, path, first, end, self._priority)) as pieces:
                async for piece in pieces:
                    self._waits_since = self._upstreams.clock()
                    yield piece

    @property
    def is_plain(self) -> bool:
        """True if the source whose turn it is can be received from."""
        return self._source.url.startswith("http://")

    async def receive(self, path: str, first: int, end: int, receiver: Receiver) -> None:
        """As of Upstreams, of the source whose turn it is."""
        with self._noting_failure():
            try:
                await self._upstreams.receive(
                    self._source, path, first, end, self._priority, receiver, tuple(self._left)
                )
            finally:
                self._waits_since = self._upstreams.clock()

    async def read_whole(self, path: str, limit: int) -> bytes:
        """As of Upstreams, of the source whose turn it is."""
        with self._noting_failure():
            return await self._upstreams.read_whole(self._source, path, limit, self._priority)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except Unavailable:
            self._again.append(self._source)
            raise

    async def _start_again(self) -> bool:
        """Waits and begins the second round, if there is a point in it, time for it and the budget allows."""
        if self._is_second_round or not self._again:
            return False
        upstreams, now = self._upstreams, self._upstreams.clock()
        spare_s = self._waits_since + upstreams.stall_s - now
        if spare_s <= 0 or not upstreams.budget.spend(now):
            return False
        self._is_second_round = True
        self._left, self._again = self._again, []
        await asyncio.sleep(upstreams.draw() * min(spare_s, upstreams.stall_s * _LONGEST_PAUSE))
        return True


@contextmanager
def _translated(source: Source, door: Door, ticket: int) -> Iterator[None]:
    """What the client library raises becomes our own, and the door hears of it."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        why, is_costly = _diagnosis(error)
        door.fail(ticket, why, is_costly=is_costly)
        raise Unavailable(f"{source.url} does not answer ({why})") from error


def _diagnosis(error: Exception) -> tuple[str, bool]:
    """What is wrong, in words, and whether it cost time or will cost each who asks: then one failure is enough."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate does not hold: {error.certificate_error}", True
        case aiohttp.ClientSSLError():
            return f"no TLS with it: {error.os_error.strerror or error.os_error}", True
        case aiohttp.ClientConnectorError():
            return f"no connection: {error.os_error.strerror or error.os_error}", True
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time", True
        case TimeoutError():
            return "silent for too long", True
        case _:
            return f"cut off: {type(error).__name__}", False


def _headers(source: Source, priority: Priority) -> dict[str, str]:
    """We name ourselves so that an access log tells appliances from viewers: fills are not demand."""
    headers = {"User-Agent": "nearcast-oca", "Accept-Encoding": "identity"}
    if source.cached_only:
        headers["Cache-Control"] = "only-if-cached"
    if priority is Priority.FILL:
        headers["Priority"] = BACKGROUND
    return headers


def _request(source: Source, path: str, headers: Mapping[str, str]) -> bytes:
    """A GET as it goes out. Paths are made of names that packages allow, and need no quoting."""
    url = urlsplit(source.url)
    fields = {"Host": url.netloc.rpartition("@")[2], **headers}
    lines = [f"GET {url.path}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _is_numeric(host: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False
