"""Our side's token: a key set with one key, and one Common Access Token made with it.

Pure: the key and the time of expiry are arguments.
"""

from __future__ import annotations

import json

from oca.tokens import base64url
from oca.tokens.envelope import seal
from oca.tokens.keys import parse_keys

KEY_ID = "bench"
_EXPIRY = 4  # the claim exp, RFC 8392 table 1


def key_set(secret: bytes) -> str:
    """A JWK Set (RFC 7517) with the one key."""
    key = {"kty": "oct", "kid": KEY_ID, "alg": "HS256", "k": base64url.encode(secret)}
    return json.dumps({"keys": [key]})


def make_token(secret: bytes, expires: int) -> str:
    """A token for everything until `expires`, in seconds since the epoch."""
    (key,) = parse_keys(key_set(secret).encode(), "the benchmark")
    return seal({_EXPIRY: expires}, key)
