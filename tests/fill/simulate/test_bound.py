from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.simulate.bound import most_hits
from fill.simulate.caches import hits


@given(
    st.integers(0, 30),
    st.lists(st.integers(1, 9), min_size=6, max_size=6),
    st.lists(st.integers(0, 5), min_size=1, max_size=60),
    st.sampled_from(["lru", "sieve", "fifo", "s3-fifo"]),
)
def test_no_cache_has_more_hits_than_the_bound(
    capacity: int, size_of: list[int], objects: list[int], policy: str
) -> None:
    files, sizes = np.array(objects), np.array(size_of)[objects]
    times = np.arange(len(files), dtype=float)
    bound = most_hits(files, sizes, times, capacity, 0.0, float(len(files)))
    found = hits(policy, capacity, files, sizes)
    assert (sizes * found).sum() <= (sizes * bound).sum()


def test_what_came_before_the_start_is_not_decided() -> None:
    files, times = np.array([1, 1, 1]), np.array([0.0, 1.0, 2.0])
    assert most_hits(files, np.ones(3, int), times, 5, 1.0, 3.0).tolist() == [False, True, True]


def test_without_a_disk_nearly_nothing_is_hit() -> None:
    files = np.zeros(100, int)
    found = most_hits(files, np.ones(100, int), np.arange(100.0), 0, 0.0, 100.0)
    assert found.sum() == pytest.approx(0)
