from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from oca.tokens.keys import ALGORITHMS, parse_keys
from tests.oca.tokens.keyring import ED25519, MAC, P384, SECRET, SIGNER, key, keyring, octets, rsa_jwk

PUBLIC = {name: value for name, value in SIGNER.items() if name != "d"}
RSA = rsa_jwk()


@pytest.mark.parametrize("jwk", [MAC, SIGNER, P384, ED25519, RSA], ids=lambda jwk: jwk["alg"])
def test_a_key_verifies_what_it_signed_and_nothing_else(jwk: dict[str, Any]) -> None:
    one = key(jwk)
    assert one.can_sign
    signature = one.sign(b"message")
    assert one.verify(b"message", signature)
    assert not one.verify(b"another", signature)
    assert not one.verify(b"message", signature[:-1])
    assert not one.verify(b"message", b"")
    assert not one.verify(b"message", bytes(len(signature)))


@pytest.mark.parametrize("jwk", [SIGNER, P384, ED25519, RSA], ids=lambda jwk: jwk["alg"])
def test_a_public_key_cannot_sign(jwk: dict[str, Any]) -> None:
    private = key(jwk)
    public = key({name: value for name, value in jwk.items() if name not in ("d", "p", "q", "dp", "dq", "qi")})
    assert not public.can_sign
    assert public.verify(b"message", private.sign(b"message"))


def test_keys_are_found_by_their_name() -> None:
    keys = keyring(MAC, SIGNER)
    assert len(keys) == 2
    assert keys.named(b"Symmetric256") is not None
    assert keys.named(b"another") is None


def test_a_nameless_token_gets_a_key_only_if_one_alone_fits() -> None:
    assert keyring(MAC, SIGNER).sole(5) is not None
    assert keyring(MAC, {**MAC, "kid": "second"}).sole(5) is None
    assert keyring(MAC).sole(-7) is None


def test_all_problems_are_told_at_once_with_their_places() -> None:
    with pytest.raises(ConfigError) as caught:
        keyring({**MAC, "alg": "none"}, MAC, {**MAC, "kid": ""}, {**SIGNER, "crv": "P-384"})
    places = [problem.key for problem in caught.value.problems]
    assert places == ["keys[0].alg", "keys[2].kid", "keys[3].crv"]


@pytest.mark.parametrize(
    ("jwk", "member"),
    [
        ({**MAC, "kty": "EC"}, "kty"),
        ({**MAC, "k": octets("00" * 31)}, "k"),
        ({**MAC, "alg": "HS512"}, "k"),
        ({**MAC, "k": "!"}, "k"),
        ({**MAC, "k": 5}, "k"),
        ({**MAC, "use": "enc"}, "use"),
        ({**MAC, "kid": 1}, "kid"),
        ({name: value for name, value in MAC.items() if name != "alg"}, "alg"),
        ({**PUBLIC, "x": PUBLIC["y"]}, "x"),
        ({**PUBLIC, "x": octets("00")}, "x"),
        ({**SIGNER, "d": octets("00" * 32)}, "d"),
        ({**SIGNER, "d": octets("01" * 32)}, "d"),
        ({**ED25519, "crv": "X25519"}, "crv"),
        ({**ED25519, "d": octets("01" * 32)}, "d"),
        ({**RSA, "n": octets("c5" * 128)}, "n"),
        ({**RSA, "e": octets("02")}, "e"),
        ({**RSA, "p": RSA["q"]}, "d"),
        ("not an object", "kty"),
    ],
)
def test_a_member_that_cannot_be_used_is_named(jwk: Any, member: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keyring(jwk)
    assert [problem.key for problem in caught.value.problems] == [f"keys[0].{member}"]


def test_a_name_may_be_used_once() -> None:
    with pytest.raises(ConfigError, match="Symmetric256"):
        keyring(MAC, MAC)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b'{"keys": [1}'])
def test_what_is_no_jwk_set_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_keys(data, "keys.json")


def test_key_material_is_never_shown() -> None:
    shown = repr(keyring(MAC, SIGNER)) + repr(key(MAC)) + repr(key(SIGNER))
    with pytest.raises(ConfigError) as caught:
        keyring({**MAC, "k": SECRET + "!"}, {**SIGNER, "d": P384["d"]}, {**MAC, "alg": "HS512"})
    shown += str(caught.value) + repr(caught.value)
    for secret in (SECRET, SIGNER["d"], P384["d"]):
        assert secret[:8] not in shown


@given(
    st.dictionaries(
        st.sampled_from(["kty", "kid", "alg", "k", "crv", "x", "y", "d", "n", "e"]), st.text() | st.integers()
    )
)
def test_any_jwk_is_read_or_refused(jwk: dict[str, Any]) -> None:
    for base in ({}, MAC, SIGNER, ED25519):
        try:
            keyring({**base, **jwk})
        except ConfigError:
            continue


@given(
    st.sampled_from(["HS256", "HS256/64", "HS384", "HS512"]),
    st.binary(min_size=64, max_size=200),
    st.lists(st.binary(max_size=300), max_size=3),
)
def test_the_prepared_mac_is_hmac(name: str, secret: bytes, messages: list[bytes]) -> None:
    one, algorithm = key({"kty": "oct", "kid": "k", "alg": name, "k": octets(secret.hex())}), ALGORITHMS[name]
    for message in messages:
        expected = hmac.digest(secret, message, algorithm.hash_name)[: algorithm.size]
        assert one.sign(message) == expected
        assert one.verify(message, expected)
