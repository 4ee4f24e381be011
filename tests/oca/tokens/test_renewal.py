from __future__ import annotations

from typing import Any

import pytest

from oca.errors import TokenError
from oca.tokens.carriage import Carrier, find_token
from oca.tokens.grants import Grant, Verifier
from oca.tokens.keys import Keys
from oca.tokens.renewal import Renewal, renew
from tests.oca.tokens.keyring import ED25519, MAC, NOW, SIGNER, keyring, rsa_jwk, token
from tests.oca.tokens.test_claims import ASKED

ENDS = NOW + 30
CLAIMS: dict[Any, Any] = {1: "us", 4: ENDS, 6: NOW - 90, 7: b"id", 312: {3: {1: "/v1/film/"}}}


def granted(terms: dict[int, Any], jwk: dict[str, Any] = MAC, **changes: Any) -> tuple[Grant, Keys]:
    keys = keyring(jwk)
    claims = {**CLAIMS, 323: terms, **{int(label[1:]): value for label, value in changes.items()}}
    return Verifier(keys).verify(token(claims, jwk), NOW), keys


def renewed(
    terms: dict[int, Any], carrier: Carrier = Carrier.HEADER, now: float = NOW, **changes: Any
) -> Renewal | None:
    grant, keys = granted(terms, **changes)
    return renew(grant, keys, carrier, ASKED, now)


def test_a_token_near_its_end_is_renewed_in_the_way_it_came() -> None:
    answers = {carrier: renewed({0: 0, 1: 120}, carrier) for carrier in Carrier}
    names = {carrier: answer.header[0] for carrier, answer in answers.items() if answer}
    assert names == {
        Carrier.HEADER: "CTA-Common-Access-Token",
        Carrier.COOKIE: "Set-Cookie",
        Carrier.QUERY: "Location",
    }
    assert answers[Carrier.PATH] is None


@pytest.mark.parametrize("jwk", [MAC, SIGNER, ED25519, rsa_jwk()], ids=lambda jwk: jwk["alg"])
def test_the_new_token_grants_the_same_for_longer(jwk: dict[str, Any]) -> None:
    old, keys = granted({0: 2, 1: 120}, jwk)
    renewal = renew(old, keys, Carrier.PATH, ASKED, NOW)
    assert renewal is not None
    grant = Verifier(keys).verify(renewal.header[1], NOW)
    assert grant.expires_at == NOW + 120
    assert grant.claims[6] == NOW
    assert grant.cti not in (None, b"id")
    assert {label: grant.claims[label] for label in (1, 312, 323)} == {
        label: old.claims[label] for label in (1, 312, 323)
    }


@pytest.mark.parametrize(("deadline", "now", "is_due"), [(30, NOW, True), (29, NOW, False), (29, NOW + 1, True)])
def test_it_is_renewed_from_the_deadline_on(deadline: int, now: int, is_due: bool) -> None:
    assert bool(renewed({0: 2, 1: 120, 2: deadline}, now=now)) is is_due


def test_without_a_deadline_the_last_minute_counts() -> None:
    assert renewed({0: 2, 1: 120}, _4=NOW + 60)
    assert not renewed({0: 2, 1: 120}, _4=NOW + 61)
    assert not renewed({0: 2, 1: 120}, now=ENDS)


def test_cookie_and_header_have_the_names_and_parameters_that_the_token_says() -> None:
    cookie = renewed({0: 1, 1: 120, 3: "cat", 5: ["Secure", "Path=/"]})
    assert cookie is not None
    assert cookie.header[0] == "Set-Cookie"
    assert cookie.header[1].startswith("cat=2D3RhE")
    assert cookie.header[1].endswith("; Secure; Path=/")
    header = renewed({0: 2, 1: 120, 4: "X-Token", 6: ["a=b"]})
    assert header is not None
    assert header.header[0] == "X-Token"
    assert header.header[1].endswith(";a=b")


@pytest.mark.parametrize(("carrier", "prefix"), [(Carrier.PATH, "/t/"), (Carrier.QUERY, "/v1/film/")])
def test_a_redirect_leads_to_the_same_with_the_new_token(carrier: Carrier, prefix: str) -> None:
    answer = renewed({0: 3, 1: 120, 7: 307}, carrier)
    assert answer is not None
    assert (answer.header[0], answer.redirect) == ("Location", 307)
    assert answer.header[1].startswith(prefix)
    found = find_token(answer.header[1], {})
    assert found is not None
    assert (found.carrier, found.path, found.query) == (carrier, ASKED.path, ASKED.query)


def test_nothing_is_renewed_without_terms_or_without_an_end() -> None:
    keys = keyring(MAC)
    for claims in ({4: ENDS}, {323: {0: 2, 1: 120}}):
        assert renew(Verifier(keys).verify(token(claims), NOW), keys, Carrier.HEADER, ASKED, NOW) is None


def test_a_token_for_one_use_is_not_renewed() -> None:
    assert renewed({0: 2, 1: 120}, _308=1) is None
    assert renewed({0: 2, 1: 120}, _308=2)


def test_a_key_that_is_gone_or_public_renews_nothing() -> None:
    grant, _ = granted({0: 2, 1: 120}, SIGNER)
    assert renew(grant, keyring(MAC), Carrier.HEADER, ASKED, NOW) is None
    public = keyring({name: value for name, value in SIGNER.items() if name != "d"})
    grant = Verifier(public).verify(token({**CLAIMS, 323: {0: 2, 1: 120}}, SIGNER), NOW)
    assert renew(grant, public, Carrier.HEADER, ASKED, NOW) is None


@pytest.mark.parametrize(
    "terms",
    [
        {}, [], {1: 9}, {0: 2}, {0: 4, 1: 9}, {0: True, 1: 9}, {0: 2, 1: -1}, {0: 2, 1: "9"}, {0: 2, 1: float("nan")},
        {0: 2, 1: 1e12}, {0: 2, 1: 9, 2: 0}, {0: 2, 1: 9, 4: "Content-Length"}, {0: 2, 1: 9, 4: "a b"},
        {0: 2, 1: 9, 4: "a\r\nb"}, {0: 1, 1: 9, 3: "a=b"}, {0: 1, 1: 9, 5: "Secure"}, {0: 1, 1: 9, 5: ["a\nb"]},
        {0: 1, 1: 9, 5: ["a; b"]}, {0: 1, 1: 9, 5: ["a"] * 17}, {0: 3, 1: 9, 7: 200}, {0: 2, 1: 9, "x": 1},
    ],
)  # fmt: skip
def test_terms_that_are_not_understood_are_refused(terms: Any) -> None:
    with pytest.raises(TokenError) as caught:
        granted(terms)
    assert (caught.value.claim, caught.value.status) == ("catr", 403)
