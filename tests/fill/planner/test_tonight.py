from __future__ import annotations

from fill.planner.terms import SiteTerms
from fill.policy import Policy, Release
from tests.fill.catalogs import MIB, NOW, make_offer, make_seen, package_key
from tests.fill.planner.fleets import files, make

OFFERS = [make_offer(f"t{number}") for number in range(10)]
PLAYS = {f"t{number}": number + 1.0 for number in range(10)}


def test_a_night_brings_what_window_and_rate_allow_and_the_rest_is_left() -> None:
    hour = SiteTerms(window_s=3600.0, rate_bps=40 * MIB * 8 // 3600)  # 40 MiB
    made = make(OFFERS, PLAYS, make_seen("x"), terms=hour)["x"]
    assert 30 * MIB < made.fetch_bytes <= 40 * MIB
    assert {line.title for line in made.fetches} >= {"t9", "t8", "t7"}
    assert made.left_files + len(made.fetches) == sum(len(offer.package.files) for offer in OFFERS)
    assert made.rate_bps == hour.rate_bps


def test_nothing_is_dropped_for_what_is_left_for_later() -> None:
    held = {package_key(offer): ("*",) for offer in OFFERS[:5]}
    size = OFFERS[0].package.size
    slow = SiteTerms(window_s=3600.0, rate_bps=int(1.5 * size * 8 / 3600))
    seen = make_seen("x", disk=int(5 * size / 0.95) + 20, held=held)
    assert {line.title for line in make(OFFERS, PLAYS, seen)["x"].drops} == {"t0", "t1", "t2", "t3"}
    made = make(OFFERS, PLAYS, seen, terms=slow)["x"]
    assert size <= made.fetch_bytes <= 1.5 * size
    # What goes first is what is worth least, and no more of it than the night's fetches need.
    assert {line.title for line in made.drops} <= {"t0", "t1"}
    assert made.held_bytes <= 5 * size + 20


def test_the_months_budget_is_spread_over_the_nights_that_are_left() -> None:
    terms = SiteTerms(budget_bytes=400 * MIB, nights_left=10)
    plans = make(OFFERS, PLAYS, make_seen("x"), make_seen("y"), terms=terms, copies=2)
    from_outside = sum(line.size for made in plans.values() for line in made.fetches if line.master)
    assert 25 * MIB < from_outside <= 40 * MIB
    assert sum(made.budget_bytes for made in plans.values()) <= 40 * MIB
    # A copy from a peer costs no budget.
    assert files(plans["x"].fetches) == files(plans["y"].fetches)


def test_a_budget_that_is_used_up_brings_nothing_from_outside() -> None:
    made = make(OFFERS, PLAYS, make_seen("x"), terms=SiteTerms(budget_bytes=0, nights_left=3))["x"]
    assert made.fetches == ()
    assert made.left_files == 100
    assert made.budget_bytes == 1  # 0 would be no limit


def test_a_committed_percentile_limits_the_rate_of_a_long_window_only() -> None:
    long = SiteTerms(window_s=8 * 3600.0, rate_bps=1000, link_bps=100)
    assert (long.rate_of_each(2), long.bytes_of_each(2)) == (50, 50 * 3600)
    short = SiteTerms(window_s=3600.0, agreed_s=3600.0, rate_bps=1000, link_bps=100)
    assert short.rate_of_each(2) == 1000


def test_each_file_has_as_many_masters_as_agreed_and_none_that_a_peer_holds() -> None:
    offers = OFFERS[:4]
    holder = make_seen("w", held={package_key(offers[0]): ("*",)})
    plans = make(offers, PLAYS, holder, *(make_seen(name) for name in "xyz"), copies=4, terms=SiteTerms(masters=2))
    for offer in offers:
        title = offer.package.title
        masters = [line for made in plans.values() for line in made.fetches if line.title == title and line.master]
        expected = 0 if title == "t0" else 2
        assert len([line for line in masters if line.file == "v720.mp4"]) == expected


def test_a_release_comes_before_what_is_watched_more_when_a_night_is_short() -> None:
    size = OFFERS[0].package.size
    terms = SiteTerms(window_s=3600.0, rate_bps=int(1.2 * size * 8 / 3600))
    policy = Policy(releases={"t0": Release("t0", at=NOW + 12 * 3600)})
    made = make(OFFERS, PLAYS, make_seen("x"), terms=terms, policy=policy)["x"]
    assert {line.title for line in made.fetches if line.file == "v720.mp4"} == {"t0"}


def test_what_may_not_be_held_goes_at_once_even_if_nothing_comes() -> None:
    held = {package_key(OFFERS[0]): ("*",), f"gone/{'a' * 32}": ("*",)}
    terms = SiteTerms(budget_bytes=0)
    made = make(OFFERS, PLAYS, make_seen("x", held=held), terms=terms, policy=Policy(ban=frozenset({"t0"})))["x"]
    assert {line.title: line.reason for line in made.drops} == {"t0": "banned", "gone": "not offered any more"}
