"""Steering manifests, and every way that players are known to ask for them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.pathways import Measured, read_query, steering_manifest, ttl_under_load


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


@pytest.mark.parametrize(("lag", "ttl"), [(0, 10), (0.05, 10), (0.1, 30), (0.3, 60), (5, 120)])
def test_overload_makes_the_ttl_longer(lag: float, ttl: int) -> None:
    assert ttl_under_load(10, lag) == ttl
