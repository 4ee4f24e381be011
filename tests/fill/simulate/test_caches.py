from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.simulate.caches import POLICIES, hits

GIB = 2**30


def zipf(requests: int, objects: int, seed: int = 1) -> np.ndarray:
    weights = 1 / np.arange(1, objects + 1)
    return np.random.default_rng(seed).choice(objects, requests, p=weights / weights.sum())


def lru(capacity: int, objects: list[int], sizes: list[int]) -> list[bool]:
    """The yardstick: an LRU of ten lines."""
    held: OrderedDict[int, int] = OrderedDict()
    answers = []
    for key, size in zip(objects, sizes, strict=True):
        answers.append(key in held)
        if key in held:
            held.move_to_end(key)
        elif size <= capacity:
            while sum(held.values()) + size > capacity:
                held.popitem(last=False)
            held[key] = size
    return answers


@given(
    st.integers(1, 50),
    st.lists(st.integers(1, 20), min_size=8, max_size=8),
    st.lists(st.integers(0, 7), max_size=60),
)
def test_lru_is_lru(capacity: int, size_of: list[int], objects: list[int]) -> None:
    sizes = [size_of[key] for key in objects]
    assert hits("lru", capacity, np.array(objects, int), np.array(sizes, int)).tolist() == lru(capacity, objects, sizes)


@pytest.mark.parametrize("policy", POLICIES)
@given(capacity=st.integers(-1, 40), objects=st.lists(st.integers(0, 9), max_size=40))
def test_no_first_request_is_a_hit(policy: str, capacity: int, objects: list[int]) -> None:
    found = hits(policy, capacity, np.array(objects, int), np.arange(10)[objects] if objects else np.array([], int))
    first = [key not in objects[:position] for position, key in enumerate(objects)]
    assert not found[first].any()


@pytest.mark.parametrize("policy", POLICIES)
def test_films_larger_than_4_gib_are_kept(policy: str) -> None:
    objects = zipf(2000, 50)
    found = hits(policy, 100 * 9 * GIB, objects, np.full(2000, 9 * GIB))
    assert found.mean() == pytest.approx(1 - len(np.unique(objects)) / 2000)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("unit", [1, 9 * GIB])
def test_a_cache_of_ten_slots_is_one_in_any_unit(policy: str, unit: int) -> None:
    objects = zipf(20_000, 60)
    assert 0.4 < hits(policy, 10 * unit, objects, np.full(20_000, unit)).mean() < 0.6


def test_sieve_and_s3_fifo_beat_lru_where_one_request_in_four_is_never_repeated() -> None:
    objects = zipf(40_000, 2000)
    objects[::4] = np.arange(10_000) + 5000
    found = {policy: hits(policy, 100, objects, np.ones(40_000, int)).mean() for policy in POLICIES}
    assert min(found["sieve"], found["s3-fifo"]) > found["lru"] > found["fifo"]


def test_a_policy_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="'mru' is not one of lru, "):
        hits("mru", 1, np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="one size for each request"):
        hits("lru", 1, np.array([1, 2]), np.array([1]))
