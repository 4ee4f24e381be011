"""Bytes that only the holder of a private key can have written: a small JSON envelope with an Ed25519 signature.

    {"purpose": "plan", "key": "3f2a...", "signature": "...", "payload": "..."}     (base64)

What is signed is the purpose and the payload together, so nothing signed for one purpose passes for another. `key` is
the beginning of the public key's SHA-256; it only saves trying the others. Without a private key the envelope carries
no signature, which a reader without public keys accepts, and one with keys refuses.

Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fill.errors import ForgedError


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    purpose: str
    payload: bytes
    key: str = ""
    signature: bytes = b""


def sign(payload: bytes, key: Ed25519PrivateKey | None, purpose: str) -> bytes:
    """The payload in an envelope, signed unless `key` is None."""
    if key is None:
        return msgspec.json.encode(Envelope(purpose=purpose, payload=payload))
    signature = key.sign(_signed(payload, purpose))
    return msgspec.json.encode(
        Envelope(purpose=purpose, payload=payload, key=key_id(key.public_key()), signature=signature)
    )


def verify(envelope: bytes, keys: Sequence[Ed25519PublicKey], purpose: str) -> bytes:
    """The payload, if one of `keys` signed it for this purpose, or if there are no keys. Raises ForgedError."""
    try:
        found = msgspec.json.decode(envelope, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ForgedError(f"not a signed {purpose}: {error}") from error
    if found.purpose != purpose:
        raise ForgedError(f"signed as a {found.purpose!r}, expected a {purpose}")
    if not keys:
        return found.payload
    if not found.signature:
        raise ForgedError(f"the {purpose} is not signed, and only signed ones are accepted here")
    candidates = [key for key in keys if key_id(key) == found.key]
    if not candidates:
        raise ForgedError(f"the {purpose} is signed with key {found.key!r}, which is not among those accepted here")
    for key in candidates:
        try:
            key.verify(found.signature, _signed(found.payload, purpose))
        except InvalidSignature:
            continue
        return found.payload
    raise ForgedError(f"the {purpose}'s signature is not that of key {found.key!r}: it was changed on its way")


def key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _signed(payload: bytes, purpose: str) -> bytes:
    return b"nearcast " + purpose.encode() + b"\0" + payload
