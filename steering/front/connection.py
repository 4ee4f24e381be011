"""One client of the front: bytes in, answers out, until it asks for what is aiohttp's.

Requests are answered at once and in their order, so pipelining needs no queue: what was read and cannot be answered yet
waits as bytes, because a request is incomplete or because the client does not take its answers. In the second case
nothing more is read from it (the transport tells when its buffer is above the high-water mark, and when below again),
so a client that asks and never reads costs one read and one mark, whatever it sends.

A connection is handed over by giving its transport to an aiohttp protocol, as asyncio does to start TLS on one: the
transport's next event goes there, and so do the bytes that were read. Answers of ours that are still in the transport's
buffer stay before aiohttp's. It works with asyncio's transports and with uvloop's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from config.errors import NearcastError
from steering.front.answers import wire
from steering.front.requests import Kind, NotOurs, Request, read_request
from steering.sessions.pathways import split_query
from steering.sessions.players import Answer, Asker, Players, preflight, problem, refusal

if TYPE_CHECKING:
    from steering.prefixes.clients import TrustedProxies

logger = logging.getLogger(__name__)


class Place(Protocol):
    """What a connection asks of the listener. `date` is the field of now, with its line's end."""

    players: Players
    take_report: Callable[[bytes], Answer]
    date: bytes
    now: float

    @property
    def behind(self) -> Callable[[], asyncio.Protocol]:
        """Makes a protocol of aiohttp's."""

    @property
    def proxies(self) -> TrustedProxies: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`moved_at` is when bytes last came, `waits_since` since when a request is incomplete (0: none is)."""

    __slots__ = ("_is_full", "_peer", "_place", "_transport", "_unread", "moved_at", "waits_since")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._unread = b""
        self._is_full = False
        self.moved_at = place.now
        self.waits_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, for uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        self._place.opened(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._unread = b""
        self._place.closed(self)

    def data_received(self, data: bytes) -> None:
        self.moved_at = self._place.now
        self._unread = self._unread + data if self._unread else data
        if not self._is_full:
            self._answer_all()

    def pause_writing(self) -> None:
        self._is_full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        self.moved_at = self._place.now
        if self._unread:
            self._answer_all()
        transport = self._transport
        if transport is not None and not self._is_full and not transport.is_closing():
            transport.resume_reading()

    def close(self) -> None:
        """What was answered is still sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answer_all(self) -> None:
        """Answers what was read, until it is used up, the client does not take the answers, or it is not ours."""
        data, place = self._unread, self._place
        while data and not self._is_full:
            request = read_request(data)
            if request is NotOurs.INCOMPLETE:
                self.waits_since = self.waits_since or place.now
                break
            self.waits_since = 0.0
            if isinstance(request, NotOurs):
                self._hand_over(data)
                return
            assert self._transport is not None
            closes = not request.fields.keeps_alive
            answer = self._answer(request)
            self._transport.write(wire(answer, place.date, has_body=request.method != "HEAD", closes=closes))
            if closes:  # RFC 9112 9.6: nothing that comes after it is answered
                self._unread = b""
                self._transport.close()
                return
            data = data[request.size :]
        self._unread = data

    def _answer(self, request: Request) -> Answer:
        try:
            return self._ask(request)
        except NearcastError as error:
            return refusal(error)
        except Exception:
            logger.exception("a request failed", extra={"kind": request.kind.value, "title": request.title})
            return problem(500, "this request met a fault in steering; its log says more")

    def _ask(self, request: Request) -> Answer:
        place, kind = self._place, request.kind
        if request.method == "OPTIONS":
            return preflight("POST, OPTIONS" if kind is Kind.EVENTS else "GET, HEAD, OPTIONS")
        if kind is Kind.REPORT:
            return place.take_report(request.body)
        query = split_query(request.query)
        address = place.proxies.client(self._peer, request.forwarded)
        asker = Asker(address, request.fields.host, request.fields.takes_gzip)
        if kind is Kind.STEER:
            return place.players.steer(request.form, query, asker)
        if kind is Kind.PLAY:
            return place.players.play(request.title, request.form, query, asker)
        return place.players.hear(request.body, query, asker)

    def _hand_over(self, data: bytes) -> None:
        transport, self._transport = self._transport, None
        assert transport is not None
        self._unread = b""
        self._place.closed(self)
        protocol = self._place.behind()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
