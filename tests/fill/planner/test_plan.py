from __future__ import annotations

import math
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fill.forecast.expected import Expected, Forecast
from fill.names import FileName
from fill.planner.cluster import COPY_VALUE
from fill.planner.plan import Plan, plan
from fill.planner.terms import SiteTerms
from fill.policy import NO_POLICY, Policy, Release
from tests.fill.catalogs import MIB, NOW, make_offer, make_seen, package_key
from tests.fill.planner.fleets import SIDECARS, even, files, make

DISK_SHARE = 0.95


def test_everything_goes_everywhere_where_there_is_room_and_copies_for_it() -> None:
    offers = [make_offer("a"), make_offer("b")]
    plans = make(offers, {"a": 1, "b": 2}, make_seen("x"), make_seen("y"), copies=2)
    every = {(offer.package.title, file.name) for offer in offers for file in offer.package.files}
    assert files(plans["x"].fetches) == files(plans["y"].fetches) == every
    assert plans["x"].gap == pytest.approx(0)


def test_what_is_watched_more_comes_first_and_sidecars_before_the_media() -> None:
    fetches = make([make_offer("a"), make_offer("b")], {"a": 1, "b": 2}, make_seen("x"))["x"].fetches
    assert [line.title for line in fetches] == ["b"] * 10 + ["a"] * 10
    assert {line.file for line in fetches[:7]} == SIDECARS
    assert fetches[7].value == pytest.approx(2 * fetches[7].size)
    assert all(line.reason for line in fetches)


def test_a_small_disk_holds_the_files_worth_most_and_is_never_overfilled() -> None:
    offers = [make_offer(f"t{number}") for number in range(10)]
    seen = make_seen("x", disk=40 * MIB)
    made = make(offers, {f"t{number}": number + 1 for number in range(10)}, seen)["x"]
    assert made.held_bytes <= 40 * MIB * DISK_SHARE
    assert {line.title for line in made.fetches} >= {"t9", "t8"}
    assert made.gap < 0.1


def test_a_title_whose_media_does_not_fit_brings_no_sidecars() -> None:
    made = make([make_offer("a", audio=4 * MIB)], {"a": 1}, make_seen("x", disk=2 * MIB))["x"]
    assert (made.fetches, made.keeps, made.drops) == ((), (), ())


def test_copies_go_to_different_appliances_and_no_further() -> None:
    offers = [make_offer(f"t{number}") for number in range(20)]
    plays = dict.fromkeys((offer.package.title for offer in offers), 1.0)
    plans = make(offers, plays, *(make_seen(name) for name in "wxyz"), copies=2)
    for offer in offers:
        homes = [name for name, made in plans.items() if (offer.package.title, "v720.mp4") in files(made.fetches)]
        assert len(homes) == 2
    assert sum(made.share for made in plans.values()) == pytest.approx(1)


def test_a_second_copy_of_the_top_title_waits_for_the_tail() -> None:
    offers = [make_offer("top"), make_offer("tail")]
    # Room for two titles on the two together: the second copy of the first is worth less than the tail's only one.
    size = offers[0].package.size
    seen = [make_seen(name, disk=int(size / DISK_SHARE) + 1) for name in "xy"]
    plans = make(offers, {"top": 1, "tail": 2 * COPY_VALUE}, *seen, copies=2)
    held = {title for made in plans.values() for title, _ in files(made.fetches)}
    assert held == {"top", "tail"}


def test_held_files_are_kept_and_not_fetched_again() -> None:
    offer = make_offer("a")
    made = make([offer], {"a": 1}, make_seen("x", held={package_key(offer): ("*",)}))["x"]
    assert (made.fetches, made.drops) == ((), ())
    assert len(made.keeps) == len(offer.package.files)


def one_or_other(plays_of_new: float) -> Plan:
    """An appliance with room for one title holds `old` (1 play a day), and `new` comes."""
    old, new = make_offer("old"), make_offer("new")
    seen = make_seen("x", disk=int(old.package.size / DISK_SHARE) + 1, held={package_key(old): ("*",)})
    return make([old, new], {"old": 1.0, "new": plays_of_new}, seen)["x"]


