from __future__ import annotations

import numpy as np

from fill.forecast.features import NAMES, RECENT_DAYS, Day, Tracker


def day(*rows: tuple[int, int, float]) -> Day:
    """Rows of (region, item, amount), in the order of their positions."""
    region, item, amount = (np.array(column) for column in zip(*rows, strict=True))
    count = len(rows)
    position = np.array([sum(other[0] == row[0] for other in rows[:number]) for number, row in enumerate(rows)], float)
    return Day(
        region, item, amount.astype(float), amount * 10.0, amount, position, np.zeros(count), np.ones(count, np.int64),
        np.full(count, 60.0),
    )  # fmt: skip


def column(features: np.ndarray, name: str) -> list[float]:
    return [float(value) for value in features[:, NAMES.index(name)]]


def test_there_is_a_column_for_each_name_and_a_row_for_each_candidate() -> None:
    tracker = Tracker(2)
    tracker.observe(0, day((0, 7, 5.0), (0, 9, 3.0), (1, 7, 5.0)))
    first, second = tracker.candidates()
    assert first.features.shape == (2, len(NAMES))
    assert first.item.tolist() == [7, 9]
    assert second.item.tolist() == [7, 9]  # 9 is watched where the other is alike
    assert second.is_own.tolist() == [True, False]


def test_what_is_watched_more_ranks_before() -> None:
    tracker = Tracker(1)
    tracker.observe(0, day((0, 7, 5.0), (0, 9, 30.0)))
    assert column(tracker.candidates()[0].features, "own_rank") == [1.0, 0.0]


def test_what_left_the_lists_is_a_candidate_for_some_days() -> None:
    tracker = Tracker(1)
    tracker.observe(0, day((0, 7, 5.0), (0, 9, 3.0)))
    for number in range(1, RECENT_DAYS + 2):
        tracker.observe(number, day((0, 9, 3.0)))
        expected = [7, 9] if number <= RECENT_DAYS else [9]
        assert tracker.candidates()[0].item.tolist() == expected


def test_survival_is_of_what_was_there_the_day_before() -> None:
    tracker = Tracker(1)
    rows = [(0, number, 5.0) for number in range(5)]
    tracker.observe(0, day(*rows))
    usual = column(tracker.candidates()[0].features, "survival_here")[0]
    for number in range(1, 6):
        tracker.observe(number, day(*rows))
    assert column(tracker.candidates()[0].features, "survival_here")[0] > usual


def test_a_later_day_changes_nothing_of_what_an_evening_knew() -> None:
    first, second = Tracker(1), Tracker(1)
    for tracker in (first, second):
        tracker.observe(0, day((0, 7, 5.0), (0, 9, 3.0)))
    known = first.candidates()[0].features.copy()
    first.observe(1, day((0, 9, 300.0)))
    np.testing.assert_array_equal(known, second.candidates()[0].features)


def test_before_any_day_there_are_no_candidates() -> None:
    assert Tracker(3).candidates() == []
