"""Access tokens of sessions, judged by what appliances judge them with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import TokenError
from oca.tokens.claims import Asked
from oca.tokens.envelope import open_token
from oca.tokens.grants import Verifier
from oca.tokens.keys import Key
from steering.sessions.access import Access
from tests.oca.tokens.keyring import ED25519, MAC, NOW, SIGNER, keyring

FOLDER = "/v1/big-buck-bunny/0123456789abcdef0123456789abcdef/"
KEYS = keyring(MAC, SIGNER, ED25519)


def key(jwk: dict[str, str]) -> Key:
    found = KEYS.named(jwk["kid"].encode())
    assert found is not None
    return found


def asked(path: str) -> Asked:
    return Asked("GET", "http", "a1.localhost", 8080, path, "", "192.0.2.1", "", {})


@pytest.mark.parametrize("jwk", [MAC, SIGNER, ED25519])
def test_a_token_opens_its_package_and_nothing_else(jwk: dict[str, str]) -> None:
    token = Access(key(jwk), 3600.0).token(FOLDER, "s-1", NOW + 60)
    grant = Verifier(KEYS).verify(token, NOW)
    assert grant.cti == b"s-1"
    assert grant.expires_at == NOW + 60
    grant.allow(asked(f"{FOLDER}v720/3.m4s"), NOW)
    for other in (FOLDER.replace("0123", "9123", 1), FOLDER.replace("bunny", "bunny2"), "/v1/", f"{FOLDER}../x"):
        with pytest.raises(TokenError, match="catu"):
            grant.allow(asked(f"{other}v720/3.m4s"), NOW)
    with pytest.raises(TokenError, match="expired"):
        grant.allow(asked(f"{FOLDER}v720/3.m4s"), NOW + 60)


@given(
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    st.integers(0, 2**32 - 1),
    st.text(max_size=300),
    st.text(max_size=30),
)
def test_what_is_put_together_is_what_an_encoder_writes(
    title: str, session: str, expiry: int, issuer: str, audience: str
) -> None:
    access = Access(key(MAC), 0.0, issuer, audience)
    folder = f"/v1/{title}/{'0' * 32}/"
    opened = open_token(access.token(folder, session, expiry), KEYS)
    assert opened.claims == access.claims(folder, session, expiry)


def test_issuer_and_audience_are_those_that_appliances_ask_for() -> None:
    token = Access(key(MAC), 0.0, "steering", "appliances").token(FOLDER, "s-1", NOW + 60)
    Verifier(KEYS, ["steering"], ["appliances"]).verify(token, NOW)
    with pytest.raises(TokenError, match="issuer"):
        Verifier(KEYS, ["others"], ["appliances"]).verify(token, NOW)


def test_a_token_lasts_as_its_setting_says_or_as_twice_the_film() -> None:
    access = Access(key(MAC), 3600.0)
    assert access.expiry(NOW, 60.0) == NOW + 3600
    assert access.expiry(NOW, 7200.0) == NOW + 14400
    assert Access(key(MAC), 1e12).expiry(NOW, 0.0) == 2**32 - 1
