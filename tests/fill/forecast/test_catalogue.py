from __future__ import annotations

import numpy as np

from fill.forecast.catalogue import by_cohort, chosen, expected
from fill.forecast.terms import Term, minutes_of


def term(name: str, start: float, titles: dict[str, tuple[float, float, float]]) -> Term:
    """Titles as (hours, minutes, released), NaN where not known."""
    hours, minutes, released = (np.array(column, float) for column in zip(*titles.values(), strict=True))
    kinds = ["show" if "Season" in title else "film" for title in titles]
    return Term(name, start, start + 180, list(titles), kinds, np.ones(len(titles), bool), released, hours, minutes)


NAN = float("nan")
FIRST = term("2025Jan-Jun", 0, {"Old": (100.0, 100.0, NAN), "New: Season 1": (900.0, 100.0, 90.0)})
SECOND = term(
    "2025Jul-Dec",
    180,
    {"Old": (80.0, NAN, NAN), "New: Season 1": (300.0, NAN, 90.0), "New: Season 2": (700.0, 100.0, 200.0)},
)


def test_hours_of_the_term_to_come_are_not_looked_at() -> None:
    np.testing.assert_array_equal(expected(SECOND, [FIRST]), expected(SECOND.schedule, [FIRST]))


def test_a_further_season_is_expected_by_its_show() -> None:
    value = by_cohort(SECOND.schedule, [FIRST], minutes_of(SECOND, [FIRST]))
    assert value[2] > value[0]


def test_older_seasons_are_expected_to_be_watched_more_when_a_new_one_comes() -> None:
    without = term("2025Jul-Dec", 180, {"Old": (80.0, NAN, NAN), "New: Season 1": (300.0, NAN, 90.0)})
    minutes = np.full(3, 100.0)
    with_it, alone = by_cohort(SECOND, [FIRST], minutes), by_cohort(without, [FIRST], minutes[:2])
    assert with_it[0] == alone[0]
    assert with_it[1] > alone[1]


def test_choices_fit_and_the_densest_come_first() -> None:
    held = chosen(np.array([1.0, 3.0, 2.0]), np.array([50.0, 60.0, 50.0]), 110.0)
    assert held.tolist() == [1, 2]


def test_a_schedule_with_nothing_before_it_is_chosen_from_evenly() -> None:
    assert expected(FIRST, []).tolist() == [1.0, 1.0]


def catalogue(seed: int, start: float, count: int = 400) -> Term:
    random = np.random.default_rng(1)
    appeal = random.pareto(1.2, count) * 1e6 + 1e4
    random = np.random.default_rng(seed)
    released = np.where(np.arange(count) % 3 == 0, start + random.random(count) * 170, NAN)
    hours = appeal * random.lognormal(0, 0.2, count)
    titles = {f"Title {n}": (float(hours[n]), 60.0 + n % 90, float(released[n])) for n in range(count)}
    return term(f"t{start}", start, titles)


def test_what_is_learnt_of_two_terms_forecasts_the_third() -> None:
    past, target = [catalogue(2, 0), catalogue(3, 180)], catalogue(4, 360)
    value, minutes = expected(target.schedule, past, rounds=30), minutes_of(target, past)
    room = 0.1 * minutes.sum()
    got = target.hours[chosen(value, minutes, room)].sum()
    assert got > 0.85 * target.hours[chosen(target.hours / minutes, minutes, room)].sum()


def test_what_is_learnt_of_a_single_term_s_new_titles_is_asked_of_new_ones_only() -> None:
    past, target = [catalogue(2, 0)], catalogue(4, 180).schedule
    value, minutes = expected(target, past, rounds=5), minutes_of(target, past)
    plain = by_cohort(target, past, minutes)
    np.testing.assert_array_equal(value[~target.is_new], plain[~target.is_new])
    assert not np.array_equal(value[target.is_new], plain[target.is_new])
