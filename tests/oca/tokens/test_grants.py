from __future__ import annotations

import math
from typing import Any

import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import TokenError
from oca.tokens.grants import LEEWAY_S, Grant, Replay, Verifier
from tests.oca.tokens.keyring import MAC, NOW, keyring, token
from tests.oca.tokens.test_claims import ASKED
from tests.oca.tokens.test_envelope import CATU_TOKEN

VERIFIER = Verifier(keyring(MAC))


def verify(claims: dict[Any, Any], verifier: Verifier = VERIFIER) -> Grant:
    return verifier.verify(token(claims), NOW)


def refusal(claims: dict[Any, Any], verifier: Verifier = VERIFIER) -> tuple[str, int]:
    with pytest.raises(TokenError) as caught:
        verify(claims, verifier)
    return caught.value.claim, caught.value.status


def test_a_grant_tells_what_the_token_says() -> None:
    grant = verify({1: "us", 2: "erikw", 4: NOW + 60, 5: NOW - 60, 6: NOW, 7: b"id", 308: 2, 310: 1})
    assert (grant.issuer, grant.subject, grant.cti, grant.replay) == ("us", "erikw", b"id", Replay.DETECT)
    assert (grant.not_before, grant.expires_at) == (NOW - 60, NOW + 60)


def test_a_token_without_restrictions_allows_everything_for_ever() -> None:
    grant = verify({})
    grant.allow(ASKED, NOW * 2)
    assert (grant.expires_at, grant.cti, grant.replay, grant.renewal) == (math.inf, None, Replay.ALLOW, None)


@pytest.mark.parametrize("expires_at", [NOW + 1, NOW + 0.5, 2**64 - 1, CBORTag(1, NOW + 1), 1e300])
def test_times_are_integers_or_floats(expires_at: Any) -> None:
    verify({4: expires_at}).allow(ASKED, NOW)


@pytest.mark.parametrize("label", [4, 5, 6])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, b"", [], {}, CBORTag(1, "x")])
def test_other_times_are_refused(label: int, value: Any) -> None:
    assert refusal({label: value}) == ({4: "exp", 5: "nbf", 6: "iat"}[label], 401)


def test_a_token_ends_at_the_second_of_exp() -> None:
    grant = verify({4: NOW + 1})
    grant.allow(ASKED, NOW + 0.9)
    with pytest.raises(TokenError) as caught:
        grant.allow(ASKED, NOW + 1)
    assert (caught.value.claim, caught.value.status) == ("exp", 401)
    assert refusal({4: NOW}) == ("exp", 401)
    assert refusal({4: -1}) == ("exp", 401)


@pytest.mark.parametrize(("label", "claim"), [(5, "nbf"), (6, "iat")])
def test_the_clock_of_the_issuer_may_be_a_little_ahead(label: int, claim: str) -> None:
    verify({label: NOW + LEEWAY_S})
    assert refusal({label: NOW + LEEWAY_S + 1}) == (claim, 401)


def test_the_issuer_is_one_of_those_expected() -> None:
    verifier = Verifier(keyring(MAC), issuers=["us"])
    verify({1: "us"}, verifier)
    assert refusal({1: "them"}, verifier) == ("iss", 403)
    assert refusal({}, verifier) == ("iss", 403)
    verify({1: "anybody"})


@pytest.mark.parametrize("audience", ["here", ["here"], ["there", "here"]])
def test_the_audience_is_one_of_ours(audience: Any) -> None:
    verify({3: audience}, Verifier(keyring(MAC), audiences=["here", "too"]))


@pytest.mark.parametrize("claims", [{}, {3: "there"}, {3: ["there"]}])
def test_a_token_for_others_is_not_for_us(claims: dict[Any, Any]) -> None:
    assert refusal(claims, Verifier(keyring(MAC), audiences=["here"])) == ("aud", 403)


def test_an_audience_is_refused_where_none_is_configured() -> None:
    assert refusal({3: "there"}) == ("aud", 403)


@pytest.mark.parametrize(
    ("claims", "claim"),
    [({1: 7}, "iss"), ({2: b"x"}, "sub"), ({7: "id"}, "cti"), ({3: 5}, "aud"), ({3: [5]}, "aud"), ({3: []}, "aud")],
)
def test_claims_of_another_type_are_malformed(claims: dict[Any, Any], claim: str) -> None:
    assert refusal(claims) == (claim, 401)


@pytest.mark.parametrize("version", [0, 2, True, "1", 1.0])
def test_only_version_1_is_known(version: Any) -> None:
    assert refusal({310: version}) == ("catv", 403)


@pytest.mark.parametrize(
    ("label", "claim"),
    [
        (8, "cnf"), (40, "exi"), (41, "or"), (43, "and"), (45, "crit"), (282, "geohash"), (309, "catpor"),
        (316, "catgeoiso3166"), (318, "catgeoalt"), (319, "cattpk"), (321, "catdpop"), (324, "cattprint"),
        (325, "325"), (300, "300"), ("catnew", "catnew"), ("nor", "nor"),
    ],
)  # fmt: skip
def test_a_restriction_that_cannot_be_judged_denies_by_its_name(label: Any, claim: str) -> None:
    assert refusal({label: 1}) == (claim, 403)


@pytest.mark.parametrize("label", [9, 38, 1000, -70000, "session", "offer"])
def test_other_claims_are_ignored(label: Any) -> None:
    verify({label: {"any": "thing"}})


def test_what_a_refusal_should_say_restricts_nothing() -> None:
    verify({320: "data", 322: {4: [307, {"Location": "https://renew.example/"}]}})


@pytest.mark.parametrize("claims", [{308: 1}, {308: 3, 7: b"id"}, {308: True, 7: b"id"}, {308: 2, 7: b""}])
def test_replays_need_something_to_know_the_token_by(claims: dict[Any, Any]) -> None:
    assert refusal(claims) == ("catreplay", 403)


def test_a_request_is_refused_with_the_claim_and_what_it_expects() -> None:
    grant = verify({312: {3: {1: "/v1/film/"}}, 313: ["GET"]})
    grant.allow(ASKED, NOW)
    with pytest.raises(TokenError, match="as path: what starts with '/v1/film/'") as caught:
        grant.allow(ASKED._replace(path="/v1/another/1.m4s"), NOW)
    assert (caught.value.claim, caught.value.status) == ("catu", 403)
    with pytest.raises(TokenError, match="one of the methods GET") as caught:
        grant.allow(ASKED._replace(method="HEAD"), NOW)
    assert caught.value.claim == "catm"


def test_the_uri_claim_of_node_cat_is_judged_as_there() -> None:
    grant = Verifier(keyring(MAC), issuers=["eyevinn"]).verify(CATU_TOKEN, NOW)
    asked = ASKED._replace(host="example.com", path="/content/path/file.m3u8", query="")
    grant.allow(asked, NOW)
    with pytest.raises(TokenError, match="extension"):
        grant.allow(asked._replace(path="/content/path/file.ts"), NOW)


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(-3, 9), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.integers(0, 10) | st.integers(306, 326) | st.text(max_size=5), _VALUE, max_size=4))
def test_any_signed_claims_are_judged_or_refused(claims: dict[Any, Any]) -> None:
    try:
        verify(claims).allow(ASKED, NOW)
    except TokenError as error:
        assert error.status in (401, 403)
