"""The session in a URI: whole, forged, foreign, nonsense."""

from __future__ import annotations

import base64
from hashlib import blake2b

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.sessions.session import Session, key_of, seal, unseal

KEY = b"k" * 32
SESSION = Session("s-1", "big-buck-bunny", "0123456789abcdef" * 2, "north", ("oslo-1", "oslo-2"), 1_800_000_000)

words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
sessions = st.builds(
    Session,
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    st.one_of(st.just(""), words),
    st.lists(words, unique=True, max_size=8).map(tuple),
    st.integers(0, 2**40),
)


@given(sessions)
def test_a_session_comes_back_as_it_went(session: Session) -> None:
    opened = unseal(seal(session, KEY), KEY)
    assert opened is not None
    assert opened.session == session
    assert opened.is_ours


def test_a_token_needs_no_escaping_in_a_query() -> None:
    assert set(seal(SESSION, KEY)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_token_of_another_key_is_read_and_marked() -> None:
    opened = unseal(seal(SESSION, b"other"), KEY)
    assert opened is not None
    assert opened.session == SESSION
    assert not opened.is_ours


@given(st.text(max_size=200))
def test_nonsense_is_no_session(token: str) -> None:
    assert unseal(token, KEY) is None


@given(st.binary(max_size=200))
def test_random_bytes_are_no_session_of_ours(data: bytes) -> None:
    opened = unseal(base64.urlsafe_b64encode(data).decode(), KEY)
    assert opened is None or not opened.is_ours


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_bit_is_noticed(position: int, change: int) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(seal(SESSION, KEY) + "=="))
    sealed[position % len(sealed)] ^= change
    opened = unseal(base64.urlsafe_b64encode(sealed).decode(), KEY)
    assert opened is None or not opened.is_ours


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "a b"},
        {"title": "../etc"},
        {"package": "0"},
        {"site": "no/where"},
        {"pathways": ("a", "a")},
        {"pathways": ('a",b',)},
        {"pathways": tuple(f"p{number}" for number in range(33))},
    ],
)
def test_a_foreign_session_of_things_that_cannot_be_is_none(change: dict[str, object]) -> None:
    assert unseal(seal(msgspec.structs.replace(SESSION, **change), b"other"), KEY) is None


def test_a_token_in_the_other_alphabet_of_base64_is_none() -> None:
    """One session has one spelling; `+` would be a space in a query anyway."""
    token = seal(msgspec.structs.replace(SESSION, id="~" * 60), KEY)
    other = token.replace("-", "+").replace("_", "/")
    assert token != other
    assert unseal(other, KEY) is None


@pytest.mark.parametrize(
    "older",
    [
        ["s-1", "film", "0" * 32, "north", ["a"]],  # without its start
        ["s-1", "film", "0" * 32, "north", "a", 1],  # pathways as text
        {"id": "s-1", "title": "film"},
        7,
    ],
)
def test_a_token_of_an_older_format_is_none_or_sensible(older: object) -> None:
    body = msgspec.msgpack.encode(older)
    digest = blake2b(body, digest_size=12, key=KEY).digest()
    assert unseal(base64.urlsafe_b64encode(digest + body).rstrip(b"=").decode(), KEY) is None


def test_an_endless_token_is_none() -> None:
    assert unseal("A" * 100_000, KEY) is None


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_a_secret_of_any_length_is_a_key_of_its_own(secret: str, other: str) -> None:
    token = seal(SESSION, key_of(secret))
    assert unseal(token, key_of(secret)) == (SESSION, True)
    assert other == secret or unseal(token, key_of(other)) == (SESSION, False)
