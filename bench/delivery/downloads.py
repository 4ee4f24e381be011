"""Many players at once, in a process of their own: each asks for its pieces one after the other, all start together.

`python -m bench.delivery.downloads` reads a Job from standard input and prints a Report. All connections are open
before the first request goes out, and until every player has the first byte of its first answer nobody reads further:
so a first byte is as late as the server made it, and not as late as this client was busy with the bodies of others.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Sequence

import msgspec

from bench.delivery.programs import run_client

_CONNECT_LIMIT_S = 10.0
_PIECE_BYTES = 256 * 1024
_HEAD_LIMIT_BYTES = 16 * 1024
_POLL_S = 0.2


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """Bytes [first, end) of a path."""

    path: str
    first: int
    end: int


class Job(msgspec.Struct, frozen=True):
    port: int
    players: list[list[Piece]]
    limit_s: float  # what is not there by then has failed


class Report(msgspec.Struct, frozen=True):
    first_bytes_s: list[float]  # of each player's first answer, from its own request on; sorted
    seconds: float  # from the first request to the last byte
    bytes: int  # of bodies
    failed: int  # pieces that did not come whole


def download(job: Job, cores: frozenset[int]) -> Report:
    """Runs the players on these cores. Raises BenchError."""
    command = [sys.executable, "-m", "bench.delivery.downloads"]
    told = run_client(command, cores, limit_s=job.limit_s + _CONNECT_LIMIT_S * 2, stdin=msgspec.json.encode(job))
    return msgspec.json.decode(told, type=Report)


class _Player:
    """One connection and what it still has to ask for."""

    __slots__ = ("asked_at", "body", "connection", "first_byte_s", "head", "is_over", "pieces", "position")

    def __init__(self, port: int, pieces: Sequence[Piece]) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_LIMIT_S)
        self.connection.setblocking(False)
        self.pieces = pieces
        self.position = -1
        self.first_byte_s = 0.0
        self.is_over = False

    def ask(self) -> None:
        """The next piece; over if there is none."""
        self.position += 1
        if self.position == len(self.pieces):
            self.is_over = True
            return
        piece = self.pieces[self.position]
        self.head, self.body, self.asked_at = b"", 0, time.monotonic()
        wanted = f"bytes={piece.first}-{piece.end - 1}"
        self.connection.send(f"GET {piece.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: {wanted}\r\n\r\n".encode())

    def read(self, buffer: bytearray) -> int:
        """Takes what is there; returns how many bytes of body. Raises OSError where the answer is not to be had."""
        try:
            got = self.connection.recv_into(buffer)
        except BlockingIOError:
            return 0
        if not got:
            raise ConnectionError("closed by the server")
        if not self.head.endswith(b"\r\n\r\n"):
            got = self._read_head(bytes(buffer[:got]))
        if got and not self.first_byte_s:
            self.first_byte_s = time.monotonic() - self.asked_at
        self.body += got
        piece = self.pieces[self.position]
        if self.body >= piece.end - piece.first:
            self.ask()
        return got

    def _read_head(self, data: bytes) -> int:
        """How many bytes of body came with it."""
        head, end, body = (self.head + data).partition(b"\r\n\r\n")
        self.head = head + end
        if end and not head.startswith(b"HTTP/1.1 206"):
            raise ConnectionError(f"answered {head[:40]!r}")
        if len(self.head) > _HEAD_LIMIT_BYTES:
            raise ConnectionError("a head without an end")
        return len(body)


def run(job: Job) -> Report:
    players = {player.connection.fileno(): player for player in (_Player(job.port, ps) for ps in job.players)}
    poll, buffer = select.epoll(), bytearray(_PIECE_BYTES)
    started = time.monotonic()
    for fd, player in players.items():
        player.ask()
        poll.register(fd, select.EPOLLIN)
    active, held, read, failed = set(players), set(players), 0, 0
    while active and time.monotonic() - started < job.limit_s:
        for fd, _ in poll.poll(_POLL_S):
            player = players[fd]
            try:
                read += player.read(buffer)
            except OSError:
                failed += len(player.pieces) - player.position
                player.is_over = True
            if player.is_over:
                poll.unregister(fd)
                active.discard(fd)
            if fd in held and (player.is_over or player.first_byte_s):
                held.discard(fd)
                if held and not player.is_over:
                    poll.modify(fd, 0)
                if not held:  # the last first byte: now all may read on
                    for other in active:
                        poll.modify(other, select.EPOLLIN)
    failed += sum(len(players[fd].pieces) - players[fd].position for fd in active)
    seconds = time.monotonic() - started
    first = sorted(player.first_byte_s for player in players.values() if player.first_byte_s)
    return Report(first, seconds, read, failed)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))))
