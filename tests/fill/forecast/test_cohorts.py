from __future__ import annotations

import pytest

from fill.forecast.cohorts import FIRST_PLAYS, NEW_SHARE, cohorts, show_of
from fill.policy import Release


@pytest.mark.parametrize(
    ("title", "show"),
    [
        ("dark-s02e03", "dark"), ("dark-s02", "dark"), ("dark-season-2", "dark"), ("dark-2", "dark"),
        ("dark-s02-e03", "dark"), ("dark", "dark"), ("2001", "2001"), ("blade-runner-2049", "blade-runner"),
    ],
)  # fmt: skip
def test_seasons_and_episodes_are_of_their_show(title: str, show: str) -> None:
    assert show_of(title) == show


def test_other_regions_are_scaled_by_what_both_watch() -> None:
    told = cohorts({"a": 10.0}, [{"a": 100.0, "b": 50.0}])
    assert told.of_new("b", Release("b")).plays == pytest.approx(5)


def test_a_region_that_watched_nothing_expects_the_usual_first_plays() -> None:
    assert cohorts({}, []).of_new("a", Release("a")).plays == FIRST_PLAYS


def test_a_show_counts_before_other_regions() -> None:
    told = cohorts({"dark-s01": 10.0, "a": 2.0}, [{"a": 2.0, "dark-s02": 50.0}])
    prior = told.of_new("dark-s02", Release("dark-s02"))
    assert prior.plays == 10
    assert "same show" in prior.reason


def test_new_titles_share_an_audience_and_a_single_one_may_be_like_the_others() -> None:
    watched = {f"t{number}x": 10.0 for number in range(100)}
    assert cohorts(watched, [], 1).of_new("new", Release("new")).plays == pytest.approx(10)
    assert cohorts(watched, [], 1000).of_new("new", Release("new")).plays == pytest.approx(NEW_SHARE)
    assert cohorts({"a": 10.0}, [], 2).of_new("new", Release("new")).plays == pytest.approx(5)
    assert cohorts({}, [], 1000).of_new("new", Release("new")).plays == FIRST_PLAYS
