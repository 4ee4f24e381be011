from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.feed.rhythm import rhythm_of
from fill.history import HOURS_OF_WEEK, flat_rhythm

MONDAY = 24 * 4  # hours since the epoch, a Thursday


def test_nothing_and_one_hour_are_flat() -> None:
    assert np.array_equal(rhythm_of(np.array([], dtype=np.int64), np.array([])), flat_rhythm())
    assert rhythm_of(np.array([MONDAY]), np.array([5.0])) == pytest.approx(flat_rhythm())


def test_a_day_tells_of_all_days() -> None:
    hours = np.arange(MONDAY, MONDAY + 24)
    week = rhythm_of(hours, np.arange(24.0)).reshape(7, 24)
    assert week == pytest.approx(np.tile(np.arange(24) / (7 * 276), (7, 1)))


def test_weeks_tell_of_each_weekday() -> None:
    hours = np.arange(MONDAY, MONDAY + 8 * HOURS_OF_WEEK)
    is_saturday = (hours - MONDAY) % HOURS_OF_WEEK // 24 == 5
    week = rhythm_of(hours, np.where(is_saturday, 3.0, 1.0)).reshape(7, 24).sum(axis=1)
    assert week.argmax() == 5
    assert week[5] / week[0] > 2


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1e15), min_size=1, max_size=400))
def test_shares_are_those_of_a_week(first: int, sent: list[float]) -> None:
    week = rhythm_of(np.arange(first, first + len(sent)), np.array(sent))
    assert week.sum() == pytest.approx(1)
    assert (week >= 0).all()
