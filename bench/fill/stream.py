"""Requests of a day at one site, drawn from what a country really watched: Poisson arrivals, and one-hit noise.

Of `per_day` expected requests each is for an item of the day's list, by its share of the increments; a quarter more are
for something that nobody ever asks for again, as logs of caches show. The time of a request is drawn evenly. Sizes are
alike: an item is one play.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.fill.reading import Floats, Ints
from bench.fill.reveal import Evening

# One-hit requests over those for the list.
NOISE = 0.25
# One-hit objects are numbered from here on, in each stream anew.
_NOISE_FROM = 1 << 40


class Stream(NamedTuple):
    item: Ints
    elapsed: Floats  # days since the plan


def draw(evening: Evening, per_day: int, seed: int) -> Stream:
    """The same for the same evening and seed, whoever asks."""
    random = np.random.default_rng((seed, evening.day, evening.region, per_day))
    amounts = evening.demand.amount
    count = random.poisson(per_day)
    items = random.choice(evening.demand.item, count, p=amounts / amounts.sum())
    noise = _NOISE_FROM + (evening.day << 20) + np.arange(random.poisson(per_day * NOISE))
    asked = np.concatenate([items, noise])
    random.shuffle(asked)
    return Stream(asked, np.sort(random.random(len(asked))))


def shares(evening: Evening, expected: Floats) -> dict[int, float]:
    """A forecast as shares of all the day's requests, those for what is not published yet included."""
    total = float(expected.sum())
    items = evening.candidates.item.tolist()
    if not total > 0:
        return dict.fromkeys(items, 0.0)
    return dict(zip(items, (expected * (KNOWN_SHARE / total)).tolist(), strict=True))


# Of a day's requests about so many are for what was published the evening before (110 countries' lists: 65 %), and
# four fifths of all are no noise.
KNOWN_SHARE = 0.65 / (1 + NOISE)
