from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.playback import PENALTY_S, Choice, Pace, Pathways, Screen, Throughput, choose_offer, next_track
from bench.presentation import Offer

LADDER = (Offer("v234", 300_000), Offer("v360", 900_000), Offer("v720", 3_000_000))
NAMES = st.lists(st.sampled_from("abcdef"), unique=True, min_size=1)


def test_the_first_of_the_order_is_chosen() -> None:
    assert Pathways(["a", "b"]).choose(0.0) == "a"


def test_steering_changes_the_order_and_those_it_does_not_name_stay_last() -> None:
    pathways = Pathways(["a", "b", "origin"])
    pathways.follow(["b"])
    assert pathways.order == ("b", "a", "origin")


def test_pathways_that_the_presentation_does_not_have_are_ignored() -> None:
    pathways = Pathways(["a", "b"])
    pathways.follow(["x", "b", "y"])
    assert pathways.order == ("b", "a")
    pathways.follow(["x"])
    assert pathways.order == ("b", "a")


def test_a_penalised_pathway_is_left_alone_until_its_penalty_ends() -> None:
    pathways = Pathways(["a", "b"])
    pathways.penalise("a", 10.0)
    assert pathways.choose(10.0) == "b"
    assert pathways.choose(10.0 + PENALTY_S) == "a"


def test_when_all_are_penalised_the_one_that_is_free_first_is_tried() -> None:
    pathways = Pathways(["a", "b"])
    pathways.penalise("b", 0.0)
    pathways.penalise("a", 1.0)
    assert pathways.choose(2.0) == "b"
    assert pathways.is_penalised("b", 2.0)


@given(NAMES, st.lists(st.text(max_size=2)), st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1000))))
def test_whatever_steering_says_and_whatever_fails_a_pathway_of_the_presentation_is_chosen(
    listed: list[str], priority: list[str], failures: list[tuple[str, float]]
) -> None:
    pathways = Pathways(listed)
    pathways.follow(dict.fromkeys(priority))
    for pathway, now in failures:
        pathways.penalise(pathway, now)
    assert pathways.choose(500.0) in listed
    assert sorted(pathways.order) == sorted(listed)


@pytest.mark.parametrize(
    ("choice", "throughput", "expected"),
    [
        ("highest", 0.0, "v720"),
        ("lowest", 9e9, "v234"),
        ("adaptive", 0.0, "v234"),
        ("adaptive", 1_200_000.0, "v360"),
        ("adaptive", 9e9, "v720"),
    ],
)
def test_the_rendition_follows_the_choice(choice: Choice, throughput: float, expected: str) -> None:
    assert choose_offer(LADDER, choice, throughput).rendition == expected


def test_throughput_is_the_first_measurement_and_then_leans_to_the_newest() -> None:
    throughput = Throughput()
    throughput.measured(1000, 1.0)
    assert throughput.bps == 8000
    throughput.measured(2000, 1.0)
    assert 8000 < throughput.bps < 16000


def test_the_track_with_the_least_film_is_next_and_whole_ones_are_done() -> None:
    assert next_track([4.0, 3.84, 30.0], [30.0, 30.0, 30.0]) == 1
    assert next_track([30.0, 29.995], [30.0, 30.0]) is None


def test_a_picture_that_is_always_ahead_never_stalls() -> None:
    screen = Screen(Pace())
    for number in range(10):
        screen.fetched(4.0 * (number + 1), now=number * 1.0)
    assert (screen.stalls, screen.position(9.0)) == (0, 9.0)


def test_a_picture_that_runs_dry_stalls_until_more_comes() -> None:
    screen = Screen(Pace(speed=2.0))
    screen.fetched(4.0, now=10.0)  # lasts until 12
    assert screen.position(15.0) == 4.0
    screen.fetched(8.0, now=12.5)
    assert (screen.stalls, screen.stalled_s) == (1, 0.5)
    assert screen.position(13.5) == 6.0


def test_the_end_of_the_film_is_no_stall() -> None:
    screen = Screen(Pace())
    screen.fetched(4.0, now=0.0)
    assert screen.position(100.0) == 4.0
    assert screen.stalls == 0


def test_no_more_is_fetched_than_the_pace_allows() -> None:
    screen = Screen(Pace(speed=4.0, ahead_s=8.0))
    assert screen.wait_s(0.0) == 0.0
    screen.fetched(12.0, now=0.0)
    assert screen.wait_s(0.0) == pytest.approx(1.0)  # at four times the speed, 4 s of film are gone then
    assert screen.wait_s(1.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=30))
def test_the_picture_never_goes_back_nor_beyond_what_was_fetched(steps: list[tuple[float, float]]) -> None:
    screen, now, fetched, shown = Screen(Pace()), 0.0, 0.0, 0.0
    for film, wait in steps:
        now, fetched = now + wait, fetched + film
        screen.fetched(fetched, now)
        assert shown - 1e-9 <= screen.position(now) <= fetched
        shown = screen.position(now)


def test_a_clone_is_a_pathway_for_as_long_as_it_is_told_of() -> None:
    pathways = Pathways(["a", "b", "origin"])
    pathways.follow(["c", "a"], clones=["c"])
    assert list(pathways.order) == ["c", "a", "b", "origin"]
    pathways.follow(["c", "b"])
    assert list(pathways.order) == ["b", "a", "origin"]
