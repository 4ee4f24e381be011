from __future__ import annotations

import numpy as np
import pytest

from fill.forecast.boosted import Lessons, earned, learn
from fill.forecast.features import IS_OWN, NAMES


def lessons(count: int, seed: int) -> Lessons:
    """What is watched is in column 1, noisily; everything is own."""
    random = np.random.default_rng(seed)
    features = random.random((count, len(NAMES))).astype(np.float32)
    features[:, IS_OWN] = 1
    watched = features[:, 1] + random.normal(0, 0.1, count) > 0.5
    return Lessons(features, np.where(watched, features[:, 1].astype(float), 0.0), watched)


def test_what_was_watched_is_learnt() -> None:
    model, asked = learn(lessons(3000, 1), rounds=20), lessons(500, 2)
    expected = model.predict(asked.features)
    best = np.argsort(-expected)[:50]
    assert asked.share[best].sum() > 0.8 * np.sort(asked.share)[::-1][:50].sum()


def test_the_same_lessons_teach_the_same() -> None:
    asked = lessons(50, 2).features
    np.testing.assert_array_equal(
        learn(lessons(1000, 1), rounds=5).predict(asked), learn(lessons(1000, 1), rounds=5).predict(asked)
    )


def test_nothing_is_learnt_where_nothing_was_watched() -> None:
    empty = Lessons(np.zeros((10, len(NAMES)), np.float32), np.zeros(10), np.zeros(10, bool))
    with pytest.raises(ValueError, match="something watched"):
        learn(empty)


@pytest.mark.parametrize(
    ("boosted", "plain", "is_on"),
    [([0.6] * 9 + [0.5], [0.5] * 10, True), ([0.5, 0.6] * 5, [0.6, 0.5] * 5, False), ([0.9], [0.1], False)],
)
def test_it_stays_off_until_it_clearly_won(boosted: list[float], plain: list[float], is_on: bool) -> None:
    assert earned(boosted, plain) is is_on
