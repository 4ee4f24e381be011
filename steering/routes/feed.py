"""The Unix socket where an ExaBGP's lines arrive, ours or an operator's, and what they do to the rib."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from steering.errors import ListenError, RouteError
from steering.routes.exabgp_messages import Down, EndOfRib, Message, Opened, Up, parse
from steering.routes.peer import Peer
from steering.routes.rib import Rib

# An update of ExaBGP's has up to a thousand prefixes: 100 KiB.
_LARGEST_LINE = 16 * 1024 * 1024
# After so many the table and the operators get their turn: 20 ms.
_LINES_AT_ONCE = 256

logger = logging.getLogger(__name__)


class Feed:
    def __init__(self, rib: Rib, peers: Iterable[Peer], clock: Callable[[], float]) -> None:
        """`clock` in seconds since the epoch."""
        self._rib, self._clock = rib, clock
        self._names = {peer.address: peer.name for peer in peers if peer.source in ("listen", "feed")}
        self._connections: set[asyncio.StreamWriter] = set()
        # Who spoke of a session last: when an ExaBGP goes away and another has taken its place, nothing is down.
        self._spoke: dict[str, asyncio.StreamWriter] = {}
        self.nonsense = 0
        self._strangers: set[str] = set()

    @contextlib.asynccontextmanager
    async def serve(self, path: Path) -> AsyncIterator[None]:
        """Raises ListenError."""
        path.unlink(missing_ok=True)  # of an earlier process: there is one of us, as the table's lock says
        usual = os.umask(0o177)  # who can write to it can move players
        try:
            server = await asyncio.start_unix_server(self._listen, path, limit=_LARGEST_LINE)
        except OSError as error:
            raise ListenError(f"routes: {path} cannot be used: {error.strerror or error}") from error
        finally:
            os.umask(usual)
        try:
            yield
        finally:
            server.close()
            for writer in self._connections:
                writer.close()
            path.unlink(missing_ok=True)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One ExaBGP, until it goes away; then its sessions are down."""
        self._connections.add(writer)
        try:
            await self._read(reader, writer)
        except OSError as error:
            logger.warning("the connection of ExaBGP broke", extra={"reason": str(error)})
        finally:
            for name in [name for name, last in self._spoke.items() if last is writer]:
                del self._spoke[name]
                self._rib.down(name, self._clock(), "ExaBGP, which tells of it, went away")
            self._connections.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while True:
            try:
                line = await reader.readline()
            except ValueError as error:  # longer than the limit; it is dropped
                self._complain(str(error))
                continue
            if not line:
                return
            try:
                message = parse(line)
            except RouteError as error:
                self._complain(str(error))
                continue
            if message is not None and (name := self._name(message.peer)):
                self._spoke[name] = writer
                self.take(name, message)
            count += 1
            if count % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def take(self, name: str, message: Message) -> None:
        """What session `name` says."""
        rib, now = self._rib, self._clock()
        if isinstance(message, Up):
            logger.info("a BGP session is up", extra={"session": name})
            rib.up(name, now)
        elif isinstance(message, Down):
            logger.info("a BGP session is down; its routes stay for now", extra={"session": name, "why": message.why})
            rib.down(name, now, message.why)
        elif isinstance(message, Opened):
            rib.identify(name, message.router_id)
        elif isinstance(message, EndOfRib):
            rib.end_of_rib(name, message.version, now)
        else:
            # RFC 4271 section 3.1 lets one message withdraw and announce; the announced prefix is the one that counts.
            if message.withdrawn:
                rib.withdraw(name, message.withdrawn, now)
            if message.announced:
                rib.announce(name, message.announced, message.attributes, now)

    def _name(self, address: str) -> str:
        name = self._names.get(address, "")
        if not name and address not in self._strangers and len(self._strangers) < 1000:
            self._strangers.add(address)
            logger.warning("ExaBGP tells of a neighbour that is no session's `peer`", extra={"peer": address})
        return name

    def _complain(self, why: str) -> None:
        self.nonsense += 1
        if self.nonsense == 1:
            logger.warning("a line of ExaBGP is passed over; more are only counted", extra={"reason": why})
