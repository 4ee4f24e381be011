"""A handler that answers every request with one file, and connections over loopback to try it on."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Literal, TypeAlias

from oca.http.connection import Connection, Descriptor
from oca.http.request import Request

How: TypeAlias = Literal["whole", "at once", "growing"]


class Sender:
    """Sends bytes [first, end) of `descriptor`: all of them, by the shortest way, or as they become known."""

    date = b"\r\n"

    def __init__(self, descriptor: Descriptor, end: int, how: How = "whole") -> None:
        self.descriptor, self.how = descriptor, how
        self.first, self.end = 0, end
        self.wholes: list[bool] = []
        self.trouble = ""
        self.is_closed = False

    def usual(self, connection: Connection, data: bytes) -> bool:
        if self.how != "at once":
            return False
        if not connection.send_at_once(self.head(), self.descriptor, self.first, self.end):
            connection.go_on(Request("GET", b"/", {}, True), None, 0.0)  # type: ignore[arg-type]
        return True

    def respond(self, connection: Connection, request: Request) -> None:
        if request.complaint is not None:
            connection.complain(*request.complaint)
            return
        limit = self.first if self.how == "growing" else self.end
        connection.send_file(200, self.head(), self.descriptor, self.first, self.end, limit)
        if self.how == "growing":
            self._grow(connection, random.Random(1))

    def _grow(self, connection: Connection, chance: random.Random) -> None:
        if connection.fd >= 0 and connection.limit < self.end:
            connection.advance(min(self.end, connection.limit + chance.choice((1, 1000, 16384, 100_000, 1_000_000))))
            asyncio.get_running_loop().call_soon(self._grow, connection, chance)
            connection.resume()

    def head(self) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (self.end - self.first)

    def answered(self, connection: Connection, *, whole: bool) -> None:
        self.wholes.append(whole)

    def unreadable(self, connection: Connection, why: str) -> None:
        self.trouble = why

    def closed(self, connection: Connection) -> None:
        self.is_closed = True


def loopback() -> tuple[socket.socket, socket.socket]:
    """The end of a client, and ours, which does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), timeout=10)
        far, _ = listener.accept()
    far.setblocking(False)
    return near, far
