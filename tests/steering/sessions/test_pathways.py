"""Steering manifests, and every way that players are known to ask for them."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.sessions.pathways import Measured, given_ttl, read_query, split_query, steering_manifest


@pytest.mark.parametrize(
    ("player", "query", "expected"),
    [
        ("hls.js", {"_HLS_pathway": "a", "_HLS_throughput": "500000"}, [("a", 500_000)]),
        ("the standard's own example", {"_HLS_pathway": '"a"', "_HLS_throughput": "5140000"}, [("a", 5_140_000)]),
        ("shaka, first request", {}, []),
        ("shaka", {"_HLS_pathway": "a", "_HLS_throughput": "1000000"}, [("a", 1_000_000)]),
        ("VHS", {"_HLS_pathway": "a", "_HLS_throughput": "1234567.89"}, [("a", 1_234_568)]),
        ("VHS without a measurement", {"_HLS_pathway": "a"}, [("a", None)]),
        ("Media3", {"_HLS_pathway": ".", "_HLS_throughput": "7"}, [(".", 7)]),
        ("a zero", {"_HLS_pathway": "a", "_HLS_throughput": "0"}, [("a", None)]),
        ("nonsense", {"_HLS_pathway": "../a", "_HLS_throughput": "fast"}, []),
        ("no number", {"_HLS_pathway": "a", "_HLS_throughput": "nan"}, [("a", None)]),
        ("a negative", {"_HLS_pathway": "a", "_HLS_throughput": "-7"}, [("a", None)]),
        ("past all numbers", {"_HLS_pathway": "a", "_HLS_throughput": "1e400"}, [("a", None)]),
        ("other digits", {"_HLS_pathway": "a", "_HLS_throughput": "\u0663"}, [("a", 3)]),
        ("no end", {"_HLS_pathway": "a", "_HLS_throughput": "inf"}, [("a", None)]),
    ],
)
def test_hls_query(player: str, query: dict[str, str], expected: list[tuple[str, int | None]]) -> None:
    assert read_query(query, "hls") == tuple(Measured(*one) for one in expected), player


@pytest.mark.parametrize(
    ("player", "query", "expected"),
    [
        (
            "dash.js",
            {"_DASH_pathway": '"a,b"', "_DASH_throughput": "69689250,5830500"},
            [("a", 69_689_250), ("b", 5_830_500)],
        ),
        ("dash.js before it measured", {"_DASH_pathway": '"a"', "_DASH_throughput": ""}, [("a", None)]),
        ("one unmeasured", {"_DASH_pathway": '"a,b"', "_DASH_throughput": ",7"}, [("a", None), ("b", 7)]),
        ("each in quotes", {"_DASH_pathway": '"a","b"', "_DASH_throughput": "1,2"}, [("a", 1), ("b", 2)]),
        ("shaka", {"_DASH_pathway": "a", "_DASH_throughput": "1000000"}, [("a", 1_000_000)]),
        ("queryBeforeStart", {}, []),
        ("fewer throughputs", {"_DASH_pathway": "a,b", "_DASH_throughput": "1"}, [("a", 1), ("b", None)]),
        ("one name is nonsense", {"_DASH_pathway": "a,?,c", "_DASH_throughput": "1,2,3"}, [("a", 1), ("c", 3)]),
        ("HLS's names", {"_HLS_pathway": "a"}, []),
    ],
)
def test_dash_query(player: str, query: dict[str, str], expected: list[tuple[str, int | None]]) -> None:
    assert read_query(query, "dash") == tuple(Measured(*one) for one in expected), player


@given(st.text(), st.text())
def test_no_query_breaks_it(pathway: str, throughput: str) -> None:
    for measured in read_query({"_DASH_pathway": pathway, "_DASH_throughput": throughput}, "dash"):
        assert measured.pathway
        assert measured.throughput_bps is None or measured.throughput_bps >= 0


def test_a_list_without_end_is_cut() -> None:
    assert len(read_query({"_DASH_pathway": ",".join(["a"] * 10_000)}, "dash")) == 32


def test_a_manifest_has_these_four_and_nothing_empty() -> None:
    manifest = json.loads(steering_manifest(("b", "a", "origin"), 10, "http://steer.localhost/steer/hls?s=x"))
    assert manifest == {
        "VERSION": 1,
        "TTL": 10,
        "RELOAD-URI": "http://steer.localhost/steer/hls?s=x",
        "PATHWAY-PRIORITY": ["b", "a", "origin"],
    }


@pytest.mark.parametrize(
    ("lag", "shortest", "longest"), [(0, 7, 10), (0.05, 7, 10), (0.1, 12, 30), (0.3, 24, 60), (5, 48, 120)]
)
def test_overload_makes_the_ttl_longer_and_spreads_it_more(lag: float, shortest: int, longest: int) -> None:
    given = {given_ttl(10, lag, step / 1000) for step in range(1000)}
    assert given == set(range(shortest, longest + 1))


@given(st.integers(1, 3600), st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_a_ttl_is_a_positive_integer_within_its_span(ttl: int, lag: float, chance: float) -> None:
    assert 1 <= given_ttl(ttl, lag, chance) <= 12 * ttl
    assert 0.7 * ttl <= given_ttl(ttl, 0.0, chance) <= ttl


def test_a_herd_that_polls_at_once_is_spread_within_a_few_polls() -> None:
    """A thousand players whom an outage has brought together; in no second of the fifth round come many of them."""
    draw = random.Random(5)
    at = [0] * 1000
    for _ in range(5):
        at = [now + given_ttl(10, 0.0, draw.random()) for now in at]
    assert max(Counter(at).values()) < 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"": ""}),
        ("s=a&s=b", {"s": "a"}),
        ("s", {"s": ""}),
        ("s=a=b", {"s": "a=b"}),
        ("s[]=a&s[]=b", {"s[]": "a"}),
        ("_HLS_pathway=%22a%22&s=x", {"_HLS_pathway": '"a"', "s": "x"}),
        ("%73=x", {"s": "x"}),
        ("s=%zz%", {"s": "%zz%"}),
        ("s=%ff%00", {"s": "\ufffd\0"}),
        ("&&=&", {"": ""}),
    ],
)
def test_queries_of_every_form(text: str, expected: dict[str, str]) -> None:
    assert split_query(text) == expected


@given(st.text())
def test_no_text_breaks_a_query(text: str) -> None:
    assert len(split_query(text)) <= 32


def test_parameters_without_end_are_cut() -> None:
    assert len(split_query("&".join(f"p{number}=" for number in range(10_000)))) == 32
