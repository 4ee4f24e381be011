"""The two ends of a TLS connection: a stored file behind `TlsConnection`, and a client that reads every byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from random import Random

from encoder.package import Extent, StoredFile
from oca.http.answer import decide, head
from oca.http.connection import Connection, Descriptor
from oca.http.request import Request
from oca.http.tls import BytePath, TlsConnection

HOST = "localhost"
# Larger than the buffers of both ends together, and no multiple of a TLS record.
SIZE_BYTES = 8 * 1024 * 1024 + 12345
# Nothing takes as long, even where every instruction is emulated.
LIMIT_S = 20.0


class Server:
    """Answers every path with `data`; what a worker and its parent would add is left out."""

    date = b"\r\n"

    def __init__(self, folder: Path, context: ssl.SSLContext, byte_path: BytePath) -> None:
        self.data = Random(1).randbytes(SIZE_BYTES)
        self.path = folder / "v360.mp4"
        self.path.write_bytes(self.data)
        self.connections: list[TlsConnection] = []
        self.complaints: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._context, self._byte_path = context, byte_path
        self._descriptor = Descriptor(self.path)
        self._extent = Extent(StoredFile("v360.mp4", SIZE_BYTES, "0" * 64, ()), 0, SIZE_BYTES, "video/mp4")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in self.connections:
            connection.abort()
        self._descriptor.retire()

    def _accept(self) -> None:
        sock, address = self._listener.accept()
        sock.setblocking(False)
        self.connections.append(TlsConnection(self._loop, sock, address[0], self, self._context, self._byte_path))

    # What a connection asks of it (oca.http.connection.Handler)

    def usual(self, connection: Connection, data: bytes) -> bool:
        return False

    def respond(self, connection: Connection, request: Request) -> None:
        if request.complaint:
            connection.complain(*request.complaint)
            return
        decision = decide(request.method, request.headers, self._extent)
        closing = (("Connection", "close"),) if connection.is_last else ()
        answer = head(decision.status, (*decision.headers, *closing))[:-2] + self.date
        if decision.parts:
            connection.send_parts(decision.status, answer, self._descriptor, decision.parts)
        else:
            connection.send_file(decision.status, answer, self._descriptor, decision.first, decision.end, decision.end)

    def answered(self, connection: Connection, *, whole: bool) -> None:
        pass

    def unreadable(self, connection: Connection, why: str) -> None:
        self.complaints.append(why)

    def closed(self, connection: Connection) -> None:
        pass


class Client:
    """Blocking: it is used in a thread. An end of stream without close_notify is an ssl.SSLEOFError."""

    def __init__(
        self,
        context: ssl.SSLContext,
        port: int,
        *,
        session: ssl.SSLSession | None = None,
        window: int = 0,
        segment: int = 0,
    ) -> None:
        """`window` bounds what is received unread, `segment` what the server may send in one packet; 0: as usual."""
        sock = socket.socket()
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        if segment:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        sock.settimeout(LIMIT_S)
        sock.connect(("127.0.0.1", port))
        self.tls = context.wrap_socket(sock, server_hostname=HOST, session=session, suppress_ragged_eofs=False)

    def ask(self, *fields: str, method: str = "GET") -> None:
        self.tls.sendall("\r\n".join((f"{method} / HTTP/1.1", f"Host: {HOST}", *fields, "", "")).encode())

    def answer(self, *, has_content: bool = True) -> tuple[int, bytes]:
        """Status and content of the next answer."""
        status, length = self.answer_head()
        return status, self.read(length if has_content else 0)

    def answer_head(self) -> tuple[int, int]:
        """Status and length of content."""
        top = bytearray()
        while not top.endswith(b"\r\n\r\n"):
            top += self.read(1)
        status, *lines = bytes(top[:-4]).decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), int(fields["content-length"])

    def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.tls.recv(min(65536, size - len(data)))
            assert piece, f"the stream ended after {len(data)} of {size} bytes"
            data += piece
        return bytes(data)

    def ended(self) -> bool:
        """Whether nothing more follows. Raises ssl.SSLEOFError where no close_notify said so."""
        return self.tls.recv(1) == b""

    def close(self) -> None:
        self.tls.close()
