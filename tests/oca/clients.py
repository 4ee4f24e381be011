"""Clients that see every byte of an answer: what an HTTP library would repair, hide or refuse to send is seen here."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

from aiohttp import ClientSession


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Client:
    """One connection, kept between answers; over TLS if the socket is."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, path: str, *headers: str, method: str = "GET", body: bytes = b"", size: int = 65536) -> Answer:
        """One request and its answer, read `size` bytes at a time."""
        self.send(path, *headers, method=method, body=body)
        return self.receive(has_body=method != "HEAD", size=size)

    def send(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> None:
        length = [f"Content-Length: {len(body)}"] if body else []
        self.sock.sendall(
            "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *headers, *length, "", ""]).encode() + body
        )

    def receive(self, *, has_body: bool = True, size: int = 65536) -> Answer:
        """The next answer. Raises EOFError where the connection ends before it does."""
        data = bytearray(self._rest)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(size)
        status, headers = read_head(bytes(data[:end]))
        stop = end + 4
        if has_body and status not in (204, 304):
            stop += int(headers["content-length"])
        while len(data) < stop:
            data += self._more(size)
        self._rest = bytes(data[stop:])
        return Answer(status, headers, bytes(data[end + 4 : stop]))

    def is_ended(self) -> bool:
        """Waits for what comes next; true if that is the end."""
        try:
            return not self._rest and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self, size: int) -> bytes:
        data = self.sock.recv(size)
        if not data:
            raise EOFError("the connection ended within an answer")
        return data


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    line, *fields = head.decode("latin-1").split("\r\n")
    return int(line.split()[1]), {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}


def free_port() -> int:
    """A port that was free a moment ago, for what cannot tell which one it got."""
    with socket.create_server(("127.0.0.1", 0)) as trial:
        port: int = trial.getsockname()[1]
    return port


async def metric(admin_port: int, name: str) -> float:
    """The value of a metric of the appliance."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{admin_port}/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])
