from __future__ import annotations

import base64
import hashlib
import hmac
import json

from bench.delivery.tokens import key_set, make_token

SECRET = b"0123456789abcdef0123456789abcdef"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_token_is_a_cwt_in_a_mac0_with_the_tag_of_rfc_9052() -> None:
    message = decoded(make_token(SECRET, 1_800_000_000))
    protected, payload = bytes.fromhex("a10105"), bytes.fromhex("a1041a6b49d200")
    authenticated = bytes.fromhex("84644d41433043a101054047") + payload
    tag = hmac.digest(SECRET, authenticated, hashlib.sha256)
    unprotected = bytes.fromhex("a1044562656e6368")
    assert message == (
        bytes.fromhex("d83dd1844 3".replace(" ", "")) + protected + unprotected + b"\x47" + payload + b"\x58\x20" + tag
    )


def test_the_key_set_holds_the_key() -> None:
    (key,) = json.loads(key_set(SECRET))["keys"]
    assert (key["kty"], key["kid"], key["alg"]) == ("oct", "bench", "HS256")
    assert decoded(key["k"]) == SECRET
