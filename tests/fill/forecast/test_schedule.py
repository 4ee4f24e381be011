from __future__ import annotations

import numpy as np

from fill.forecast.schedule import OWN, features, own
from fill.forecast.terms import Term

NAN = float("nan")


def term(start: float, titles: dict[str, tuple[float, float]]) -> Term:
    """Titles as (hours, released), NaN where not known."""
    hours, released = (np.array(column, float) for column in zip(*titles.values(), strict=True))
    count = len(titles)
    return Term(
        f"t{start:g}", start, start + 180, list(titles), ["show"] * count, np.ones(count, bool), released, hours,
        np.full(count, 100.0),
    )  # fmt: skip


FIRST = term(0, {"Old": (100.0, NAN), "Dark: Season 1": (300.0, 90.0)})
SECOND = term(180, {"Old": (80.0, NAN), "Dark: Season 1": (200.0, NAN), "Dark: Season 2": (700.0, 200.0)})
HOUSE = term(180, {"House: Season 1": (5.0, NAN), "House: Season 2": (4.0, NAN), "Old": (80.0, NAN)})
MINUTES = np.full(3, 100.0)


def test_hours_of_the_term_to_come_are_not_looked_at() -> None:
    np.testing.assert_array_equal(features(SECOND, [FIRST], MINUTES), features(SECOND.schedule, [FIRST], MINUTES))


def test_a_title_s_own_hours_are_those_of_last_term_by_the_minute_over_the_mean_s() -> None:
    rows = features(SECOND.schedule, [FIRST], MINUTES)
    np.testing.assert_allclose(np.exp(rows[:2, OWN]) - 1e-3, [0.5, 1.5])
    assert np.isnan(rows[2, OWN])


def test_hours_by_day_count_the_days_that_a_title_was_there() -> None:
    found = own(SECOND.schedule, FIRST, MINUTES)
    np.testing.assert_allclose(np.exp(found.days[:2]), [180.0, 90.0])
    assert np.isnan(own(SECOND.schedule, None, MINUTES).density).all()


def test_rows_are_the_same_whatever_the_order_of_the_reports_lines() -> None:
    turned = term(
        0, dict(reversed(list(zip(FIRST.titles, zip(FIRST.hours, FIRST.released, strict=True), strict=True))))
    )
    np.testing.assert_array_equal(
        features(SECOND.schedule, [FIRST], MINUTES), features(SECOND.schedule, [turned], MINUTES)
    )


def test_a_show_that_comes_as_a_whole_differs_from_one_that_goes_on() -> None:
    rows = features(HOUSE.schedule, [FIRST], MINUTES)
    assert not np.array_equal(rows[0], rows[2], equal_nan=True)
    assert np.isinf(rows).sum() == 0


def test_with_nothing_before_it_a_schedule_has_rows_as_wide() -> None:
    assert features(SECOND.schedule, [], MINUTES).shape == features(SECOND.schedule, [FIRST, HOUSE], MINUTES).shape
