"""Delivery over TLS: handshakes and certificates by a real appliance, byte paths by one connection at a time."""

from __future__ import annotations

import asyncio
import email
import os
import random
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oca.errors import CertificateError
from oca.http.answer import Part
from oca.http.connection import Connection, Descriptor
from oca.http.openssl import shares_tickets
from oca.http.request import Request
from oca.http.tls import BytePath, TlsConnection, context_for, load_certificates
from tests.media import make_package
from tests.oca.clients import Client, free_port, metric
from tests.oca.http.certificates import write_certificate
from tests.oca.http.senders import How, Sender, loopback
from tests.oca.running import Running
from tests.waiting import until

NAME, WILD, OTHER = "video.example", "*.cdn.example", "other.example"


class Secure:
    """A running appliance with two workers and three certificates."""

    def __init__(self, running: Running, folder: Path, certificates: Path, port: int, admin_port: int) -> None:
        self.running, self.certificates, self.port, self.admin_port = running, certificates, port, admin_port
        self.folder = folder
        self.base = f"/v1/title/{folder.name}"
        self.data = (folder / "v360.mp4").read_bytes()

    def connect(
        self, name: str | None = NAME, *, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return (context or trusting()).wrap_socket(sock, server_hostname=name, session=session)

    def client(self, name: str | None = NAME) -> Client:
        return Client(self.connect(name))

    def shown(self, name: str | None) -> str:
        """The common name of the certificate that a client gets who asks for `name`."""
        with self.connect(name) as client:
            data = client.getpeercert(binary_form=True)
        assert data is not None
        return x509.load_der_x509_certificate(data).subject.rfc4514_string().removeprefix("CN=")

    async def workers(self) -> list[int]:
        pids: list[int] = (await self.running.ask("status"))["workers"]
        return pids


def trusting(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secure]:
    directory = tmp_path_factory.mktemp("tls")
    folder = make_package(directory / "source")
    certificates = directory / "certificates"
    write_certificate(certificates, "a-default", NAME)
    write_certificate(certificates, "b-wild", WILD)
    write_certificate(certificates, "c-other", OTHER, "more.example")
    port, admin_port = free_port(), free_port()
    running = Running(
        directory / "a", "--workers", "2", "--tls-listen", f"127.0.0.1:{port}", "--certificates", str(certificates),
        "--admin", f"127.0.0.1:{admin_port}",
    )  # fmt: skip
    shutil.copytree(directory / "source", running.volume)
    await running.start()
    yield Secure(running, folder, certificates, port, admin_port)
    assert await running.end() == 0


# By a real appliance


@pytest.mark.asyncio(loop_scope="module")
class TestAppliance:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_versions_of_today_get_the_same_bytes(self, secure: Secure, version: ssl.TLSVersion) -> None:
        with Client(secure.connect(context=trusting(version))) as client:
            for _ in range(2):  # what has to be looked up, and what is known
                answer = client.ask(f"{secure.base}/v360.mp4")
                assert (answer.status, answer.body == secure.data) == (200, True)

    async def test_tls_1_1_is_refused(self, secure: Secure) -> None:
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context = trusting(ssl.TLSVersion.TLSv1_1)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            secure.connect(context=context)

    async def test_a_cipher_without_forward_secrecy_is_refused(self, secure: Secure) -> None:
        context = trusting(ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            secure.connect(context=context)

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            (NAME, "a-default"),
            ("VIDEO.example", "a-default"),
            ("x1.cdn.example", "b-wild"),
            (OTHER, "c-other"),
            ("more.example", "c-other"),
            ("unknown.example", "a-default"),
            ("a.b.cdn.example", "a-default"),
            ("cdn.example", "a-default"),
            (None, "a-default"),
        ],
    )
    async def test_the_name_that_a_client_asks_for_picks_the_certificate(
        self, secure: Secure, name: str | None, shown: str
    ) -> None:
        assert secure.shown(name) == shown

    async def test_a_client_that_checks_names_is_content(self, secure: Secure) -> None:
        context = ssl.create_default_context(cafile=str(secure.certificates / "b-wild.pem"))
        with Client(secure.connect("x1.cdn.example", context=context)) as client:
            assert client.ask(f"{secure.base}/v360.m3u8").status == 200

    @pytest.mark.parametrize("protocols", [["http/1.1"], ["h2", "http/1.1"], ["h2"], []])
    async def test_http_1_1_is_what_is_agreed_on_if_anything_is(self, secure: Secure, protocols: list[str]) -> None:
        context = trusting()
        if protocols:
            context.set_alpn_protocols(protocols)
        with secure.connect(context=context) as client:
            assert client.selected_alpn_protocol() == ("http/1.1" if "http/1.1" in protocols else None)

    @pytest.mark.skipif(not shares_tickets(), reason="OpenSSL's function for ticket keys cannot be reached")
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_a_session_is_resumed_by_another_worker(self, secure: Secure, version: ssl.TLSVersion) -> None:
        pids = await secure.workers()
        context = trusting(version)
        with Client(secure.connect(context=context)) as first:
            assert first.ask(f"{secure.base}/v360.m3u8").status == 200  # tickets of 1.3 come with what is read
            assert isinstance(first.sock, ssl.SSLSocket)
            session, issuer = first.sock.session, worker_of(first.sock, pids)
        for _ in range(100):
            with Client(secure.connect(context=context, session=session)) as again:
                assert again.ask(f"{secure.base}/v360.m3u8").status == 200
                assert isinstance(again.sock, ssl.SSLSocket) and again.sock.session_reused
                if worker_of(again.sock, pids) != issuer:
                    return
        pytest.fail("all connections came to the same worker")

    async def test_ranges_and_several_of_them(self, secure: Secure) -> None:
        with secure.client() as client:
            one = client.ask(f"{secure.base}/v360.mp4", "Range: bytes=5000000-5000009")
            assert (one.status, one.body) == (206, secure.data[5000000:5000010])
            spans = [(0, 0), (4194000, 4494303), (12000000, 12000004)]
            asked = ",".join(f"{first}-{last}" for first, last in spans)
            several = client.ask(f"{secure.base}/v360.mp4", f"Range: bytes={asked}")
            assert several.status == 206
            message = email.message_from_bytes(
                f"Content-Type: {several.headers['content-type']}\r\n\r\n".encode() + several.body
            )
            parts = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]
            assert parts == [secure.data[first : last + 1] for first, last in spans]
            assert client.ask(f"{secure.base}/v360.m3u8").status == 200

    async def test_pipelined_requests_in_one_record_are_answered_in_order(self, secure: Secure) -> None:
        with secure.client() as client:
            for number in (3, 1, 2):
                client.send(f"{secure.base}/v360/{number}.m4s")
            client.sock.sendall(
                b"".join(f"GET {secure.base}/v360/{n}.m4s HTTP/1.1\r\nHost: a\r\n\r\n".encode() for n in (2, 1))
            )
            bodies = [client.receive().body for _ in range(5)]
        assert bodies[0] != bodies[1] and bodies[1] == bodies[4] and bodies[2] == bodies[3]

    async def test_more_pipelined_requests_than_are_queued_are_all_answered(self, secure: Secure) -> None:
        with secure.client() as client:
            client.sock.sendall(f"GET {secure.base}/v360.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 200)
            assert [client.receive().status for _ in range(200)] == [200] * 200

    async def test_a_slow_reader_gets_every_byte(self, secure: Secure) -> None:
        with secure.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
            assert client.ask(f"{secure.base}/v360.mp4", size=3000).body == secure.data

    async def test_a_refusal_reaches_the_client_and_ends_in_order(self, secure: Secure) -> None:
        with secure.client() as client:
            client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 30000)
            assert client.receive().status == 400
            assert client.is_ended()

    async def test_connection_close_ends_with_close_notify(self, secure: Secure) -> None:
        sock = socket.create_connection(("127.0.0.1", secure.port), timeout=10)
        with trusting().wrap_socket(sock, server_hostname=NAME, suppress_ragged_eofs=False) as tls:
            client = Client(tls)
            assert client.ask(f"{secure.base}/v360.m3u8", "Connection: close").status == 200
            assert tls.recv(1) == b""  # an end without close_notify would raise SSLEOFError

    @pytest.mark.parametrize(
        "garbage",
        [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\0" * 1000,
            b"\x16\x03\x01\xff\xff" + b"x" * 100,
            b"\x16\x03\x01\x00\x05hello",
        ],
    )
    async def test_garbage_instead_of_a_handshake_ends_that_connection_only(
        self, secure: Secure, garbage: bytes
    ) -> None:
        before = await secure.workers()
        with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as client:
            client.sendall(garbage)
            with suppress(OSError):  # reset, or closed with an alert
                client.shutdown(socket.SHUT_WR)
                assert len(client.recv(4096)) < 200  # an alert at most
        assert secure.shown(NAME) == "a-default"
        assert await secure.workers() == before

    async def test_clients_that_leave_in_a_handshake_harm_nobody(self, secure: Secure) -> None:
        before = await secure.workers()
        reset = b"\x01\0\0\0\0\0\0\0"
        for bytes_sent in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as client:
                    client.sendall(bytes_sent)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert secure.shown(NAME) == "a-default"
        assert await secure.workers() == before

    async def test_files_that_are_cut_short_on_disk_end_a_worker_once_at_most(self, secure: Secure) -> None:
        """A mapped page that is not there kills; whoever starts again reads files instead."""
        stored = secure.running.volume / "title" / secure.folder.name
        names = ("poster.jpg", "v360.mp4", "v360.m3u8")
        for name in names * 8:  # all workers know them
            with secure.client() as client:
                assert client.ask(f"{secure.base}/{name}").status == 200
        before = await metric(secure.admin_port, "nearcast_oca_worker_restarts_total")
        for name in names:
            os.truncate(stored / name, 0)
            for _ in range(8):
                with secure.client() as client, suppress(EOFError, OSError):
                    assert client.ask(f"{secure.base}/{name}").status >= 400
            await until(lambda: secure.shown(NAME) == "a-default")
        assert await metric(secure.admin_port, "nearcast_oca_worker_restarts_total") <= before + 2

    async def test_sighup_takes_new_certificates_and_keeps_the_old_ones_if_they_are_wrong(self, secure: Secure) -> None:
        key, good = secure.certificates / "a-default.key", (secure.certificates / "a-default.key").read_bytes()
        key.write_bytes(b"nonsense")

        async def reload_is(value: float) -> bool:
            return await metric(secure.admin_port, "nearcast_oca_config_last_reload_successful") == value

        secure.running.process.send_signal(signal.SIGHUP)
        await until(lambda: reload_is(0))
        assert secure.shown(NAME) == "a-default"
        key.write_bytes(good)
        write_certificate(secure.certificates, "d-new", "new.example")
        before = await secure.workers()
        secure.running.process.send_signal(signal.SIGHUP)
        await until(lambda: reload_is(1))
        assert secure.shown("new.example") == "d-new"
        assert not set(before) & set(await secure.workers())


