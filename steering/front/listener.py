"""The service's port: accepts connections, ends those that nothing comes of, and closes.

Nothing is timed for a single connection: once in a while all of them are looked at.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from email.utils import formatdate

from aiohttp import web

from steering.front.connection import Connection
from steering.prefixes.clients import TrustedProxies
from steering.sessions.players import Answer, Players

# Players poll each ten seconds or so; a browser keeps a connection about a minute.
IDLE_S = 75.0
# From a request's first byte to its last. A player's takes one packet.
SLOWEST_REQUEST_S = 10.0
_LOOK_EVERY_S = 1.0
# Once a second the date changes; connections may wait for a look.
_LOOKS_PER_SWEEP = 5
_BACKLOG = 4096  # a herd that comes back within a second; the kernel cuts it to its own limit


class Front(web.BaseSite):
    """A site of an aiohttp runner, in place of its TCPSite: what the front does not take goes to the runner's server.

    `where` is an address, or a socket that is bound to one already.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        players: Players,
        take_report: Callable[[bytes], Answer],
        proxies: Callable[[], TrustedProxies],
        where: tuple[str, int] | socket.socket,
    ) -> None:
        super().__init__(runner, backlog=_BACKLOG)
        assert runner.server is not None  # super() says so too
        self.behind = runner.server
        self.players, self.take_report = players, take_report
        self._proxies = proxies
        self._where = where
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0
        self.now = 0.0
        self.date = b""

    @property
    def name(self) -> str:
        return f"players at {self._where}"

    @property
    def proxies(self) -> TrustedProxies:
        return self._proxies()

    async def start(self) -> None:
        """Raises OSError."""
        await super().start()
        self._look()
        loop = asyncio.get_running_loop()
        if isinstance(self._where, socket.socket):
            self._server = await loop.create_server(self._accept, sock=self._where, backlog=self._backlog)
        else:
            host, port = self._where
            self._server = await loop.create_server(self._accept, host, port, backlog=self._backlog, reuse_address=True)

    async def stop(self) -> None:
        """Takes no more connections and ends those that are here; what aiohttp was given, its runner ends."""
        if self._timer is not None:
            self._timer.cancel()
        await super().stop()
        for connection in list(self._connections):
            connection.close()

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def _accept(self) -> Connection:
        return Connection(self)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self.date = f"Date: {formatdate(usegmt=True)}\r\n".encode()
        self._looks += 1
        if self._looks % _LOOKS_PER_SWEEP == 0:
            self._sweep()
        self._timer = loop.call_later(_LOOK_EVERY_S, self._look)

    def _sweep(self) -> None:
        for connection in [one for one in self._connections if self._is_over(one)]:
            connection.abort()

    def _is_over(self, connection: Connection) -> bool:
        is_slow = bool(connection.waits_since) and self.now - connection.waits_since > SLOWEST_REQUEST_S
        return is_slow or self.now - connection.moved_at > IDLE_S
