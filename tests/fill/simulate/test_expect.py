from __future__ import annotations

import numpy as np
import pytest

from fill.names import FileName
from fill.simulate.catalogue import Catalogue
from fill.simulate.expect import Expectation


def catalogue(released: list[int], announced: list[int]) -> Catalogue:
    count = len(released)
    return Catalogue(
        names=[FileName(f"t{number}", "v") for number in range(count)],
        title=np.arange(count),
        size=np.full(count, 100),
        cohort=np.zeros(count, int),
        announced=np.array(announced),
        released=np.array(released),
    )


def test_what_is_watched_alike_each_day_is_expected_to_go_on() -> None:
    expectation = Expectation(catalogue([0, 0], [0, 0]))
    for _ in range(5):
        expectation.learn(np.array([10.0, 2.0]))
    assert expectation.plays() == pytest.approx([10, 2])


def test_noise_is_smoothed_and_news_is_not() -> None:
    rng = np.random.default_rng(1)
    steady, news = (Expectation(catalogue([0] * 200, [0] * 200)) for _ in range(2))
    rates = rng.uniform(0.5, 5, 200)
    for day in range(14):
        steady.learn(rng.poisson(rates).astype(float))
        lasting = np.zeros(200)
        lasting[day * 10 : day * 10 + 20] = rng.uniform(50, 100, 20)
        news.learn(lasting)
    assert steady.half_life >= 4
    assert news.half_life <= 0.5


def test_a_release_that_is_known_is_expected_like_earlier_ones_and_another_is_not() -> None:
    expectation = Expectation(catalogue([0, 1, 2, 2], [0, 1, 2, 3]))
    expectation.learn(np.array([5.0, 0, 0, 0]))
    expectation.learn(np.array([5.0, 40, 0, 0]))
    assert expectation.plays().tolist()[2:] == [40, 0]


def test_before_its_release_nothing_is_expected() -> None:
    expectation = Expectation(catalogue([0, 5], [0, 0]))
    expectation.learn(np.array([5.0, 0]))
    assert expectation.plays()[1] == 0
