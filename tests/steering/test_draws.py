"""Numbers drawn from names."""

from __future__ import annotations

import numpy as np
import pytest

from steering.draws import arrival, salt_of, seed_of, uniform


def test_a_draw_is_the_same_on_every_machine() -> None:
    # Replicas of different versions and machines must agree: these numbers may never change.
    assert seed_of("s|film") == 0.6001497316248161
    assert uniform(seed_of("s|film"), salt_of("a1")) == 0.208973333472386


def test_draws_of_two_names_are_uniform_and_have_nothing_in_common() -> None:
    one = np.array([uniform(seed_of(f"s{number}"), salt_of("a1")) for number in range(20_000)])
    other = np.array([uniform(seed_of(f"s{number}"), salt_of("a2")) for number in range(20_000)])
    assert np.histogram(one, bins=20, range=(0, 1))[0] == pytest.approx(1000, abs=160)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_the_first_to_arrive_is_one_in_proportion_to_its_weight() -> None:
    seeds = [seed_of(f"s{number}") for number in range(20_000)]
    first = [arrival(seed, salt_of("a"), 3e9) < arrival(seed, salt_of("b"), 1e9) for seed in seeds]
    assert np.mean(first) == pytest.approx(0.75, abs=0.01)


def test_what_has_no_weight_comes_last() -> None:
    assert arrival(0.5, 2**20 + 0.7, 0) > arrival(0.5, 2**20 + 0.7, 1)
