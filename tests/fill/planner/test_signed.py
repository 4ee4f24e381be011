from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fill.errors import ForgedError
from fill.planner.signed import Envelope, sign, verify

# The same in each process that collects the tests: what they sign is part of their names.
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def changed(**change: object) -> bytes:
    envelope = msgspec.json.decode(sign(b"drop all", KEY, "plan"), type=Envelope)
    return msgspec.json.encode(msgspec.structs.replace(envelope, **change))


@given(st.binary(max_size=100), st.text(max_size=10))
def test_what_was_signed_comes_back_with_any_accepted_key(payload: bytes, purpose: str) -> None:
    assert verify(sign(payload, KEY, purpose), [OTHER.public_key(), KEY.public_key()], purpose) == payload


def test_without_keys_everything_of_the_purpose_is_accepted() -> None:
    assert verify(sign(b"x", None, "plan"), [], "plan") == b"x"
    assert verify(sign(b"x", KEY, "plan"), [], "plan") == b"x"


@pytest.mark.parametrize(
    ("envelope", "complaint"),
    [
        (b"", "not a signed plan"),
        (b"\xff\xfe", "not a signed plan"),
        (b'{"purpose": "plan", "payload": "!"}', "not a signed plan"),
        (sign(b"x", None, "plan"), "not signed"),
        (sign(b"x", OTHER, "plan"), "not among those accepted"),
        (sign(b"x", KEY, "order"), "signed as a 'order'"),
        (changed(purpose="plan", payload=b"drop nothing"), "changed on its way"),
        (changed(signature=b"\0" * 64), "changed on its way"),
        (changed(signature=b"short"), "changed on its way"),
        (changed(key="0" * 16), "not among those accepted"),
    ],
)
def test_what_nobody_accepted_has_signed_is_refused(envelope: bytes, complaint: str) -> None:
    with pytest.raises(ForgedError, match=complaint):
        verify(envelope, [KEY.public_key()], "plan")


def test_a_signature_does_not_pass_for_another_purpose() -> None:
    order = msgspec.json.decode(sign(b"x", KEY, "order"), type=Envelope)
    with pytest.raises(ForgedError, match="changed"):
        verify(msgspec.json.encode(msgspec.structs.replace(order, purpose="plan")), [KEY.public_key()], "plan")
