from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fill.forecast.within import Posterior, Rule
from fill.simulate.disk import refill, swap, take_in

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, int]


@st.composite
def disks(draw: st.DrawFn) -> Arrays:
    """What is held (no more than there is room for), plays, sizes, capacity."""
    count = draw(st.integers(1, 12))
    size = np.array(draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)))
    plays = np.array(draw(st.lists(st.floats(0, 50), min_size=count, max_size=count)))
    held = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return held, plays, size, draw(st.integers(int(size[held].sum()), 80))


@given(disks(), st.integers(0, 40), st.integers(0, 80))
def test_a_refill_fits_the_disk_and_the_night(arrays: Arrays, night: int, reserve: int) -> None:
    held, plays, size, capacity = arrays
    filled = refill(held, plays, size, max(0, capacity - reserve), capacity, night)
    assert size[filled.held].sum() <= capacity
    assert size[filled.held & ~held].sum() == filled.fetched <= night


def test_a_night_too_short_brings_the_best_and_drops_nothing_that_has_room() -> None:
    held = np.array([True, False, False])
    filled = refill(held, np.array([1.0, 9.0, 5.0]), np.array([10, 10, 10]), 20, 20, 10)
    assert filled.held.tolist() == [True, True, False]
    assert (filled.fetched, filled.put_off) == (10, 10)


@given(disks())
def test_a_swap_fits_the_disk_and_only_takes_in_what_is_watched_more(arrays: Arrays) -> None:
    held, rates, size, capacity = arrays
    swapped = swap(held, rates, np.flatnonzero(~held), size, capacity, 1.2)
    assert size[swapped.held].sum() <= capacity
    assert set(np.flatnonzero(swapped.held & ~held)) == set(swapped.files)
    if len(swapped.displaced):
        assert rates[swapped.files].max() > 1.2 * rates[swapped.displaced].min()


@given(disks())
def test_what_is_taken_in_displaces_nothing(arrays: Arrays) -> None:
    held, rates, size, capacity = arrays
    now, came = take_in(held, rates, np.flatnonzero(~held), size, capacity)
    assert size[now].sum() <= capacity
    assert now[held].all()
    assert set(np.flatnonzero(now & ~held)) == set(came)


@given(st.lists(st.floats(0.5, 9), min_size=6, max_size=6), st.integers(0, 2), st.integers(2, 9))
def test_a_swap_of_one_file_is_that_of_the_posterior(prior: list[float], candidate: int, requests: int) -> None:
    """Of files of one size; the posterior is asked request by request."""
    rule, names = Rule(kappa=0.5, least_gain=0.0), range(6)
    held = np.array([number >= 3 for number in names])
    day = sum(prior)
    posterior = Posterior({3, 4, 5}, {n: plays / day for n, plays in enumerate(prior)}, day, rule)
    for _ in range(requests):
        posterior.ask(candidate, 0.5)
    seen = np.zeros(6)
    seen[candidate] = requests
    rates = (rule.kappa * np.array(prior) + seen) / (rule.kappa + 0.5)
    swapped = swap(held, rates, np.array([candidate]), np.ones(6, int), 3, rule.margin)
    assert set(np.flatnonzero(swapped.held)) == posterior.held
