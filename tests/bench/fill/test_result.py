from __future__ import annotations

import pytest

from bench.fill.result import ratios, spread
from bench.rows import OURS, Row


def row(value: float, subject: str = OURS, **more: float | bool) -> Row:
    return Row(subject=subject, case="c", metric="m", median=value, min=value, max=value, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (row(0.7), ""),
        (row(0.7, must=0.5, aim=0.6), "aim"),
        (row(0.55, must=0.5, aim=0.6), "must"),
        (row(0.4, must=0.5, aim=0.6), "short"),
        (row(0.4, must=0.5, limit=0.45), "out of reach"),
        (row(3.0, must=5.0, aim=2.0, more_is_better=False), "must"),
        (row(6.0, must=5.0, more_is_better=False), "short"),
    ],
)
def test_a_row_says_which_goal_it_reaches(one: Row, verdict: str) -> None:
    assert one.verdict == verdict


def test_ratios_are_ours_by_theirs() -> None:
    made = ratios([row(0.6), row(0.5, "lru"), row(0.0, "no fill")])
    assert [(one.against, one.ratio) for one in made] == [("lru", 1.2)]


def test_a_spread_of_nothing_is_no_row() -> None:
    assert spread("a", "c", "m", []) is None
    found = spread("a", "c", "m", [1.0, 3.0], must=2.0)
    assert found is not None
    assert (found.median, found.min, found.max, found.must) == (2.0, 1.0, 3.0, 2.0)
