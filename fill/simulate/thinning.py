"""Fewer titles that stand for all of them, for a fleet on which the whole catalogue would take hours.

Titles are put in the order of how much they are watched, and of neighbours one stands for all: the most watched for
themselves alone, then each for more. A file of a title that stands for ten is simulated as ten times as large, so that
it fills the disks, and serves, as the ten would, and is asked for as often as one of them. Whatever a policy does with
the ten it does with the one, but for the luck of each.

Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fill.simulate.catalogue import Catalogue, Floats, Ints
from fill.simulate.source import Model, Requests
from fill.simulate.traces import Trace

# No title stands for more than so many times the mean, so that none is as large as a disk.
_MOST_FOR_ONE = 2.0
_HALVINGS = 40


class Standing(NamedTuple):
    """Which of the titles are kept, and how many each stands for."""

    titles: Ints
    number: Floats


def thin(source: Model | Trace, most: int, seed: int) -> Model | Trace:
    """With at most about `most` files; as it is where it has no more."""
    catalogue = source.catalogue
    files, titles = len(catalogue.size), len(np.unique(catalogue.title))
    if files <= most or titles < 2:
        return source
    watched = np.bincount(catalogue.title, weights=_plays(source) * catalogue.size).astype(np.float64)
    standing = choose(watched, max(2, titles * most // files), np.random.default_rng([seed, titles]))
    number = np.zeros(len(watched))
    number[standing.titles] = standing.number
    kept = np.flatnonzero(number[catalogue.title] > 0)
    thinner = _kept(catalogue, kept, number[catalogue.title[kept]])
    if isinstance(source, Model):
        return Model(thinner, {region: plays[:, kept] for region, plays in source.plays.items()}, source.seed)
    rows = np.full(files, -1)
    rows[kept] = np.arange(len(kept))
    by_site = {site: tuple(_of(day, rows) for day in days) for site, days in source.by_site.items()}
    return Trace(thinner, source.days, by_site)


def choose(watched: Floats, most: int, rng: np.random.Generator) -> Standing:
    """Of titles that are watched so much, about `most`."""
    order = np.argsort(-watched, kind="stable")
    low, high = 0.0, float(len(order))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if len(_starts(len(order), middle, most)) > most else (low, middle)
    starts = _starts(len(order), high, most)
    number = np.diff([*starts, len(order)])
    return Standing(order[starts + (rng.random(len(starts)) * number).astype(np.int64)], number.astype(np.float64))


def _starts(count: int, growth: float, most: int) -> Ints:
    """Ranks at which groups begin that grow with their rank."""
    starts, rank = [], 0
    largest = max(1, int(_MOST_FOR_ONE * count / most))
    while rank < count:
        starts.append(rank)
        rank += min(largest, max(1, int(rank * growth)))
    return np.array(starts, dtype=np.int64)


def _plays(source: Model | Trace) -> Floats:
    if isinstance(source, Model):
        each = [plays.sum(axis=0) / max(1e-9, float(plays.sum())) for plays in source.plays.values()]
        return np.asarray(np.sum(each, axis=0))
    days = [day for days in source.by_site.values() for day in days]
    files = len(source.catalogue.size)
    return np.asarray(np.sum([np.bincount(day.files, weights=day.amounts, minlength=files) for day in days], axis=0))


def _kept(catalogue: Catalogue, kept: Ints, number: Floats) -> Catalogue:
    return replace(
        catalogue,
        names=[catalogue.names[file] for file in kept],
        title=np.unique(catalogue.title[kept], return_inverse=True)[1].astype(np.int64),
        size=np.maximum(1, np.round(catalogue.size[kept] * number)).astype(np.int64),
        cohort=catalogue.cohort[kept],
        announced=catalogue.announced[kept],
        released=catalogue.released[kept],
    )


def _of(day: Requests, rows: Ints) -> Requests:
    files = rows[day.files]
    is_kept = files >= 0
    return Requests(files[is_kept], day.hours[is_kept], day.amounts[is_kept])
