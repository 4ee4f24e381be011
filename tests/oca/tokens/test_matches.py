from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from oca.tokens.matches import read_match

SHA256 = hashlib.sha256(b"film").digest()
# FIPS 180-4: of "abc", as NIST prints it.
SHA512_256 = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"


@pytest.mark.parametrize(
    ("spec", "holds", "fails"),
    [
        ({0: "film"}, "film", "films"),
        ({0: 8443}, "8443", "443"),
        ({1: "/v1/"}, "/v1/film", "/v2/film"),
        ({2: ".m4s"}, "1.m4s", "1.m4s.exe"),
        ({3: "ana"}, "banana", "bonobo"),
        ({4: ["^/v1/[a-z]+/"]}, "/v1/film/x", "/v1/7/x"),
        ({4: ["film", None]}, "a film", "a fil m"),
        ({-1: SHA256}, "film", "Film"),
        ({-1: SHA256.hex()}, "film", "Film"),
        ({-2: bytes.fromhex(SHA512_256)}, "abc", "abd"),
        ({1: "/v1/", 2: ".m4s"}, "/v1/1.m4s", "/v1/1.mp4"),
        (CBORTag(259, {0: "film"}), "film", "films"),
    ],
)
def test_each_kind_of_match(spec: Any, holds: str, fails: str) -> None:
    match = read_match(spec)
    assert match.holds(holds)
    assert not match.holds(fails)


@pytest.mark.parametrize(
    "spec",
    [
        {}, [], "film", None, {5: "a"}, {"0": "a"}, {True: "a"}, {0: b"a"}, {0: ["a"]}, {0: 1.5}, {-1: b"short"},
        {-1: "no hex"}, {-3: SHA256}, {4: "film"}, {4: []}, {4: ["film", "i"]}, {4: [7]}, {4: ["("]}, {4: ["(?=a)"]},
        {4: [r"(a)\1"]}, {4: ["a" * 257]}, {4: ["((a{1,99}){1,99}){1,99}"]}, {4: ["\ud800"]},
    ],
)  # fmt: skip
def test_what_is_no_match_is_refused(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_match(spec)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a|a?)+c", "(.*a){20}c", "(a*)*b", "(?:a?){99}a{99}c"])
def test_patterns_that_hang_a_backtracking_matcher_end_here(pattern: str) -> None:
    assert read_match({4: [pattern]}).holds("a" * 400 + "!") is False


def test_a_pattern_is_not_searched_for_in_a_text_of_any_length() -> None:
    match = read_match({4: ["a"]})
    assert match.holds("a" * 512)
    assert not match.holds("a" * 513)


def test_what_is_expected_is_said_shortly() -> None:
    assert read_match({1: "/v1/"}).expected == "what starts with '/v1/'"
    assert len(read_match({0: "x" * 2000}).expected) < 100


@given(
    st.dictionaries(st.integers(-3, 5), st.text(max_size=20) | st.lists(st.text(max_size=20), max_size=2), max_size=2),
    st.text(max_size=50),
)
def test_any_match_is_judged_or_refused(spec: Any, text: str) -> None:
    try:
        match = read_match(spec)
    except ValueError:
        return
    assert match.holds(text) in (True, False)
