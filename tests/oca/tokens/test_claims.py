from __future__ import annotations

from typing import Any

import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import TokenError
from oca.tokens.claims import Asked, conditions

ASKED = Asked(
    method="GET",
    scheme="https",
    host="cdn.example.com",
    port=443,
    path="/v1/film/p1/video/1080.tar.m4s",
    query="a=1&b=2",
    client="192.0.2.7",
    alpn="http/1.1",
    headers={"user-agent": "player/1", "x-bytes": "\xe4"},
)


def allows(claims: dict[Any, Any], **changes: Any) -> bool:
    asked = ASKED._replace(**changes)
    return all(condition.holds(asked) for condition in conditions(claims))


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0, "https"), (1, "cdn.example.com"), (2, "443"), (3, ASKED.path), (4, "a=1&b=2"), (5, "/v1/film/p1/video"),
        (6, "1080.tar.m4s"), (7, "1080.tar"), (8, ".m4s"),
    ],
)  # fmt: skip
def test_each_part_of_a_uri_is_matched(part: int, text: str) -> None:
    assert allows({312: {part: {0: text}}})
    assert not allows({312: {part: {0: text + "x"}}})


@pytest.mark.parametrize(
    ("path", "stem", "extension"),
    [("/v1/a", "a", ""), ("/v1/.hidden", ".hidden", ""), ("/v1/a.", "a", "."), ("/v1/", "", "")],
)
def test_a_filename_without_extension_is_all_stem(path: str, stem: str, extension: str) -> None:
    assert allows({312: {7: {0: stem}, 8: {0: extension}}}, path=path)


def test_all_parts_must_match() -> None:
    both = {312: {1: {0: "cdn.example.com"}, 3: {1: "/v1/film/"}}}
    assert allows(both)
    assert not allows(both, host="another.example.com")
    assert not allows(both, path="/v1/another/p1/1.m4s")


def test_scheme_and_host_are_compared_without_case() -> None:
    assert allows({312: {0: {0: "HTTPS"}, 1: {2: ".Example.COM"}}}, scheme="Https", host="CDN.example.com")
    assert not allows({312: {3: {1: "/V1/"}}})


@pytest.mark.parametrize("middle", ["..", ".", "%2e%2E", ".%2e", "a%2F..", "a\\..", "%2f"])
def test_a_path_that_leads_elsewhere_matches_nothing(middle: str) -> None:
    assert not allows({312: {3: {1: "/v1/film/"}}}, path=f"/v1/film/{middle}/secret/1.m4s")
    assert not allows({312: {3: {1: "/v1/film/"}}}, path=f"/v1/film/{middle}")


@pytest.mark.parametrize("middle", ["...", ".a", "a..b", "%20", "a.."])
def test_dots_in_names_are_no_harm(middle: str) -> None:
    assert allows({312: {3: {1: "/v1/film/"}}}, path=f"/v1/film/{middle}/1.m4s")


def test_methods() -> None:
    assert allows({313: ["GET", "HEAD"]})
    assert not allows({313: ["GET"]}, method="HEAD")


def network(tag: int, value: Any) -> dict[Any, Any]:
    return {311: [CBORTag(tag, value)]}


@pytest.mark.parametrize(
    ("tag", "value", "inside", "outside"),
    [
        (52, b"\xc0\x00\x02\x07", "192.0.2.7", "192.0.2.8"),
        (52, b"\xc0\x00\x02\x07", "::ffff:192.0.2.7", "::192.0.2.7"),
        (52, [24, b"\xc0\x00\x02"], "192.0.2.255", "192.0.3.0"),
        (52, [24, b"\xc0\x00\x02\x00"], "192.0.2.0", "2001:db8::1"),
        (52, [0, b""], "255.255.255.255", "::1"),
        (54, bytes.fromhex("20010db8" + "00" * 11 + "01"), "2001:db8::1", "2001:db8::2"),
        (54, [32, bytes.fromhex("20010db8")], "2001:db8:ffff::1", "2001:db9::1"),
        (54, [64, bytes.fromhex("fe80000000000000")], "fe80::1%eth0", "fe80:0:0:1::1"),
    ],
)
def test_networks(tag: int, value: Any, inside: str, outside: str) -> None:
    assert allows(network(tag, value), client=inside)
    assert not allows(network(tag, value), client=outside)
    assert not allows(network(tag, value), client="no address")


def test_an_as_number_never_matches_but_does_not_hinder_a_network() -> None:
    assert not allows({311: [64496]})
    assert allows({311: [64496, CBORTag(52, [8, b"\xc0"])]})


@pytest.mark.parametrize("alpn", [[b"http/1.1"], ["h2", "http/1.1"]])
def test_protocols(alpn: list[Any]) -> None:
    assert allows({314: alpn})
    assert not allows({314: alpn}, alpn="h3")
    assert not allows({314: [*alpn, b""]}, alpn="")


def test_headers() -> None:
    assert allows({315: {"User-Agent": {1: "player/"}}})
    assert not allows({315: {"user-agent": {0: "browser"}}})
    assert not allows({315: {"missing": {1: ""}}})
    assert not allows({315: {"x-bytes": {4: ["^[a-z]$"]}}})


@pytest.mark.parametrize(
    "claims",
    [
        {312: {}}, {312: [1]}, {312: {9: {0: "a"}}}, {312: {True: {0: "a"}}}, {312: {"path": {0: "a"}}},
        {312: {3: "a"}}, {312: {3: {}}}, {313: []}, {313: "GET"}, {313: [1]}, {313: [["GET"]]}, {314: []}, {314: [1]},
        {314: b"h2"}, {315: {}}, {315: {1: {0: "a"}}}, {315: {f"h{n}": {0: "a"} for n in range(9)}},
        {311: []}, {311: 1}, {311: ["192.0.2.1"]}, {311: [True]}, {311: [CBORTag(52, b"\x00")]},
        {311: [CBORTag(54, b"\x00" * 4)]}, {311: [CBORTag(52, [33, b""])]}, {311: [CBORTag(52, [-1, b""])]},
        {311: [CBORTag(52, [24, b"\xc0\x00\x02\x01"])]}, {311: [CBORTag(52, [True, b""])]},
        {311: [CBORTag(52, [b"\xc0\x00\x02\x01", 24])]}, {311: [CBORTag(53, b"\x00" * 4)]},
    ],
)  # fmt: skip
def test_a_restriction_that_is_not_understood_denies(claims: dict[Any, Any]) -> None:
    with pytest.raises(TokenError) as caught:
        conditions(claims)
    assert caught.value.status == 403
    assert caught.value.claim in ("catu", "catm", "catalpn", "cath", "catnip")


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 130) | st.floats() | st.binary(max_size=16) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-3, 9) | st.text(max_size=4), inner, max_size=3)
        | st.builds(CBORTag, st.sampled_from([52, 54, 259]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([311, 312, 313, 314, 315]), _VALUE))
def test_any_claims_are_judged_or_refused(claims: dict[Any, Any]) -> None:
    try:
        found = conditions(claims)
    except TokenError:
        return
    for condition in found:
        assert condition.holds(ASKED) in (True, False)
