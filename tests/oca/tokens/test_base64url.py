from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.tokens import base64url


@given(st.binary(max_size=100))
def test_what_is_encoded_is_decoded(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data


def test_padding_is_tolerated() -> None:
    assert base64url.decode("YQ==") == base64url.decode("YQ") == b"a"


@pytest.mark.parametrize("text", ["A", "YR", "Y Q", "YQ=Q", "YQ===", "++++", "Y.Q", "YQ\n", "Yä", "YQ\0"])
def test_a_second_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(text)


@given(st.text(max_size=40))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(data) == text.rstrip("=")
