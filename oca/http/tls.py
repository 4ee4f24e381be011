"""TLS for delivery: certificates by name, tickets that all workers honour, and three ways for content to be encrypted.

    kernel   the handshake is OpenSSL's, then the kernel encrypts what `sendfile` sends (CONFIG_TLS; tls(7))
    mmap     `SSLSocket.send` of the file's mapped pages: one pass over the bytes, in user space, without a copy
    read     `SSLSocket.send` of bytes that were read: where files cannot be mapped, or after a mapped page failed

The best that works is found out at the start with a handshake against ourselves. asyncio's own TLS is not among them:
it reads files in pieces of 16 KiB through an executor and takes seven times the CPU.

The keys of session tickets are the parent's, so that a client that comes back to another worker needs no full
handshake.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from oca.errors import CertificateError
from oca.http.connection import Connection, Descriptor, Handler
from oca.http.openssl import set_ticket_keys, set_tls13_suites

BytePath: TypeAlias = Literal["kernel", "mmap", "read"]
# Named in `ssl` since Python 3.12; 3.11 passes it on to OpenSSL 3 all the same.
_OP_ENABLE_KTLS = 8
_SOL_TLS, _TLS_TX = 282, 1  # linux/tls.h
# struct tls_crypto_info: version and cipher. Any other size must be the exact one of the cipher's own struct.
_TLS_CRYPTO_INFO_BYTES = 4
# Forward secrecy and authenticated encryption only (RFC 9325 4.2). TLS 1.3 has nothing else.
_CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
# AES-128 first: as good for a film, and a quarter less work than OpenSSL's own first, AES-256. A client without AES in
# hardware asks for ChaCha20 first, and gets it.
_SUITES_1_3 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_OP_PRIORITIZE_CHACHA = 1 << 21  # openssl/ssl.h
# One call encrypts at most this, and all of it or nothing counts as sent: small enough that a slow client is seen to
# move. Larger pieces are no faster.
_PIECE_BYTES = 256 * 1024
# What fits into one TLS record (RFC 8446 5.1).
_RECORD_BYTES = 16 * 1024
_RECEIVE_BYTES = 16 * 1024
_HANDSHAKE_LIMIT_S = 5.0
# `sendfile` to a kTLS socket leaves whole records unsent in TCP until more come (MSG_SENDPAGE_NOTLAST), and poll(2)
# calls the socket writable at half of this bound: it has to hold the records that the kernel keeps, and one segment.
_KERNEL_NOTSENT_LOWAT_BYTES = 128 * 1024
# For the last of a connection. The kernel doubles the second (socket(7)) and takes at most its own limit.
_UNBOUNDED, _LAST_BUFFER_BYTES = 2**31 - 1, 208 * 1024


class Certificates(NamedTuple):
    """The context of each name that a client may ask for (SNI), and the one for all others."""

    default: ssl.SSLContext
    names: Mapping[str, ssl.SSLContext]


def load_certificates(folder: Path, ticket_keys: bytes = b"") -> Certificates:
    """Every NAME.pem (chain, own certificate first) of a folder with its NAME.key. Raises CertificateError.

    The first by name is the default. Names are those of the certificates (SAN), exact or with a leading "*.".
    """
    try:
        chains = sorted(folder.glob("*.pem"))
    except OSError as error:
        raise CertificateError(f"{folder}: {error.strerror}, expected a folder of certificates") from error
    if not chains:
        raise CertificateError(f"{folder}: found no *.pem, expected NAME.pem (the chain) and NAME.key for each name")
    names: dict[str, ssl.SSLContext] = {}
    contexts = []
    for chain in chains:
        key = chain.with_suffix(".key")
        own = _checked(chain, key)
        context = _context(chain, key)
        if ticket_keys:
            set_ticket_keys(context, ticket_keys)
        contexts.append(context)
        for name in _names(own, chain):
            names.setdefault(name.lower(), context)
    default = contexts[0]

    def choose(sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        sock.context = context_for(names, name) or default

    default.sni_callback = choose
    return Certificates(default, names)


def context_for(names: Mapping[str, ssl.SSLContext], name: str | None) -> ssl.SSLContext | None:
    """The context for a name that a client sent; a wildcard covers exactly one label (RFC 9525 6.3)."""
    if not name:
        return None
    name = name.lower().rstrip(".")
    return names.get(name) or names.get("*." + name.partition(".")[2])


def _checked(chain: Path, key: Path) -> x509.Certificate:
    """The certificate of a chain, if its key is the one beside it."""
    try:
        own = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except OSError as error:
        raise CertificateError(f"{chain}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{chain}: found no certificate in PEM form ({error})") from error
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        raise CertificateError(f"{key}: {error.strerror}, expected the private key of {chain.name}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{key}: not a private key in PEM form without a password") from error
    public: CertificateIssuerPublicKeyTypes = own.public_key()  # type: ignore[assignment]
    if private.public_key() != public:
        raise CertificateError(f"{key}: the key of another certificate than {chain.name}")
    return own


def _names(certificate: x509.Certificate, chain: Path) -> Sequence[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{chain}: its extensions cannot be read: {error}") from error
    return names.value.get_values_for_type(x509.DNSName)


def _context(chain: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_1_2)
    context.options |= (
        ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | _OP_PRIORITIZE_CHACHA | _OP_ENABLE_KTLS
    )
    set_tls13_suites(context, _SUITES_1_3)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(chain, key)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(f"{chain}: OpenSSL does not take it: {error}") from error
    return context


def find_byte_path(context: ssl.SSLContext) -> BytePath:
    """The best way to send that works here, found with a handshake over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), _HANDSHAKE_LIMIT_S)
        far, _ = listener.accept()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    near.setblocking(False)
    far.setblocking(False)
    client = trusting.wrap_socket(near, do_handshake_on_connect=False)
    server = context.wrap_socket(far, server_side=True, do_handshake_on_connect=False)
    until = monotonic() + _HANDSHAKE_LIMIT_S
    with client, server:
        waiting = {client, server}
        while waiting and monotonic() < until:
            for side in tuple(waiting):
                with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    side.do_handshake()
                    waiting.discard(side)
        return "kernel" if not waiting and is_in_kernel(server) else "mmap"


