"""The copy that a transfer is measured against: sendfile to a socket, from the socket to a file, and no look at a byte.

Each end is a process of its own, as the two appliances are; the file is synced at the end, as a filled one is.

    python -m bench.fill.plain send PATH            prints the port it listens on, and sends to whoever connects
    python -m bench.fill.plain receive PORT PATH    prints the seconds it took
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

_PIECE_BYTES = 1024 * 1024
_SEND_BYTES = 1 << 30


def send(path: Path) -> None:
    """Until it is killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener, path.open("rb") as file:
        print(listener.getsockname()[1], flush=True)
        size = path.stat().st_size
        while True:
            connection, _ = listener.accept()
            with connection:
                sent = 0
                while sent < size:
                    sent += os.sendfile(connection.fileno(), file.fileno(), sent, _SEND_BYTES)


def receive(port: int, path: Path) -> float:
    """Seconds until all that the sender has is safe in the file."""
    started = time.monotonic()
    buffer = memoryview(bytearray(_PIECE_BYTES))
    with socket.create_connection(("127.0.0.1", port)) as connection, path.open("wb", buffering=0) as file:
        while count := connection.recv_into(buffer):
            file.write(buffer[:count])
        os.fsync(file.fileno())
    return time.monotonic() - started


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(Path(sys.argv[2]))
    else:
        print(receive(int(sys.argv[2]), Path(sys.argv[3])))
