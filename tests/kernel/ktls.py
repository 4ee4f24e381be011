"""TLS in the kernel: what it sends is what was stored, for each version and cipher, whatever the client does.

Named so that `make test` does not collect it: it needs a kernel with the module `tls` loaded.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from bench.delivery.certificate import make_certificate
from oca.http.openssl import TICKET_KEYS_BYTES
from oca.http.tls import Certificates, find_byte_path, load_certificates
from tests.kernel.ends import SIZE_BYTES, Client, Server
from tests.media import make_package
from tests.oca import running as running_appliance
from tests.oca.running import Running
from tests.waiting import until

_COUNTERS = Path("/proc/net/tls_stat")  # linux/Documentation/networking/tls.rst
_RECORD_BYTES = 16 * 1024
_LOOPBACK_SEGMENT, _ETHERNET_SEGMENT = 0, 1448
_SMALL_WINDOW = 4096
# An appliance takes 15 s to start where every instruction is emulated.
_EMULATED_START_LIMIT_S = 120.0


class Kind(NamedTuple):
    """A version of TLS, and the cipher that the client insists on; none in 1.3, where Python cannot choose."""

    version: ssl.TLSVersion
    cipher: str = ""

    def __str__(self) -> str:
        return f"{self.version.name} {self.cipher}".strip()


_KINDS = (
    Kind(ssl.TLSVersion.TLSv1_3),
    Kind(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    Kind(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    Kind(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"),
)
_VERSIONS = _KINDS[:2]


class Served(NamedTuple):
    server: Server
    kind: Kind
    trusted: Path
    sendfile_calls: list[int]
    clients: list[Client]

    @property
    def data(self) -> bytes:
        return self.server.data

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.trusted))
        context.minimum_version = context.maximum_version = self.kind.version
        if self.kind.cipher:
            context.set_ciphers(self.kind.cipher)
        return context

    async def client(self, context: ssl.SSLContext | None = None, **options: Any) -> Client:
        client = await asyncio.to_thread(Client, context or self.context(), self.server.port, **options)
        self.clients.append(client)
        return client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificates").folder


@pytest.fixture(scope="module")
def certificates(folder: Path) -> Certificates:
    return load_certificates(folder, os.urandom(TICKET_KEYS_BYTES))


@pytest.fixture(params=_VERSIONS, ids=str)
async def served(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    folder: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Served]:
    calls: list[int] = []
    sendfile = os.sendfile

    def counted(*arguments: int) -> int:
        calls.append(sendfile(*arguments))
        return calls[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    server = Server(tmp_path, certificates.default, "kernel")
    served = Served(server, request.param, folder / "bench.pem", calls, [])
    yield served
    for client in served.clients:
        client.close()
    server.close()
    assert not server.complaints


async def test_the_best_way_to_send_is_found_to_be_the_kernel(certificates: Certificates) -> None:
    assert find_byte_path(certificates.default) == "kernel"


@pytest.mark.parametrize("served", _KINDS, ids=str, indirect=True)
@pytest.mark.parametrize("segment", [_LOOPBACK_SEGMENT, _ETHERNET_SEGMENT])
async def test_a_file_is_encrypted_by_the_kernel_from_the_page_cache(served: Served, segment: int) -> None:
    before = _counter("TlsTxSw")
    client = await served.client(segment=segment)
    client.ask()
    status, content = await asyncio.to_thread(client.answer)
    assert (status, content == served.data) == (200, True)
    assert [connection.byte_path for connection in served.server.connections] == ["kernel"]
    assert sum(served.sendfile_calls) == SIZE_BYTES
    assert _counter("TlsTxSw") == before + 1


async def test_ranges_of_one_connection_are_the_bytes_asked_for(served: Served) -> None:
    client = await served.client()
    for first, end in ((0, 1), (_RECORD_BYTES - 1, _RECORD_BYTES + 1), (5_000_000, 5_100_000), (1, SIZE_BYTES)):
        client.ask(f"Range: bytes={first}-{end - 1}")
        status, content = await asyncio.to_thread(client.answer)
        assert (status, content == served.data[first:end]) == (206, True)
    client.ask("Range: bytes=10-19,5000000-5999999")
    status, content = await asyncio.to_thread(client.answer)
    assert status == 206 and served.data[10:20] in content and served.data[5_000_000:6_000_000] in content
    client.ask(f"Range: bytes={SIZE_BYTES}-")
    assert await asyncio.to_thread(client.answer) == (416, b"")
    client.ask(method="HEAD")
    assert await asyncio.to_thread(client.answer, has_content=False) == (200, b"")


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    client = await served.client()
    for first in range(12):  # each in a record of its own
        client.ask(f"Range: bytes={first}-{first + 100_000}")
    for first in range(12):
        status, content = await asyncio.to_thread(client.answer)
        assert (status, content == served.data[first : first + 100_001]) == (206, True)


async def test_a_client_that_reads_late_gets_every_byte(served: Served) -> None:
    client = await served.client(window=_SMALL_WINDOW)
    client.ask()
    status, length = await asyncio.to_thread(client.answer_head)
    assert (status, length) == (200, SIZE_BYTES)
    # The first of what is sent is waiting to be read; the socket is full, and sendfile has said so.
    assert sum(served.sendfile_calls) < SIZE_BYTES
    assert await asyncio.to_thread(client.read, length) == served.data
    client.ask("Range: bytes=0-9")
    assert await asyncio.to_thread(client.answer) == (206, served.data[:10])


@pytest.mark.parametrize("size", [*range(_RECORD_BYTES, 20 * _RECORD_BYTES, 29999), SIZE_BYTES])
async def test_the_last_answer_is_whole_for_a_client_that_reads_late(served: Served, size: int) -> None:
    """The kernel keeps what is encrypted and does not fit into the socket; closing the socket would lose it."""
    client = await served.client(window=_SMALL_WINDOW, segment=_ETHERNET_SEGMENT)
    connection = served.server.connections[0]
    client.ask(f"Range: bytes=0-{size - 1}", "Connection: close")
    await until(lambda: connection.fd < 0 or connection.request is not None)
    _, content = await asyncio.to_thread(client.answer)
    assert content == served.data[:size]
    assert await asyncio.to_thread(client.ended)


async def test_a_client_that_leaves_in_the_middle_is_let_go(served: Served) -> None:
    client = await served.client(window=_SMALL_WINDOW)
    client.ask()
    await asyncio.to_thread(client.answer_head)
    client.close()
    await until(lambda: served.server.connections[0].fd < 0)


async def test_an_answer_that_is_cut_does_not_look_ended(served: Served) -> None:
    client = await served.client(window=_SMALL_WINDOW)
    client.ask()
    await asyncio.to_thread(client.answer_head)
    served.server.connections[0].abort()
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        await asyncio.to_thread(client.read, SIZE_BYTES)


async def test_a_session_is_taken_up_again_and_encrypted_by_the_kernel(served: Served) -> None:
    context = served.context()
    first = await served.client(context)
    first.ask("Range: bytes=0-9")
    await asyncio.to_thread(first.answer)
    session = first.tls.session
    first.close()
    again = await served.client(context, session=session)
    again.ask()
    _, content = await asyncio.to_thread(again.answer)
    assert again.tls.session_reused and content == served.data
    assert served.server.connections[-1].byte_path == "kernel"


async def test_what_cannot_be_read_is_told_after_a_whole_answer_and_the_end_is_said(served: Served) -> None:
    client = await served.client(window=_SMALL_WINDOW)
    client.tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99999\r\n\r\n" + b"nonsense\r\n\r\n")
    assert await asyncio.to_thread(client.answer) == (206, served.data[:100_000])
    status, _ = await asyncio.to_thread(client.answer)
    assert status == 400
    assert await asyncio.to_thread(client.ended)


async def test_a_whole_appliance_serves_its_package_through_the_kernel(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_appliance, "START_LIMIT_S", _EMULATED_START_LIMIT_S)
    port, admin = _free_port(), _free_port()
    package = make_package(tmp_path / "a" / "volume")
    options = ("--certificates", str(folder), "--tls-listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}")
    running = Running(tmp_path / "a", *options)
    await running.start()
    try:
        before = _counter("TlsTxSw")
        trusting = ssl.create_default_context(cafile=str(folder / "bench.pem"))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
            for path in ("v360.mp4", "v360.m3u8", "poster.jpg", "package.json"):
                async with session.get(f"https://localhost:{port}/v1/title/{package.name}/{path}") as answer:
                    assert (answer.status, await answer.read()) == (200, (package / path).read_bytes())
            async with session.get(f"http://127.0.0.1:{admin}/metrics") as answer:
                assert 'nearcast_oca_tls_path{path="kernel"} 1.0' in await answer.text()
        assert _counter("TlsTxSw") > before
    finally:
        assert await running.end() == 0


def _free_port() -> int:
    """For what another process listens on and does not tell: free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as trial:
        return int(trial.getsockname()[1])


def _counter(name: str) -> int:
    values = dict(line.split() for line in _COUNTERS.read_text().splitlines())
    return int(values[name])
