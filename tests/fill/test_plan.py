from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fill.appliances import Seen
from fill.demand import Expected, Offer, Pins
from fill.errors import PlanError
from fill.plan import (
    COPY_VALUE,
    DISK_SHARE,
    NO_PINS,
    Line,
    Plan,
    decode_plan,
    encode_plan,
    explain,
    fractional_bound,
    plan,
)
from fill.popularity import FileName
from tests.fill.catalogs import MIB, NOW, make_offer, make_seen, package_key

SIDECARS = {"text-en.vtt", "v480.m3u8", "v720.m3u8", "audio-en.m3u8", "text-en.m3u8", "master.m3u8", "poster.jpg"}


def even(offers: list[Offer], plays: dict[str, float]) -> dict[FileName, Expected]:
    """Every media file of a title is played as often."""
    media = {(o.package.title, r.file) for o in offers for r in o.package.renditions if r.kind != "text"}
    return {FileName(*key): Expected(plays[key[0]], "a test") for key in media}


def make(
    offers: list[Offer], plays: dict[str, float], *seen: Seen, copies: int = 1, pins: Pins = NO_PINS
) -> dict[str, Plan]:
    return plan(offers, even(offers, plays), seen, copies=copies, now=NOW, pins=pins)


def files(lines: tuple[Line, ...]) -> set[tuple[str, str]]:
    return {(line.title, line.file) for line in lines}


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
    pins = Pins(ban=frozenset({"bad"}))
    made = make([new, banned], {"film": 1, "bad": 9}, make_seen("x", held=held), pins=pins)["x"]
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
    made = make(offers, {"top": 100, "pinned": 0.01}, seen, pins=Pins(pin=frozenset({"pinned"})))["x"]
    assert {line.title for line in made.fetches} == {"pinned"}
    assert made.gap > 0.9  # the pin costs that much, and the plan says so


def test_sites_are_planned_each_on_its_own() -> None:
    plans = make([make_offer("a")], {"a": 1}, make_seen("x", site="s1"), make_seen("y", site="s2"))
    assert plans["x"].fetches == plans["y"].fetches != ()


def test_an_appliance_lost_for_a_day_is_planned_without() -> None:
    lost = msgspec.structs.replace(make_seen("x", health="lost"), age_s=90_000.0)
    assert set(make([make_offer("a")], {"a": 1}, lost, make_seen("y"))) == {"y"}


def test_nothing_offered_is_an_empty_plan() -> None:
    made = make([], {}, make_seen("x"))["x"]
    assert (made.fetches, made.keeps, made.drops, made.gap, made.share) == ((), (), (), 0, 0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 64), st.floats(0, 100)), min_size=1, max_size=12),
    st.lists(st.integers(0, 300), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_no_disk_is_overfilled_and_no_copy_is_doubled(
    titles: list[tuple[int, float]], disks: list[int], copies: int
) -> None:
    offers = [make_offer(f"t{n}", video={"v720": size * MIB}) for n, (size, _) in enumerate(titles)]
    plays = {f"t{n}": amount for n, (_, amount) in enumerate(titles)}
    plans = make(offers, plays, *(make_seen(f"x{n}", disk=disk * MIB) for n, disk in enumerate(disks)), copies=copies)
    for number, disk in enumerate(disks):
        made = plans[f"x{number}"]
        assert made.held_bytes <= disk * MIB * DISK_SHARE
        assert len(files(made.fetches)) == len(made.fetches)
        assert 0 <= made.gap <= 1
    assert sum(made.share for made in plans.values()) <= 1.000001


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 20)), max_size=7), st.integers(0, 60))
def test_no_choice_is_worth_more_than_the_bound(items: list[tuple[float, int]], capacity: int) -> None:
    best = max(
        sum(density * size for density, size in chosen)
        for count in range(len(items) + 1)
        for chosen in itertools.combinations(items, count)
        if sum(size for _, size in chosen) <= capacity
    )
    assert best <= fractional_bound(items, capacity) * 1.000001


def test_a_plan_comes_back_from_its_bytes() -> None:
    made = make([make_offer("a")], {"a": 1}, make_seen("x"))["x"]
    assert decode_plan(encode_plan(made), "x") == made


def changed(**change: object) -> bytes:
    made = make([make_offer("a")], {"a": 1}, make_seen("x"))["x"]
    return msgspec.json.encode({**msgspec.to_builtins(made), **change})


LINE = {"title": "a", "package": "a" * 32, "file": "v.mp4", "size": 1, "value": 1.0, "reason": "x"}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no plan"),
        (b"{}", "no plan"),
        (b"\xff", "no plan"),
        (changed(format=2), "format 2"),
        (changed(appliance="other"), "that of 'other'"),
        (changed(fetches=[{**LINE, "file": "../../etc/passwd"}]), "cannot be"),
        (changed(fetches=[{**LINE, "file": "*"}]), "cannot be"),
        (changed(drops=[{**LINE, "title": "/"}]), "cannot be"),
        (changed(keeps=[{**LINE, "package": "x"}]), "cannot be"),
        (changed(fetches=[{**LINE, "size": -1}]), "cannot be"),
    ],
)
def test_bad_plans_are_refused_with_the_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        decode_plan(data, "x")


def test_a_drop_may_name_a_whole_package() -> None:
    assert decode_plan(changed(drops=[{**LINE, "file": "*"}]), "x").drops[0].file == "*"


def test_explain_says_where_a_file_goes_and_why() -> None:
    offers = [make_offer("a")]
    expected = even(offers, {"a": 3.5})
    plans = plan(offers, expected, [make_seen("x"), make_seen("y")], copies=1, now=NOW)
    lines = explain(FileName("a", "v720.mp4"), offers, expected, plans)
    assert "3.5 plays a day" in lines[0]
    assert sorted("fetch" in line for line in lines[1:]) == [False, True]
    with pytest.raises(PlanError, match="no file a/nothing"):
        explain(FileName("a", "nothing"), offers, expected, plans)