def test_a_held_title_is_not_given_up_for_one_that_is_hardly_better() -> None:
    made = one_or_other(1.2)
    assert (made.fetches, made.drops) == ((), ())


def test_a_held_title_gives_way_to_one_that_is_clearly_better() -> None:
    made = one_or_other(1.3)
    assert {line.title for line in made.fetches} == {"new"}
    assert {line.title for line in made.drops} == {"old"}
    video = next(line for line in made.drops if line.file == "v720.mp4")
    assert "1 plays a day; its room goes to what has at least 1.3" in video.reason


def test_what_belongs_elsewhere_stays_while_there_is_room() -> None:
    offers = [make_offer(f"t{number}") for number in range(10)]
    held = {package_key(offer): ("*",) for offer in offers}
    plays = dict.fromkeys((offer.package.title for offer in offers), 1.0)
    plans = make(offers, plays, make_seen("x", held=held), make_seen("y"))
    assert plans["x"].drops == ()
    assert plans["y"].fetches != ()


def test_replaced_withdrawn_and_banned_titles_are_dropped_with_the_reason() -> None:
    new, banned = make_offer("film", seed="2"), make_offer("bad")
    old = make_offer("film", seed="1")
    held = {package_key(old): ("v720.mp4",), f"gone/{'a' * 32}": ("*",), package_key(banned): ("v720.mp4",)}
    policy = Policy(ban=frozenset({"bad"}))
    made = make([new, banned], {"film": 1, "bad": 9}, make_seen("x", held=held), policy=policy)["x"]
    reasons = {(line.title, line.file): line.reason for line in made.drops}
    assert reasons == {
        ("film", "v720.mp4"): f"replaced by package {new.package_name}",
        ("gone", "*"): "not offered any more",
        ("bad", "v720.mp4"): "banned",
    }
    assert {line.title for line in made.fetches} == {"film"}


def test_pinned_titles_come_before_everything() -> None:
    offers = [make_offer("top"), make_offer("pinned")]
    seen = make_seen("x", disk=int(offers[0].package.size / DISK_SHARE) + 1)
    made = make(offers, {"top": 100, "pinned": 0.01}, seen, policy=Policy(pin=frozenset({"pinned"})))["x"]
    assert {line.title for line in made.fetches} == {"pinned"}
    assert made.gap > 0.9  # the pin costs that much, and the plan says so


def test_a_pinned_title_is_held_where_nothing_is_expected_of_it() -> None:
    for forecasts in ({}, {"default": even([make_offer("b")], {"b": 5.0})}):
        made = plan([make_offer("film")], forecasts, [make_seen("a")], Policy(pin=frozenset({"film"})), {}, NOW)["a"]
        assert {line.file for line in made.fetches} == {file.name for file in make_offer("film").package.files}
        assert {line.reason for line in made.fetches} == {"pinned", "goes with its title"}


def test_a_further_copy_of_a_pinned_title_does_not_displace_what_is_watched() -> None:
    offers = [make_offer("pinned"), make_offer("hot")]
    seen = [make_seen(name, disk=int(offers[0].package.size / DISK_SHARE) + 1) for name in "xy"]
    policy = Policy(pin=frozenset({"pinned"}))
    plans = make(offers, {"pinned": 0.01, "hot": 1e6}, *seen, copies=2, policy=policy)
    assert {title for made in plans.values() for title, _ in files(made.fetches)} == {"pinned", "hot"}


