"""Viewers of one appliance, in a process of their own: so many segments a second, whoever of them is late.

Each of some threads asks at moments of its own on one connection; how long an answer took is counted from the moment it
should have been asked for, so that a stall is not hidden by the questions that it delayed. Bytes are thrown away in the
kernel (MSG_TRUNC), for a viewer on another machine would not take our processor either.

    python -m bench.fill.viewers HOST PORT PATH SECONDS RATE     RATE requests a second, 0: as many as there can be
"""

from __future__ import annotations

import random
import socket
import sys
import threading
import time

import msgspec

THREADS = 8
# Not counted at first: an appliance hears four times a second that there are players for its fills to yield to.
SETTLE_S = 1.0
_THROW_AWAY = memoryview(bytearray(1024 * 1024))


class Seen(msgspec.Struct, frozen=True):
    requests: int
    failed: int
    rate: float  # requests a second
    bytes_s: float
    p50_s: float
    p99_s: float


def watch(host: str, port: int, path: str, seconds: float, rate: float) -> Seen:
    took: list[float] = []
    sizes: list[int] = []
    failed: list[str] = []
    started = time.monotonic()

    def view(number: int) -> None:
        chance = random.Random(number)
        at = started
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: viewer\r\n\r\n".encode()
        try:
            with socket.create_connection((host, port), timeout=10) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while True:
                    at = at + chance.expovariate(rate / THREADS) if rate else time.monotonic()
                    if at > started + SETTLE_S + seconds:
                        return
                    if (wait_s := at - time.monotonic()) > 0:
                        time.sleep(wait_s)
                    size = _ask(connection, request)
                    if at > started + SETTLE_S:
                        sizes.append(size)
                        took.append(time.monotonic() - at)
        except OSError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=view, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole_s = time.monotonic() - started - SETTLE_S
    took.sort()
    return Seen(
        requests=len(took),
        failed=len(failed),
        rate=len(took) / whole_s,
        bytes_s=sum(sizes) / whole_s,
        p50_s=took[len(took) // 2] if took else 0.0,
        p99_s=took[int(len(took) * 0.99)] if took else 0.0,
    )


def _ask(connection: socket.socket, request: bytes) -> int:
    """Bytes of the answer's body."""
    connection.sendall(request)
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := connection.recv(4096)):
            raise ConnectionError("closed")
        head += piece
    fields, _, rest = head.partition(b"\r\n\r\n")
    if not fields.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(fields.partition(b"\r\n")[0].decode())
    length = int(next(line for line in fields.split(b"\r\n") if line.lower().startswith(b"content-length"))[15:])
    left = length - len(rest)
    while left:
        count = connection.recv_into(_THROW_AWAY, min(left, len(_THROW_AWAY)), socket.MSG_TRUNC)
        if not count:
            raise ConnectionError("cut off")
        left -= count
    return length


if __name__ == "__main__":
    host, port, path, seconds, rate = sys.argv[1:6]
    print(msgspec.json.encode(watch(host, int(port), path, float(seconds), float(rate))).decode())
