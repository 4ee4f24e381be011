from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.protection.keys import ContentKey
from origin.errors import LicenceError
from origin.licences.clearkey import licence, parse_request

KEY = ContentKey("a7e61c373e214902b1bf7a4f2e3d1d00", bytes(range(16)))


def kid(key_id: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(key_id)).rstrip(b"=").decode()


def asked(*kids: str, **more: object) -> bytes:
    return json.dumps({"kids": list(kids), **more}).encode()


def test_key_ids_are_read_and_each_once() -> None:
    assert parse_request(asked(kid(KEY.key_id), kid(KEY.key_id), type="temporary")) == [KEY.key_id]


def test_padding_and_the_letters_of_plain_base64_are_understood() -> None:
    assert parse_request(asked(f"{kid(KEY.key_id)}==", kid("ff" * 16).replace("_", "/"))) == [KEY.key_id, "ff" * 16]


def test_licence_is_a_jwk_set() -> None:
    assert json.loads(licence([KEY])) == {
        "keys": [{"kty": "oct", "kid": "p-YcNz4hSQKxv3pPLj0dAA", "k": "AAECAwQFBgcICQoLDA0ODw"}],
        "type": "temporary",
    }


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "A licence request is JSON"),
        (b"[]", "A licence request is JSON"),
        (b'{"kids": "x"}', "A licence request is JSON"),
        (b"\xff\xfe", "A licence request is JSON"),
        (b'{"x":' + b"[" * 8000, "A licence request is JSON"),
        (asked(), "1 to 64 key IDs, found 0"),
        (asked(*[kid(KEY.key_id)] * 65), "1 to 64 key IDs, found 65"),
        (asked("AAAA"), "A key ID is 16 bytes in base64url, found 'AAAA'"),
        (asked("\N{SNOWMAN}" * 22), "A key ID is 16 bytes"),
        (asked(f"{kid(KEY.key_id)[:8]}!*!{kid(KEY.key_id)[8:]}"), "A key ID is 16 bytes"),
        (asked(kid(KEY.key_id), type="persistent-license"), "temporary here, not 'persistent-license'"),
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(body: bytes, complaint: str) -> None:
    with pytest.raises(LicenceError, match=complaint) as raised:
        parse_request(body)
    assert raised.value.status == 400


@given(st.binary(max_size=200))
def test_nonsense_is_refused_and_nothing_else(body: bytes) -> None:
    with pytest.raises(LicenceError):
        parse_request(body)
