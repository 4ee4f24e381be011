from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fill.forecast.expected import Expected, Forecast
from fill.names import FileName
from fill.planner.plan import Plan, plan
from fill.planner.terms import SiteTerms
from fill.policy import Policy, Release
from tests.fill.catalogs import MIB, NOW, make_offer, make_seen, package_key
from tests.fill.planner.fleets import SIDECARS, even, files, make

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


def one_gives_what_another_is_to_copy() -> dict[str, Plan]:
    """`b` holds t0 and has room for one title only; t1 is worth more, and t0 is to move to `a`, which is empty."""
    t0, t1 = make_offer("t0", video={"v": 12 * MIB}), make_offer("t1", video={"v": 4 * MIB})
    seen = [make_seen("a", disk=16 * MIB), make_seen("b", disk=16 * MIB, held={package_key(t0): ("*",)})]
    return make([t0, t1], {"t0": 5.0, "t1": 100.0}, *seen, policy=Policy(pin=frozenset({"t1"})))


def test_who_copies_a_file_has_somebody_to_copy_it_from() -> None:
    plans = one_gives_what_another_is_to_copy()
    dropped = {line.key for line in plans["b"].drops}
    assert not [line for line in plans["a"].fetches if not line.master and line.key in dropped]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 24), st.floats(0.1, 100)), min_size=2, max_size=10),
    st.lists(st.tuples(st.integers(10, 80), st.sets(st.integers(0, 9))), min_size=2, max_size=4),
    st.integers(1, 2),
    st.sampled_from([None, 0, 30 * MIB]),
)
def test_what_is_copied_is_held_by_somebody_who_keeps_it_or_has_a_master(
    titles: list[tuple[int, float]], disks: list[tuple[int, set[int]]], copies: int, budget: int | None
) -> None:
    offers = [make_offer(f"t{n}", video={"v720": size * MIB}) for n, (size, _) in enumerate(titles)]
    plays = {f"t{n}": amount for n, (_, amount) in enumerate(titles)}
    seen = []
    for number, (disk, numbers) in enumerate(disks):
        held, room = {}, disk * MIB
        for offer in (offers[n] for n in sorted(numbers) if n < len(offers)):
            if offer.package.size <= room:
                room -= offer.package.size
                held[package_key(offer)] = ("*",)
        seen.append(make_seen(f"x{number}", disk=disk * MIB, held=held))
    plans = make(offers, plays, *seen, copies=copies, terms=SiteTerms(budget_bytes=budget))
    fetches = [line for made in plans.values() for line in made.fetches]
    has_source = {line.key for made in plans.values() for line in made.keeps}
    has_source |= {line.key for line in fetches if line.master}
    assert {line.key for line in fetches} <= has_source
    if budget is not None:
        assert sum(line.size for line in fetches if line.master) <= budget
    for made in plans.values():
        moves = [line.reason.startswith("its place is on") and "which has it" not in line.reason for line in made.drops]
        assert moves == sorted(moves)


def test_what_goes_beside_a_title_comes_with_the_first_of_its_media_that_does() -> None:
    offer = make_offer("film")
    plays = {"v480.mp4": 100.0, "audio-en.mp4": 50.0, "v720.mp4": 10.0}
    expected = {FileName("film", file): Expected(amount, "a test") for file, amount in plays.items()}
    forecast = Forecast("default", NOW, "test", expected, np.full(24, 1 / 24))
    only = {"site-a": frozenset({FileName("film", "v720.mp4")})}
    made = plan([offer], {"default": forecast}, [make_seen("a")], sites={"site-a": SiteTerms()}, now=NOW, by_day=only)
    assert {line.file for line in made["a"].fetches} == {"v720.mp4", *SIDECARS}
    assert made["a"].fetches[-1].file == "v720.mp4"


def replaced(published_s_ago: float, *, superseded: bool = True, disk: int = 100 * MIB, by_day: bool = False) -> Plan:
    """An appliance that holds a film's old package, of which there is a new one."""
    old = make_offer("film", seed="1")
    new = make_offer("film", seed="2", age_s=published_s_ago)
    new = replace(new, superseded=(old.package_name,) if superseded else ())
    seen = make_seen("x", disk=disk, held={package_key(old): ("*",)})
    only = {"site-a": frozenset(FileName("film", file.name) for file in new.package.files)} if by_day else None
    return plan([new], {"default": even([new], {"film": 5.0})}, [seen], now=NOW, by_day=only)["x"]


def test_an_earlier_package_is_left_to_its_players_for_some_hours_and_by_day() -> None:
    assert replaced(60.0).drops == ()
    assert replaced(60.0, by_day=True).drops == ()
    assert replaced(86400.0, by_day=True).drops == ()
    assert {line.title for line in replaced(60.0).fetches} == {"film"}


def test_an_earlier_package_goes_the_next_night_and_at_once_if_it_is_not_served_any_more() -> None:
    for made in (replaced(86400.0), replaced(60.0, superseded=False), replaced(60.0, superseded=False, by_day=True)):
        assert [line.reason.partition(" package ")[0] for line in made.drops] == ["replaced by"]


def test_an_earlier_package_makes_room_where_there_is_none_for_both() -> None:
    made = replaced(60.0, disk=20 * MIB)
    assert [(line.title, line.file) for line in made.drops] == [("film", "*")]
    assert made.fetches


def test_a_banned_title_leaves_no_earlier_package_either() -> None:
    old, new = make_offer("film", seed="1"), make_offer("film", seed="2", age_s=60.0)
    new = replace(new, superseded=(old.package_name,))
    seen = make_seen("x", held={package_key(old): ("v720.mp4",)})
    made = make([new], {"film": 5.0}, seen, policy=Policy(ban=frozenset({"film"})))["x"]
    assert [(line.file, line.reason) for line in made.drops] == [("v720.mp4", "banned")]


def test_a_rate_of_nothing_is_not_written_as_no_limit() -> None:
    terms = SiteTerms(day_rate_bps=0)
    only = {"site-a": frozenset[FileName]()}
    made = plan(OFFERS, {"default": even(OFFERS, PLAYS)}, [make_seen("a")], sites={"site-a": terms}, by_day=only)["a"]
    assert (made.fetches, made.rate_bps) == ((), 1)


def test_a_drop_says_who_has_the_file_instead_and_what_its_room_goes_to() -> None:
    wanted, top = make_offer("wanted"), make_offer("top")
    size = wanted.package.size
    full = int(size / 0.95) + 1
    held = {package_key(wanted): ("*",)}
    seen = [make_seen("x", disk=full, held=held), make_seen("y", disk=full, held=held)]
    plans = make([wanted, top], {"wanted": 5.0, "top": 500.0}, *seen)
    (giver,) = (made for made in plans.values() if made.fetches)
    (keeper,) = (made for made in plans.values() if not made.fetches)
    assert {line.reason for line in giver.drops} == {f"its place is on {keeper.appliance}, which has it"}
    alone = make([wanted, top], {"wanted": 5.0, "top": 500.0}, seen[0])["x"]
    reasons = {line.file: line.reason for line in alone.drops}
    assert reasons["v720.mp4"] == "5 plays a day; its room goes to what has at least 5e+02"
    assert reasons["poster.jpg"] == "nothing is expected of it, and its room is needed"
