from __future__ import annotations

import numpy as np

from bench.fill.stream import Stream
from bench.fill.within import _fewest, _gains


def stream(items: list[int]) -> Stream:
    return Stream(np.array(items, np.int64), np.linspace(0, 1, len(items)))


def test_who_knows_the_day_gains_what_is_asked_for_after_its_second_request() -> None:
    assert _gains([1], stream([1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4]), 5) == [2, 1]
    assert _gains([1], stream([2, 2, 2, 2, 3, 3, 3]), 1) == [2]
    assert _gains([1], stream([]), 5) == []


def test_the_fewest_pulls_are_those_that_gain_most() -> None:
    assert _fewest([1.0, 5.0, 3.0], 4.0) == 1
    assert _fewest([1.0, 5.0, 3.0], 8.0) == 2
    assert _fewest([1.0, 5.0, 3.0], 100.0) == 3
    assert _fewest([1.0], 0.0) == 0
