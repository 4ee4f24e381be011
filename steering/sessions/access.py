"""Access tokens of sessions: for the files of one package, until a viewer can have watched it twice (CTA-5007).

    /t/{token}/v1/{title}/{package}/...        a session's pathways; relative URIs in playlists keep the token

A token says until when (`exp`), for which path (`catu`: it starts as the package's does), and whose it is (`cti`: the
session's name), so that one that is passed around leads to the session it was made for. Every appliance verifies it
offline with the same keys, so one token is good on all of them, and goes on being good while steering is away. It is
not renewed: a player keeps the URIs of its manifest for as long as it plays, so the token has to last as long, which is
`token_life` or twice the film, whichever is longer: half of it may be pauses.

All of a token but three of its claims is the same for every session, so the CBOR around them is made once: 3 us with
HMAC, where encoding it anew takes 8. With ES256 it is 25 us, nearly all of it the signature: a worker then starts a
third fewer sessions.

Pure.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from functools import lru_cache

import cbor2

from oca.tokens.envelope import seal
from oca.tokens.keys import Key

_ISS, _AUD, _EXP, _CTI, _CATU = 1, 3, 4, 7, 312
_PATH, _PREFIX = 3, 1  # CTA-5007: a part of the URI, and how it must match
_FILM_TIMES = 2
_UINT32 = struct.Struct(">I")
_LATEST = 2**32 - 1  # the year 2106
_BYTES, _TEXT = 0x40, 0x60  # major types of CBOR (RFC 8949 section 3.1)


class Access:
    """Makes the tokens of sessions with one key. `life_s` is how long one lasts at least."""

    def __init__(self, key: Key, life_s: float, issuer: str = "", audience: str = "") -> None:
        self._key = key
        self._life_s = life_s
        self._shared: dict[int, object] = {}
        if issuer:
            self._shared[_ISS] = issuer
        if audience:
            self._shared[_AUD] = audience
        # A map's head holds how many pairs it has, below 24 in the byte itself; three more follow: exp, catu, cti.
        pairs = b"".join(cbor2.dumps(label) + cbor2.dumps(value) for label, value in self._shared.items())
        self._payload = bytes([0xA0 + len(self._shared) + 3]) + pairs + cbor2.dumps(_EXP) + b"\x1a"
        self._path = cbor2.dumps(_CATU) + b"\xa1" + cbor2.dumps(_PATH) + b"\xa1" + cbor2.dumps(_PREFIX)
        protected = cbor2.dumps(cbor2.dumps({1: key.algorithm}))
        # RFC 9052 section 6.3: [context, protected, external_aad, payload], and the message 61(17([..., tag])).
        self._to_sign = b"\x84" + cbor2.dumps("MAC0") + protected + b"\x40"
        self._message = b"\xd8\x3d\xd1\x84" + protected + cbor2.dumps({4: key.kid})

    def expiry(self, now: float, duration_s: float) -> int:
        """When a token that is made now for a film of this duration ends, in seconds since the epoch."""
        return int(min(now + max(self._life_s, _FILM_TIMES * duration_s), _LATEST))

    def token(self, folder: str, session: str, expiry: int) -> str:
        """For whatever is below `folder`, a path that ends in "/"."""
        if not self._key.is_mac:
            return seal(self.claims(folder, session, expiry), self._key)
        path, name = folder.encode(), session.encode()
        claims = (self._payload, _UINT32.pack(expiry), self._path, _head(_TEXT, len(path)), path)
        payload = b"".join((*claims, b"\x07", _head(_BYTES, len(name)), name))
        payload = _head(_BYTES, len(payload)) + payload
        tag = self._key.sign(self._to_sign + payload)
        message = b"".join((self._message, payload, _head(_BYTES, len(tag)), tag))
        return base64.urlsafe_b64encode(message).rstrip(b"=").decode("ascii")

    def claims(self, folder: str, session: str, expiry: int) -> Mapping[int, object]:
        """What the token says."""
        return {**self._shared, _EXP: expiry, _CATU: {_PATH: {_PREFIX: folder}}, _CTI: session.encode()}


@lru_cache(1024)
def _head(major: int, length: int) -> bytes:
    """Of a string of CBOR, shorter than 64 KiB."""
    if length < 24:
        return bytes((major + length,))
    if length < 256:
        return bytes((major + 24, length))
    return bytes((major + 25, length >> 8, length & 0xFF))
