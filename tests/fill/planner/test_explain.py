from __future__ import annotations

import msgspec
import pytest

from fill.errors import PlanError
from fill.names import FileName
from fill.planner.explain import changes, doubts, explain, show_changes
from fill.planner.plan import plan
from fill.planner.terms import SiteTerms
from fill.policy import NO_POLICY, Policy, Release
from tests.fill.catalogs import NOW, make_offer, make_seen, package_key
from tests.fill.planner.fleets import even, make

OFFERS = [make_offer("a"), make_offer("b")]


def test_explain_says_where_a_file_goes_and_why() -> None:
    forecasts = {"default": even(OFFERS[:1], {"a": 3.5})}
    plans = plan(OFFERS[:1], forecasts, [make_seen("x"), make_seen("y")], now=NOW)
    lines = explain(FileName("a", "v720.mp4"), OFFERS, forecasts, plans, NO_POLICY, {}, NOW)
    assert "3.5 plays a day: a test" in lines[0]
    assert sorted("fetch" in line for line in lines[1:]) == [False, True]
    with pytest.raises(PlanError, match="no file a/nothing"):
        explain(FileName("a", "nothing"), OFFERS, forecasts, plans, NO_POLICY, {}, NOW)


def test_explain_says_of_what_may_not_be_held_that_it_may_not() -> None:
    policy = Policy(releases={"a": Release("a", at=NOW + 7200, regions=frozenset({"de"}))})
    forecasts = {"default": even(OFFERS, {"a": 1, "b": 1})}
    plans = plan(OFFERS, forecasts, [make_seen("x")], policy, {}, NOW)
    lines = explain(FileName("a", "v720.mp4"), OFFERS, forecasts, plans, policy, {}, NOW)
    assert lines[1:] == [
        "  not served before its release, in 2h 00m",
        "  x (site-a): not here: it may not be held in region default",
    ]


def test_a_diff_tells_what_comes_and_what_goes() -> None:
    before = make(OFFERS[:1], {"a": 1}, make_seen("x"))
    after = make(OFFERS, {"a": 1, "b": 1}, make_seen("x", held={package_key(OFFERS[0]): ("*",)}))
    (change,) = changes(before, after)
    assert {line.title for line in change.comes} == {"b"}
    assert (change.goes, change.stays, round(change.churn, 3)) == ((), 10, 1.0)
    (back,) = changes(after, before)
    assert {line.title for line in back.goes} == {"b"}
    assert show_changes([change])[0].startswith("x: 10 files come (13 MiB, 100.00% of what was planned), 0 go (0 B)")


def test_plans_that_hold_nothing_are_called_doubtful() -> None:
    forecasts = {"default": even(OFFERS, {})}
    plans = plan(OFFERS, forecasts, [make_seen("x")], now=NOW)
    assert doubts(plans, forecasts, OFFERS, {}, {"x": 10**9}) == [
        "region default: nothing is expected to be watched, so nothing is fetched there",
        "site site-a: its plans hold nothing at all",
    ]
    assert "the catalog offers nothing: everything that is held will be dropped" in doubts({}, {}, [], {}, {})


def test_disks_far_too_small_and_peaks_far_too_high_are_called_doubtful() -> None:
    offers = [make_offer(f"t{number}") for number in range(300)]
    small = make_seen("x", disk=14 * 1024 * 1024)
    forecasts = {"r": even(offers, dict.fromkeys((f"t{number}" for number in range(300)), 10.0**7), "r")}
    sites = {"site-a": SiteTerms(region="r")}
    plans = plan(offers, forecasts, [small], NO_POLICY, sites, NOW)
    found = doubts(plans, forecasts, offers, sites, {"x": 10**9})
    assert found[0].startswith("site site-a: its disks have room for 0.")
    assert found[1].startswith("x: ")
    assert (
        doubts({"x": msgspec.structs.replace(plans["x"], share=1.0, peak_bps=1.0)}, forecasts, offers, sites, {}) == []
    )
