"""An origin made distant: `python -m bench.delivery.far PORT ORIGIN_PORT DELAY_S`.

Relays connections to 127.0.0.1:PORT and holds back what clients say for DELAY_S, as a round trip to a distant origin
does; answers pass at once. It is the delay and not the bandwidth of a distance that it stands for.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop


class _Side(asyncio.Protocol):
    """One end of a relayed connection: what it hears goes to the other end, `delay_s` later."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []  # until there is another end
        self.other: asyncio.Transport | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are like it and not of its type

    def data_received(self, data: bytes) -> None:
        if self._delay_s:
            self._loop.call_later(self._delay_s, self._pass, data)
        else:
            self._pass(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    def meet(self, other: asyncio.Transport) -> None:
        self.other = other
        for data in self._waiting:
            other.write(data)
        self._waiting.clear()

    def _pass(self, data: bytes) -> None:
        if self.other is None:
            self._waiting.append(data)
        else:
            self.other.write(data)


class _Arrival(_Side):
    """The client's end: opens the connection to the origin."""

    def __init__(self, origin_port: int, delay_s: float) -> None:
        super().__init__(delay_s)
        self._origin_port = origin_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = self._loop.create_task(self._reach())

    async def _reach(self) -> None:
        assert self.transport is not None
        try:
            transport, side = await self._loop.create_connection(lambda: _Side(0.0), "127.0.0.1", self._origin_port)
        except OSError:
            self.transport.close()
            return
        side.meet(self.transport)
        self.meet(transport)


async def relay(port: int, origin_port: int, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Arrival(origin_port, delay_s), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