def worker_of(client: socket.socket, pids: list[int]) -> int:
    """Which process holds the other end of a connection."""
    near, far = (f"{port:04X}" for port in (client.getsockname()[1], client.getpeername()[1]))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
        if (local.rpartition(":")[2], remote.rpartition(":")[2]) == (far, near):
            for pid in pids:
                if any(str(fd.readlink()) == f"socket:[{inode}]" for fd in Path(f"/proc/{pid}/fd").iterdir()):
                    return pid
    raise AssertionError("no worker holds the connection")


# By one connection

SIZE = 3_000_001


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Descriptor, bytes]]:
    path = tmp_path_factory.mktemp("content") / "file"
    data = random.Random(2).randbytes(SIZE)
    path.write_bytes(data)
    descriptor = Descriptor(path)
    yield descriptor, data
    descriptor.retire()
    assert descriptor.fd == -1, "an answer did not let go of its file"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("certificates")
    write_certificate(folder, "a", NAME)
    return load_certificates(folder).default


def pair(context: ssl.SSLContext, handler: Sender, byte_path: BytePath) -> tuple[TlsConnection, socket.socket]:
    """A connection under test, and the socket of its client."""
    near, far = loopback()
    return TlsConnection(asyncio.get_running_loop(), far, "127.0.0.1", handler, context, byte_path), near


