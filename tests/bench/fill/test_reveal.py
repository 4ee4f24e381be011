from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.fill.reading import Lists, read_lists
from bench.fill.reveal import Demand, Evening, evenings
from bench.fill.sample import LISTS_HEADER, lists


@pytest.fixture(scope="module")
def made() -> Lists:
    return read_lists("made", LISTS_HEADER, iter(lists(days=8, countries=("AA", "BB"))))


def test_the_future_changes_nothing_of_what_an_evening_knows(made: Lists) -> None:
    """The days from the fifth on are dealt anew: the evenings before know the same."""
    shuffled = np.random.default_rng(1).permutation(np.flatnonzero(made.day >= 4))
    views = made.views.copy()
    views[made.day >= 4] = made.views[shuffled]
    known = list(evenings(made))
    for before, after in zip(known, evenings(replace(made, views=views)), strict=True):
        if before.day <= 4:  # the evening of the fourth day, number 3
            np.testing.assert_array_equal(before.candidates.features, after.candidates.features)
            np.testing.assert_array_equal(before.candidates.item, after.candidates.item)


def test_nobody_beats_the_oracle_and_no_plan_what_was_published(made: Lists) -> None:
    for evening in evenings(made):
        demand = evening.demand
        perfect = evening.score(demand.of(evening.candidates.item), 10)
        assert perfect <= demand.best_published(10) / demand.best(10) + 1e-9 <= 1 + 2e-9


def test_what_was_published_after_the_plan_is_no_candidate(made: Lists) -> None:
    for evening in evenings(made):
        new = evening.demand.item[~evening.demand.is_published]
        assert not np.isin(new, evening.candidates.item).any()


def test_a_missing_day_is_not_scored(made: Lists) -> None:
    chosen = made.day != 3
    columns = ("day", "country", "item", "position", "views", "likes", "published", "category", "duration")
    gap = replace(made, **{name: getattr(made, name)[chosen] for name in columns})
    assert {evening.day for evening in evenings(gap)} == {1, 2, 5, 6, 7}


def test_demand_of_what_is_not_in_the_list_is_nothing() -> None:
    demand = Demand(np.array([5, 3]), np.array([10.0, 20.0]), np.array([True, False]), np.array([5, 3]))
    assert demand.of(np.array([3, 4, 5, 9])).tolist() == [20.0, 0.0, 10.0, 0.0]
    assert (demand.best(1), demand.best_published(1)) == (20.0, 10.0)


def test_an_evening_scores_its_choice_by_the_best(made: Lists) -> None:
    evening: Evening = next(iter(evenings(made)))
    assert evening.score(evening.demand.of(evening.candidates.item), 50) > 0.2
    assert evening.score(-evening.demand.of(evening.candidates.item), 1) == 0
