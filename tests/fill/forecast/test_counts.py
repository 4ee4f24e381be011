from __future__ import annotations

import numpy as np
import pytest

from fill.forecast.counts import Totals, decay, estimate


def increments(totals: Totals, day: int, **counts: tuple[float, float]) -> list[float]:
    """Of items by their first letter, given (total, published)."""
    items = np.array([ord(name) for name in counts])
    amounts, published = (np.array(column, float) for column in zip(*counts.values(), strict=True))
    return [float(one) for one in totals.increments(day, items, amounts, published, 0.1)]


def test_what_came_is_the_increment_of_the_count() -> None:
    totals = Totals()
    increments(totals, 0, a=(100.0, -5.0))
    assert increments(totals, 1, a=(130.0, -5.0)) == [30.0]


def test_of_what_was_published_since_everything_came() -> None:
    assert increments(Totals(), 1, a=(70.0, 0.5)) == [70.0]


def test_of_what_was_published_earlier_and_never_counted_nothing_is_known() -> None:
    assert np.isnan(increments(Totals(), 1, a=(70.0, -2.0))[0])


def test_a_count_that_falls_is_no_demand() -> None:
    totals = Totals()
    increments(totals, 0, a=(100.0, -5.0))
    assert increments(totals, 1, a=(90.0, -5.0)) == [0.0]


def test_a_gap_is_spread_over_its_days() -> None:
    totals = Totals()
    increments(totals, 0, a=(100.0, -5.0))
    assert increments(totals, 3, a=(160.0, -5.0)) == [20.0]


def test_what_is_forgotten_is_not_known() -> None:
    totals = Totals()
    increments(totals, 0, a=(100.0, -5.0))
    totals.forget(1)
    assert np.isnan(increments(totals, 1, a=(130.0, -5.0))[0])


def test_without_an_increment_the_mean_of_its_life_is_expected() -> None:
    assert estimate(np.array([np.nan, 5.0]), np.array([100.0, 100.0]), np.array([4.0, 4.0])).tolist() == [25.0, 5.0]


def test_what_is_a_day_old_fades_fastest() -> None:
    assert decay(np.array([1.0]))[0] == pytest.approx(0.47)
    assert decay(np.array([0.0]))[0] > 1 > decay(np.array([100.0]))[0] > 0.9