@pytest.mark.parametrize("byte_path", ["mmap", "read"])
@pytest.mark.parametrize("how", ["whole", "at once", "growing"])
@pytest.mark.parametrize("reads", [1000, 65536])
async def test_every_way_to_send_gives_the_bytes_of_the_file(
    context: ssl.SSLContext, content: tuple[Descriptor, bytes], byte_path: BytePath, how: How, reads: int
) -> None:
    descriptor, data = content
    handler = Sender(descriptor, SIZE, how)
    connection, near = pair(context, handler, byte_path)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)

    def fetch() -> list[bytes]:
        with Client(trusting().wrap_socket(near)) as client:
            return [client.ask("/", size=reads).body for _ in range(2)]

    bodies = await asyncio.to_thread(fetch)
    assert [body == data for body in bodies] == [True, True]
    assert not handler.trouble
    await until(lambda: connection.fd < 0)


@pytest.mark.parametrize("byte_path", ["mmap", "read"])
async def test_lengths_around_those_of_records_and_pieces_are_sent_whole(
    context: ssl.SSLContext, content: tuple[Descriptor, bytes], byte_path: BytePath
) -> None:
    descriptor, data = content
    handler = Sender(descriptor, SIZE)
    connection, near = pair(context, handler, byte_path)
    lengths = [
        0,
        1,
        16383,
        16384,
        16385,
        *range(16300, 16360),
        256 * 1024,
        256 * 1024 + 1,
        272 * 1024,
        2 * 1024 * 1024 + 1,
    ]

    def fetch() -> Iterator[tuple[int, bytes]]:
        with Client(trusting().wrap_socket(near)) as client:
            for length in lengths:
                handler.first, handler.end = 17, 17 + length
                yield length, client.ask("/").body

    answers = await asyncio.to_thread(lambda: list(fetch()))
    assert all(body == data[17 : 17 + length] for length, body in answers)
    await until(lambda: connection.fd < 0)


