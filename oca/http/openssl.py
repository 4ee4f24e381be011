"""What OpenSSL can do and Python's `ssl` module does not offer, by way of ctypes, where the functions are found.

Each call says whether it worked. Without them TLS works as well: sessions are resumed only in the process that began
them, and TLS 1.3 encrypts with AES-256.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from functools import cache
from typing import Any

# The size that SSL_CTRL_SET_TLSEXT_TICKET_KEYS takes: name, HMAC secret and AES key (ssl/s3_lib.c).
TICKET_KEYS_BYTES = 80
_SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59


def set_ticket_keys(context: ssl.SSLContext, keys: bytes) -> bool:
    """Has a context issue and take session tickets under these keys instead of its own."""
    pointer = _pointer(context)
    if pointer is None:
        return False
    control = _library().SSL_CTX_ctrl
    control.restype = ctypes.c_long
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    return bool(control(pointer, _SSL_CTRL_SET_TLSEXT_TICKET_KEYS, len(keys), keys))


def set_tls13_suites(context: ssl.SSLContext, suites: str) -> bool:
    """The suites of TLS 1.3 in the server's order, with colons between them (SSL_CTX_set_ciphersuites(3))."""
    pointer = _pointer(context)
    if pointer is None:
        return False
    set_suites = _library().SSL_CTX_set_ciphersuites
    set_suites.restype, set_suites.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
    return bool(set_suites(pointer, suites.encode()))


def shares_tickets() -> bool:
    """Whether processes can share the keys of session tickets here."""
    return set_ticket_keys(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), bytes(TICKET_KEYS_BYTES))


@cache
def _library() -> Any:
    """The OpenSSL that the `ssl` module uses. Raises OSError."""
    return ctypes.CDLL(getattr(_ssl, "__file__", None))


def _pointer(context: ssl.SSLContext) -> int | None:
    """The SSL_CTX of a context; None where OpenSSL cannot be reached, or this is not what we take it for."""
    try:
        get_options = _library().SSL_CTX_get_options
    except (OSError, AttributeError):  # linked statically, without its names
        return None
    get_options.restype, get_options.argtypes = ctypes.c_uint64, [ctypes.c_void_p]
    # CPython's PySSLContext begins with the object's head and then `SSL_CTX *ctx` (Modules/_ssl.c, 3.11 to 3.14).
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not pointer or get_options(pointer) != int(context.options) & 0xFFFFFFFFFFFFFFFF:
        return None
    return pointer
