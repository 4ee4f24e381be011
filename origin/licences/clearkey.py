"""ClearKey's request and licence: JSON with key IDs, and a JWK Set with keys (W3C EME, 9.1.3 and 9.1.4).

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from encoder.protection.keys import KEY_SIZE, MOST_KEYS, ContentKey
from origin.errors import LicenceError


class _Request(msgspec.Struct):
    kids: list[str]
    type: str = "temporary"


def parse_request(body: bytes) -> list[str]:
    """The key IDs that a player asks for, in hex. Raises LicenceError."""
    try:
        request = msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LicenceError(f'A licence request is JSON with key IDs in base64url, {{"kids": [...]}}: {error}') from None
    if request.type != "temporary":
        raise LicenceError(f"Licences are temporary here, not {request.type[:32]!r}.")
    if not 1 <= len(request.kids) <= MOST_KEYS:
        raise LicenceError(f"A licence request has 1 to {MOST_KEYS} key IDs, found {len(request.kids)}.")
    return list(dict.fromkeys(_key_id(text) for text in request.kids))


def licence(keys: Sequence[ContentKey]) -> bytes:
    entries = [{"kty": "oct", "kid": _text(bytes.fromhex(key.key_id)), "k": _text(key.secret)} for key in keys]
    return msgspec.json.encode({"keys": entries, "type": "temporary"})


def _key_id(text: str) -> str:
    try:
        value = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), b"-_", validate=True)
    except ValueError:
        value = b""
    if len(value) != KEY_SIZE:
        raise LicenceError(f"A key ID is {KEY_SIZE} bytes in base64url, found {text[:64]!r}.")
    return value.hex()


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