@given(st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 400_000)), min_size=2, max_size=8), st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_ranges_are_their_parts_one_after_another(
    context: ssl.SSLContext, content: tuple[Descriptor, bytes], spans: list[tuple[int, int]], is_mapped: bool
) -> None:
    descriptor, data = content
    parts = [Part(b"--x%d\r\n" % n, first, min(SIZE, first + length)) for n, (first, length) in enumerate(spans)]
    parts.append(Part(b"--x--", SIZE, SIZE))
    expected = b"".join(part.head + data[part.first : part.end] for part in parts)

    class Several(Sender):
        def respond(self, connection: Connection, request: Request) -> None:
            head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % len(expected)
            connection.send_parts(206, head, self.descriptor, parts)

    async def run() -> bytes:
        connection, near = pair(context, Several(descriptor, SIZE), "mmap" if is_mapped else "read")
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)

        def fetch() -> bytes:
            with Client(trusting().wrap_socket(near)) as client:
                return client.ask("/").body

        body = await asyncio.to_thread(fetch)
        await until(lambda: connection.fd < 0)
        return body

    assert asyncio.run(run()) == expected


async def test_a_client_that_leaves_in_the_middle_of_an_answer_ends_it(
    context: ssl.SSLContext, content: tuple[Descriptor, bytes]
) -> None:
    handler = Sender(content[0], SIZE)
    connection, near = pair(context, handler, "mmap")

    def leave() -> None:
        with trusting().wrap_socket(near) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.recv(1000)

    await asyncio.to_thread(leave)
    await until(lambda: connection.fd < 0)
    assert (handler.wholes, handler.trouble) == ([False], "")


async def test_a_handshake_has_the_time_of_a_head(context: ssl.SSLContext, content: tuple[Descriptor, bytes]) -> None:
    connection, near = pair(context, Sender(content[0], SIZE), "mmap")
    with near:
        near.sendall(b"\x16\x03\x01")
        assert connection.request is None and connection.reading_since > 0
        connection.abort()


# Certificates


def test_names_are_those_of_the_certificates_and_a_wildcard_covers_one_label(tmp_path: Path) -> None:
    write_certificate(tmp_path, "b", WILD)
    write_certificate(tmp_path, "a", "A.example", "b.example")
    certificates = load_certificates(tmp_path)
    first, second = certificates.names["a.example"], certificates.names[WILD]
    assert certificates.default is first is not second
    asked = ["a.example", "A.EXAMPLE.", "b.example", "x.cdn.example", "y.x.cdn.example", "cdn.example", "", None]
    found = [context_for(certificates.names, name) for name in asked]
    assert found == [first, first, first, second, None, None, None, None]


def test_a_certificate_without_names_is_only_the_default(tmp_path: Path) -> None:
    write_certificate(tmp_path, "a")
    assert not load_certificates(tmp_path).names


def test_what_is_wrong_with_certificates_is_a_sentence_that_names_the_file(tmp_path: Path) -> None:
    def complaint() -> str:
        with pytest.raises(CertificateError) as caught:
            load_certificates(tmp_path / "c")
        return str(caught.value)

    folder = tmp_path / "c"
    assert "c: found no *.pem, expected" in complaint()
    write_certificate(folder, "a", NAME)
    chain, key = folder / "a.pem", folder / "a.key"
    right = chain.read_bytes(), key.read_bytes()
    key.unlink()
    assert "a.key: No such file" in complaint()
    key.write_bytes(b"nonsense")
    assert "a.key: not a private key" in complaint()
    key.write_bytes(right[0])
    assert "a.key: not a private key" in complaint()
    chain.write_bytes(b"nonsense")
    assert "a.pem: found no certificate" in complaint()
    chain.write_bytes(b"")
    assert "a.pem: found no certificate" in complaint()
    chain.write_bytes(right[0][:-40])
    assert "a.pem: " in complaint()
    chain.write_bytes(right[0])
    write_certificate(tmp_path / "other", "a", NAME)
    shutil.copy(tmp_path / "other" / "a.key", key)
    assert "a.key: the key of another certificate than a.pem" in complaint()
    chain.unlink()
    chain.mkdir()
    assert "a.pem: Is a directory" in complaint()


def test_no_complaint_about_a_certificate_shows_the_key(tmp_path: Path) -> None:
    write_certificate(tmp_path, "a", NAME)
    lines = (tmp_path / "a.key").read_text().splitlines()
    (tmp_path / "a.key").write_text("\n".join(lines[:2]))
    with pytest.raises(CertificateError) as caught:
        load_certificates(tmp_path)
    assert lines[1] not in str(caught.value)
