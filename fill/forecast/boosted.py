"""Two-stage gradient boosting: will it be watched at all, and how much if so; learnt on days and regions that are past.

    plays = P(watched tomorrow) x E(plays | watched)      and, beside it, E(plays) in one; the geometric mean counts

What is learnt is each item's share of the day's best, so that a large region counts no more than a small one and the
sum of what is chosen is what is optimized. Nothing of a region's name goes in, so it applies to regions it never saw.
It costs seconds to learn and is worth a twentieth over yesterday's counts, so a caller turns it on only where it has
beaten them on past days (`earned`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fill.forecast.counts import Floats
from fill.forecast.features import IS_OWN, Matrix

# Of candidates that are watched elsewhere only, and were not here the next day, so many are learnt from.
ELSEWHERE_SHARE = 0.3
# More rows than that teach nothing new.
MOST_ROWS = 400_000
ROUNDS = 150
_LEARNING: dict[str, Any] = {
    "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 100, "feature_fraction": 0.6,
    "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127, "verbose": -1, "deterministic": True,
    # Of so few rows more threads wait for one another longer than they work, three times as long on a busy machine.
    "num_threads": 1,
}  # fmt: skip
# Shares of a day are zeros and a heavy tail: between Poisson and gamma.
_HEAVY = {"objective": "tweedie", "tweedie_variance_power": 1.3}
_TINY = 1e-9


@dataclass(frozen=True)
class Lessons:
    """Candidates of past evenings with what became of them: one row each."""

    features: Matrix
    share: Floats  # of the day's best, in their region
    watched: npt.NDArray[np.bool_]


class Boosted:
    def __init__(self, models: Sequence[Any]) -> None:
        self._watched, self._amount, self._both = models

    def predict(self, features: Matrix) -> Floats:
        """The expected share of the next day's best, of each row."""
        two_stages = self._watched.predict(features) * self._amount.predict(features)
        at_once = self._both.predict(features)
        both = np.sqrt(np.maximum(two_stages, _TINY) * np.maximum(at_once, _TINY))
        return np.asarray(both, np.float64)


def learn(lessons: Lessons, *, rounds: int = ROUNDS, seed: int = 1) -> Boosted:
    """Raises ValueError if there is nothing to learn from."""
    import lightgbm

    chosen, weight = _sample(lessons, seed)
    features, share, watched = lessons.features[chosen], lessons.share[chosen], lessons.watched[chosen]
    if not watched.any() or watched.all() or not share.sum() > 0:
        raise ValueError("past days with something watched and something not")
    learning = {**_LEARNING, "seed": seed}

    def fit(objective: dict[str, Any], rows: npt.NDArray[Any], target: Floats, weights: Floats) -> Any:
        data = lightgbm.Dataset(features[rows], target[rows], weight=weights[rows])
        return lightgbm.train({**learning, **objective}, data, rounds)

    everything = np.arange(len(chosen))
    went_on = np.flatnonzero(watched & (share >= 0))
    return Boosted(
        (
            fit({"objective": "binary"}, everything, watched.astype(np.float64), weight),
            fit(_HEAVY, went_on, share, weight),
            fit(_HEAVY, everything, share, weight),
        )
    )


def _sample(lessons: Lessons, seed: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Rows to learn from, and how much each weighs."""
    random = np.random.default_rng(seed)
    certain = (lessons.features[:, IS_OWN] > 0) | lessons.watched
    chosen = np.flatnonzero(certain | (random.random(len(certain)) < ELSEWHERE_SHARE))
    if len(chosen) > MOST_ROWS:
        chosen = np.sort(random.choice(chosen, MOST_ROWS, replace=False))
    return chosen, np.where(certain[chosen], 1.0, 1 / ELSEWHERE_SHARE)


def earned(boosted: Sequence[float], plain: Sequence[float]) -> bool:
    """Whether it beat the plain forecast on past days it had not learnt from: by more than the standard error.

    What is asked is learnt from more days than what was tried, which makes up for chance: on lists of three countries
    two standard errors kept models off that were better.
    """
    gains = np.asarray(boosted) - np.asarray(plain)
    if len(gains) < 2:
        return False
    return bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))