def is_in_kernel(sock: ssl.SSLSocket) -> bool:
    """Whether the kernel encrypts what is written to this socket."""
    try:
        sock.getsockopt(_SOL_TLS, _TLS_TX, _TLS_CRYPTO_INFO_BYTES)
    except OSError:
        return False
    return True


class TlsConnection(Connection):
    """A client over TLS: `byte_path` is how content goes out, "kernel" only where it does for this very socket."""

    __slots__ = ("_is_shaken", "_retried", "_tls", "byte_path")
    scheme = "https"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        client: str,
        handler: Handler,
        context: ssl.SSLContext,
        byte_path: BytePath,
    ) -> None:
        self._tls = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._is_shaken = False
        self._retried = 0  # bytes of the send that OpenSSL has begun and must be asked for again (SSL_write(3))
        self.byte_path = byte_path
        super().__init__(loop, self._tls, client, handler)

    def _start(self) -> None:
        self.reading_since = monotonic()  # a handshake has the time of a head
        self._read(True)

    def _readable(self) -> None:
        if not self._is_shaken and not self._shake():
            return
        # What OpenSSL has taken off the socket already makes no descriptor readable.
        super()._readable()
        while self.fd >= 0 and self._reading and self._tls.pending():
            super()._readable()

    def _read(self, on: bool) -> None:
        super()._read(on)
        if on and self._is_shaken and self.fd >= 0 and self._tls.pending():
            self._loop.call_soon(self._read_pending)

    def _read_pending(self) -> None:
        if self.fd >= 0 and self._reading:
            self._readable()

    def _shake(self) -> bool:
        """Goes on with the handshake; true when it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._write(False)
        except ssl.SSLWantWriteError:
            self._write(True)
        except (OSError, ValueError):  # SSLError is an OSError; a bad server name in the hello is a ValueError
            self.abort()
        else:
            self._write(False)
            self._is_shaken = True
            self.reading_since = 0.0
            self.moved_at = monotonic()
            if self.byte_path == "kernel":
                if is_in_kernel(self._tls):
                    self._tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _KERNEL_NOTSENT_LOWAT_BYTES)
                else:
                    self.byte_path = "mmap"  # a cipher that the kernel does not have
        return self._is_shaken

    def _writable(self) -> None:
        if self._is_shaken:
            super()._writable()
        else:
            self._shake()

    def _receive(self) -> bytes:
        try:
            return self._tls.recv(_RECEIVE_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def _send(self, data: bytes, *, more: bool) -> int:
        if self.byte_path == "kernel":
            return socket.socket.send(self._tls, data, socket.MSG_MORE if more else 0)
        return self._encrypt(data)

    def _encrypt(self, data: bytes | memoryview) -> int:
        try:
            return self._tls.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLError as error:  # the peer is gone, in one of OpenSSL's many ways to say so
            raise ConnectionResetError(104, str(error.reason)) from None

    def send_at_once(self, answer_head: bytes, descriptor: Descriptor, first: int, end: int) -> bool:
        """As of Connection."""
        self._hold(answer_head, descriptor, first, first, end)
        try:
            self._send_head()
            if self.position < end:
                turn = min(end, self.position + _PIECE_BYTES)
                sent = self._send_from(descriptor, self.position, turn)
                self.position += sent
                self.body_sent += sent
        except OSError:  # the socket is full, or `go_on` will find out
            pass
        if self.position < end or self._unsent:
            return False
        self._release()
        self.status = self.body_sent = 0
        return True

    def _encrypt_corked(self, content: bytes | memoryview) -> int:
        """Several records as few segments: OpenSSL writes each by itself, and each would be sent so.

        At 1 MiB over loopback this was a quarter more bytes a second (wrk, 32 connections).
        """
        self._cork(True)
        try:
            return self._encrypt(content)
        finally:
            self._cork(False)  # sends what is left over

    def _cork(self, on: bool) -> None:
        if hasattr(socket, "TCP_CORK"):
            self._tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)

    def _send_head(self) -> None:
        """Head and content in one record where they fit: two of them would be two packets."""
        if self.byte_path != "kernel" and self._descriptor is not None and len(self._head) < _RECORD_BYTES:
            end = self._retried or min(self.limit, self.position + _RECORD_BYTES - len(self._head))
            if end > self.position:
                self._retried = end
                record = self._head + bytes(self._content(self._descriptor, self.position, end))
                sent = self._encrypt(record) - len(self._head)
                self._retried = 0
                self.position += sent
                self.body_sent += sent
                self._head = b""
                self._unsent = False
                return
        super()._send_head()

    def _send_from(self, descriptor: Descriptor, first: int, end: int) -> int:
        if self.byte_path == "kernel":
            return super()._send_from(descriptor, first, end)
        end = self._retried or min(end, first + _PIECE_BYTES)
        content = self._content(descriptor, first, end)
        if not content:
            return 0
        self._retried = end
        sent = self._encrypt_corked(content) if end - first > _RECORD_BYTES else self._encrypt(content)
        self._retried = 0
        return sent

    def _content(self, descriptor: Descriptor, first: int, end: int) -> bytes | memoryview:
        if self.byte_path == "mmap":
            try:
                return descriptor.view(first, end)
            except (OSError, ValueError):  # no address space, a file system that cannot map
                self.byte_path = "read"
        return os.pread(descriptor.fd, end - first, first)

    def _say_end(self) -> None:
        """close_notify (RFC 8446 6.1), and the end of the stream after it."""
        self._make_room()
        with suppress(ssl.SSLError, OSError, ValueError):
            self._tls.unwrap()
        self._tls.shutdown(socket.SHUT_WR)

    def _make_room(self) -> None:
        """For what the kernel has encrypted, counted as sent and not been able to queue: closing would lose it."""
        if self.byte_path == "kernel" and self._is_shaken:
            self._tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNBOUNDED)
            if self._tls.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < 2 * _LAST_BUFFER_BYTES:
                self._tls.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LAST_BUFFER_BYTES)

    def close(self) -> None:
        if self.fd >= 0 and self._is_shaken and self.request is None and not self.lingers:
            with suppress(ssl.SSLError, OSError, ValueError):
                self._make_room()
                self._tls.unwrap()  # sends close_notify; the peer's own is not waited for
        super().close()