def test_plans_depend_neither_on_the_order_of_offers_nor_on_that_of_appliances() -> None:
    random = Random(1)
    offers = [make_offer(f"t{number}", video={"v": random.randint(1, 40) * MIB // 7}) for number in range(40)]
    plays = {offer.package.title: random.paretovariate(0.8) for offer in offers}
    seen = [make_seen(name, disk=50 * MIB) for name in "xyz"]
    assert make(offers, plays, *seen, copies=2) == make(offers[::-1], plays, *seen[::-1], copies=2)


def test_what_a_damaged_report_claims_leaves_the_others_their_plans() -> None:
    boast = make_seen("x", disk=10**30)
    boast = msgspec.structs.replace(boast, report=msgspec.structs.replace(boast.report, capacity_bps=10**400))
    plans = make([make_offer("a")], {"a": 1.0}, boast, make_seen("y"))
    assert sum(made.share for made in plans.values()) == pytest.approx(1)


def test_sites_are_planned_each_on_its_own() -> None:
    plans = make([make_offer("a")], {"a": 1}, make_seen("x", site="s1"), make_seen("y", site="s2"))
    assert plans["x"].fetches == plans["y"].fetches != ()


def test_sites_are_planned_by_the_forecast_of_their_region() -> None:
    offers = [make_offer("north"), make_offer("south")]
    disk = int(offers[0].package.size / DISK_SHARE) + 1
    seen = [make_seen("x", site="n", disk=disk), make_seen("y", site="s", disk=disk)]
    forecasts = {
        "no": even(offers, {"north": 9.0, "south": 1.0}, "no"),
        "so": even(offers, {"north": 1.0, "south": 9.0}, "so"),
    }
    sites = {"n": SiteTerms(region="no"), "s": SiteTerms(region="so")}
    plans = plan(offers, forecasts, seen, NO_POLICY, sites, NOW)
    assert {line.title for line in plans["x"].fetches} == {"north"}
    assert {line.title for line in plans["y"].fetches} == {"south"}


def test_an_appliance_lost_for_a_day_is_planned_without() -> None:
    lost = msgspec.structs.replace(make_seen("x", health="lost"), age_s=90_000.0)
    assert set(make([make_offer("a")], {"a": 1}, lost, make_seen("y"))) == {"y"}


def test_nothing_offered_is_an_empty_plan() -> None:
    made = make([], {}, make_seen("x"))["x"]
    assert (made.fetches, made.keeps, made.drops, made.gap, made.share) == ((), (), (), 0, 0)


def test_without_a_forecast_nothing_is_fetched_and_nothing_is_dropped() -> None:
    offers = [make_offer("a"), make_offer("b")]
    seen = make_seen("x", held={package_key(offers[0]): ("*",)})
    made = plan(offers, {}, [seen], NO_POLICY, {}, NOW)["x"]
    assert (made.fetches, made.drops) == ((), ())
    assert {line.title for line in made.keeps} == {"a"}


@pytest.mark.parametrize("plays", [math.nan, math.inf, -math.inf, -1.0])
def test_a_nonsensical_expectation_counts_as_nothing(plays: float) -> None:
    offers = [make_offer("a"), make_offer("b")]
    forecast = even(offers, {"a": 1.0, "b": plays})
    broken = Forecast("default", NOW, "test", forecast.expected, np.full(24, math.nan))
    made = plan(offers, {"default": broken}, [make_seen("x")], NO_POLICY, {}, NOW)["x"]
    assert {line.title for line in made.fetches} == {"a"}
    assert all(math.isfinite(line.value) for line in made.fetches)
    assert math.isfinite(made.bound)
    assert math.isfinite(made.peak_bps)


def test_a_disk_half_the_size_it_claimed_gives_up_what_is_worth_least() -> None:
    offers = [make_offer(f"t{number}") for number in range(10)]
    held = {package_key(offer): ("*",) for offer in offers}
    size = sum(offer.package.size for offer in offers)
    made = make(offers, {f"t{n}": n + 1.0 for n in range(10)}, make_seen("x", disk=size // 2, held=held))["x"]
    assert made.held_bytes <= size // 2 * DISK_SHARE
    assert made.fetches == ()
    assert "t0" in {line.title for line in made.drops}
    assert "t9" not in {line.title for line in made.drops}


def test_appliances_without_disk_or_rate_leave_the_others_their_plans() -> None:
    offers = [make_offer(f"t{number}") for number in range(6)]
    plays = dict.fromkeys((offer.package.title for offer in offers), 1.0)
    idle = make_seen("y")
    idle = msgspec.structs.replace(idle, report=msgspec.structs.replace(idle.report, capacity_bps=0))
    plans = make(offers, plays, make_seen("x"), idle, make_seen("z", disk=0))
    assert {line.title for line in plans["x"].fetches} == set(plays)
    assert plans["y"].fetches == plans["z"].fetches == ()


def test_a_title_too_hot_for_one_appliance_has_as_many_copies_as_its_peak_takes() -> None:
    offers = [make_offer("hot"), make_offer("cold")]
    # 13 MiB x 2,500,000 plays a day, evenly, are 3.2 Gbit/s over appliances of 1 Gbit/s.
    seen = [make_seen(name) for name in "uvwxyz"]
    plans = make(offers, {"hot": 2_500_000.0, "cold": 1.0}, *seen)
    holders = [name for name, made in plans.items() if ("hot", "v720.mp4") in files(made.fetches)]
    assert len(holders) == 4
    assert all(plans[name].peak_bps < 1e9 for name in holders)
    assert sum(made.share for made in plans.values()) == pytest.approx(1)


def test_the_large_slow_appliance_stores_and_the_small_fast_one_serves() -> None:
    offers = [make_offer(f"t{number}") for number in range(200)]
    plays = {f"t{number}": 100_000.0 / (number + 1) for number in range(200)}
    size = offers[0].package.size
    slow, fast = make_seen("slow", disk=200 * size), make_seen("fast", disk=40 * size)
    slow = msgspec.structs.replace(slow, report=msgspec.structs.replace(slow.report, capacity_bps=10**9))
    fast = msgspec.structs.replace(fast, report=msgspec.structs.replace(fast.report, capacity_bps=4 * 10**9))
    plans = make(offers, plays, slow, fast)
    assert plans["fast"].peak_bps > 2 * plans["slow"].peak_bps
    assert len(plans["slow"].fetches) > 2 * len(plans["fast"].fetches)
    assert sum(made.share for made in plans.values()) > 0.99


def test_a_title_is_filled_before_its_release_and_first() -> None:
    offers = [make_offer("top"), make_offer("coming")]
    policy = Policy(releases={"coming": Release("coming", at=NOW + 20 * 3600)})
    made = make(offers, {"top": 100, "coming": 0.5}, make_seen("x"), policy=policy)["x"]
    assert [line.title for line in made.fetches[:10]] == ["coming"] * 10
    assert {line.not_before for line in made.fetches[:10]} == {NOW + 20 * 3600}
    assert {line.not_before for line in made.fetches[10:]} == {0.0}


def test_a_title_is_dropped_when_its_licence_ends_and_never_held_elsewhere() -> None:
    offers = [make_offer("over"), make_offer("abroad")]
    held = {package_key(offer): ("*",) for offer in offers}
    releases = {
        "over": Release("over", until=NOW - 1),
        "abroad": Release("abroad", regions=frozenset({"de"})),
    }
    made = make(offers, {"over": 5, "abroad": 5}, make_seen("x", held=held), policy=Policy(releases=releases))["x"]
    assert (made.fetches, made.keeps) == ((), ())
    assert {line.title: line.reason for line in made.drops} == {
        "over": "its licence is over",
        "abroad": "not licensed in region default",
    }


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 64), st.floats(0, 100)), min_size=1, max_size=12),
    st.lists(st.integers(0, 300), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sets(st.integers(0, 11)),
)
def test_no_disk_is_overfilled_and_no_copy_is_doubled(
    titles: list[tuple[int, float]], disks: list[int], copies: int, held: set[int]
) -> None:
    offers = [make_offer(f"t{n}", video={"v720": size * MIB}) for n, (size, _) in enumerate(titles)]
    plays = {f"t{n}": amount for n, (_, amount) in enumerate(titles)}
    has = {package_key(offers[n]): ("*",) for n in held if n < len(offers)}
    seen = [make_seen(f"x{n}", disk=disk * MIB, held=has if n == 0 else None) for n, disk in enumerate(disks)]
    plans = make(offers, plays, *seen, copies=copies)
    for number, disk in enumerate(disks):
        made = plans[f"x{number}"]
        assert made.held_bytes <= disk * MIB * DISK_SHARE
        assert len(files(made.fetches)) == len(made.fetches)
        assert not files(made.fetches) & files(made.keeps)
        assert not files(made.drops) & files(made.keeps)
        assert 0 <= made.gap <= 1
    assert sum(made.share for made in plans.values()) <= 1.000001


NAMES = [f"x{number}" for number in range(20)]
MANY = [make_offer(f"t{number}", video={"v720": MIB}) for number in range(1000)]
RANKED = {f"t{number}": 1000.0 / (number + 1) for number in range(1000)}
# Half of the catalogue fits.
DISK = sum(offer.package.size for offer in MANY) // 40


def holding(plans: dict[str, Plan]) -> dict[str, dict[str, tuple[str, ...]]]:
    """What each appliance holds when its plan is done."""
    held: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in plans}
    for name, made in plans.items():
        for line in (*made.keeps, *made.fetches):
            key = f"{line.title}/{line.package}"
            held[name][key] = (*held[name].get(key, ()), line.file)
    return held


def test_losing_one_of_twenty_appliances_moves_little_more_than_its_share() -> None:
    before = make(MANY, RANKED, *(make_seen(name, disk=DISK) for name in NAMES))
    held = holding(before)
    after = make(MANY, RANKED, *(make_seen(name, disk=DISK, held=held[name]) for name in NAMES[1:]))
    assert sum(made.fetch_bytes for made in after.values()) <= 1.1 * before["x0"].held_bytes


def test_adding_one_to_twenty_appliances_moves_little_more_than_its_share() -> None:
    held = holding(make(MANY, RANKED, *(make_seen(name, disk=DISK) for name in NAMES)))
    seen = [make_seen(name, disk=DISK, held=held[name]) for name in NAMES]
    after = make(MANY, RANKED, *seen, make_seen("new", disk=DISK))
    assert after["new"].fetch_bytes > DISK / 2
    assert sum(made.fetch_bytes for made in after.values()) <= 1.1 * DISK


def test_the_nights_after_an_appliance_came_move_next_to_nothing() -> None:
    offers = [
        make_offer(f"t{n}", video={f"v{h}": h * MIB // 100 for h in (240, 480, 1080)}, audio=MIB // 9)
        for n in range(300)
    ]
    expected = {}
    random = Random(7)
    for rank, offer in enumerate(offers, 1):
        for rendition in offer.package.renditions:
            if rendition.kind != "text":
                name = FileName(offer.package.title, rendition.file)
                expected[name] = Expected(1e4 / rank * random.uniform(0.05, 0.4), "a test")
    forecast = Forecast("default", NOW, "test", expected, np.full(24, 1 / 24))
    disk = sum(offer.package.size for offer in offers) // 60
    held: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in NAMES}
    moved = []
    for night in range(5):
        if night == 2:
            held["new"] = {}
        seen = [make_seen(name, disk=disk, held=has) for name, has in held.items()]
        plans = plan(offers, {"default": forecast}, seen, now=NOW, copies=2)
        moved.append(sum(made.fetch_bytes for made in plans.values()) / disk)
        assert max(made.gap for made in plans.values()) < 0.01
        held = holding(plans)
    assert moved[1] < 0.05 * len(NAMES)
    assert moved[2] + moved[3] + moved[4] < 1.5


def test_expectations_of_files_that_are_not_offered_are_passed_over() -> None:
    offers = [make_offer("a")]
    forecast = even(offers, {"a": 1.0})
    expected = {**forecast.expected, FileName("ghost", "v.mp4"): Expected(9.0, "a test")}
    made = plan(
        offers, {"default": Forecast("default", NOW, "test", expected, forecast.hours)}, [make_seen("x")], now=NOW
    )["x"]
    assert {line.title for line in made.fetches} == {"a"}
