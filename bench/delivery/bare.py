"""The bare loop in Python, for where bare.c cannot be compiled: `python -m bench.delivery.bare ROOT PORT UNSENT`.

The same thing: one epoll set, edge-triggered, MSG_MORE, TCP_NOTSENT_LOWAT, sendfile. For clients on 127.0.0.1 that wait
for an answer before they ask again, and for nobody else.
"""

from __future__ import annotations

import os
import re
import select
import socket
import sys
from pathlib import Path

_HEAD_BYTES = 4096
_BACKLOG = 4096
_REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n(?:.*\r\nRange: bytes=(\d+)-(\d+))?", re.DOTALL)


class _Client:
    __slots__ = ("end", "file", "offset", "socket", "waiting")

    def __init__(self, accepted: socket.socket) -> None:
        self.socket, self.waiting = accepted, b""
        self.file, self.offset, self.end = -1, 0, 0


class _Loop:
    def __init__(self, root: Path, unsent_bytes: int) -> None:
        self._root, self._unsent_bytes = root, unsent_bytes
        self._files: dict[bytes, tuple[int, int]] = {}  # path -> descriptor, size

    def run(self, listener: socket.socket) -> None:
        poll = select.epoll()
        poll.register(listener, select.EPOLLIN)
        clients: dict[int, _Client] = {}
        while True:
            for fd, _ in poll.poll():
                if fd == listener.fileno():
                    accepted = listener.accept()[0]
                    accepted.setblocking(False)
                    if self._unsent_bytes:
                        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._unsent_bytes)
                    clients[accepted.fileno()] = _Client(accepted)
                    poll.register(accepted, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
                    continue
                try:
                    self._advance(clients[fd])
                except BlockingIOError:
                    continue
                except OSError:
                    clients.pop(fd).socket.close()

    def _advance(self, client: _Client) -> None:
        """Raises BlockingIOError where it has to wait, another OSError where the client is of no more use."""
        while True:
            while client.offset < client.end:
                try:
                    sent = os.sendfile(client.socket.fileno(), client.file, client.offset, client.end - client.offset)
                except BlockingIOError:  # pushes what TCP holds back for more (bare.c)
                    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    raise
                if not sent:
                    raise ConnectionError
                client.offset += sent
            data = client.socket.recv(_HEAD_BYTES)
            if not data:
                raise ConnectionError
            client.waiting += data
            if client.waiting.endswith(b"\r\n\r\n"):
                self._answer(client)

    def _answer(self, client: _Client) -> None:
        match = _REQUEST.match(client.waiting)
        client.waiting = b""
        if match is None:
            raise ConnectionError
        client.file, size = self._open(match[1])
        client.offset, client.end = (int(match[2]), int(match[3]) + 1) if match[2] else (0, size)
        status = b"206 Partial Content" if match[2] else b"200 OK"
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n" % (status, client.end - client.offset)
        if match[2]:
            head += b"Content-Range: bytes %d-%d/%d\r\n" % (client.offset, client.end - 1, size)
        client.socket.send(head + b"\r\n", socket.MSG_MORE)

    def _open(self, path: bytes) -> tuple[int, int]:
        found = self._files.get(path)
        if found is None:
            fd = os.open(self._root / path.decode().lstrip("/"), os.O_RDONLY)
            found = self._files[path] = fd, os.fstat(fd).st_size
        return found


def main() -> None:
    root, port, unsent = sys.argv[1:]
    with socket.create_server(("127.0.0.1", int(port)), backlog=_BACKLOG) as listener:
        _Loop(Path(root), int(unsent)).run(listener)


if __name__ == "__main__":
    main()
