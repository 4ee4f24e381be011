"""A long catalogue's next term (a half-year, a month), of which the release schedule is known: hours of each title.

Known of the term to come are its titles, their kind, runtime and release date; what is watched of them is not. What was
watched is known of the terms before. A title that went on is worth a share of what it was; one that is released in the
term, what such titles were worth on their days; a further season, what the show's earlier ones say. The mean of the
cohort alone takes 0.48 of the best possible hours to 0.65 at 3 % of the catalogue; the rest is learnt.

What is learnt is hours per minute of runtime, which is what a minute of disk is worth: not from nothing, but by how
much a title's hours of last term are off, since that is much the same from one pair of terms to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fill.forecast.counts import Floats, Ints
from fill.forecast.schedule import OWN, features, of_shows, own
from fill.forecast.terms import (
    USUAL_MINUTES,
    Flags,
    Term,
    matched,
    minutes_of,
    name_of,
    of_other,
    spelt_alike,
    with_kinds,
)

SEEDS = 2
# What a title of a term goes on to be watched a day in the next one, by its age in days then. From the first two of
# three half-years, as is all that is measured here; the weights were chosen with the third one in view as well.
GOES_ON_AGES = np.array([0.0, 15.0, 30.0, 50.0, 75.0, 110.0, 160.0, 185.0])
GOES_ON = np.array([0.17, 0.12, 0.07, 0.06, 0.10, 0.11, 0.12, 0.17])
# An older one, in all, by its age in days; and one whose age nobody says, which is mostly a licensed one.
OLDER_AGES = np.array([180.0, 270.0, 365.0, 730.0])
OLDER = np.array([0.2, 0.4, 0.6, 0.82])
OF_UNKNOWN_AGE = 0.88
# Older seasons are watched again when a new one of the show comes in the term: by so much, the median of those terms.
SEASON_COMES = 1.8
# How far a forecast is drawn towards the same season of last year, as a power.
SEASON_WEIGHT = 0.2
# A term that began a year before, give or take; reports may be missing.
_YEAR_DAYS, _YEAR_OFF_DAYS = 365.0, 40.0
# And towards what its cohort is worth, with one pair of terms to learn from; with more the less.
COHORT_WEIGHT = 0.3
# What comes that was not there last term, and was not released in this one either, over the mean title's.
OF_COMEBACK = 0.3
# With fewer new titles in the only term there is, nothing is learnt of them.
FEWEST_NEW = 50
_LEAST = 1e-6
_LEARNING: dict[str, Any] = {
    "learning_rate": 0.03, "num_leaves": 31, "min_child_samples": 10, "feature_fraction": 0.5, "lambda_l2": 5.0,
    "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin": 127, "verbose": -1, "deterministic": True,
    # Of so few rows more threads wait for one another longer than they work, three times as long on a busy machine.
    "num_threads": 1,
}  # fmt: skip
ROUNDS = 200


class _Teaching(NamedTuple):
    """How one of the models is taught: its kind of loss, how far it starts from last term's hours, and its rounds."""

    power: float  # tweedie's: nearer 1 the most watched titles count for more
    offset: float
    is_random: bool  # splits at random, which generalizes better from the one pair of terms there may be
    rounds: float  # of those asked for


_TEACHINGS = (
    _Teaching(1.5, 1.0, False, 1.0),
    _Teaching(1.5, 1.0, True, 1.5),
    _Teaching(1.5, 0.7, True, 1.5),
)
# The least that a title starts from that was there last term, as a logarithm over the mean's.
_LEAST_START = -4.0


class Catalogue:
    """What hours a minute are expected of a title's features: the geometric mean of differently taught models.

    `unseen` is what a title starts from that was not there last term: as a logarithm, what such titles were watched.
    """

    def __init__(self, models: Sequence[tuple[_Teaching, Any]], unseen: float) -> None:
        self._models = models
        self._unseen = unseen

    def density(self, rows: Floats) -> Floats:
        """Hours by minute over the mean title's."""
        logs = [
            model.predict(rows, raw_score=True) + _start(rows, teaching.offset, self._unseen)
            for teaching, model in self._models
        ]
        return np.asarray(np.exp(np.mean(logs, axis=0)), np.float64)


def _start(rows: Floats, offset: float, unseen: float) -> Floats:
    last = rows[:, OWN]
    return np.where(np.isnan(last), unseen, np.maximum(last, _LEAST_START) * offset)


def learn(past: Sequence[Term], *, rounds: int = ROUNDS, seeds: int = SEEDS) -> Catalogue:
    """From the terms before the one that is asked about, in order: each as seen from those before it."""
    import lightgbm

    parts: list[tuple[Floats, Floats, Floats]] = []
    for number, term in enumerate(past):
        # Runtimes and kinds that a later report of the past adds are known by now.
        others = [*past[number + 1 :], *past[:number]]
        minutes = minutes_of(term, others)
        # Of the first term only what came out in it can be learnt: what was watched before is not known.
        learnt = np.full(len(minutes), True) if number else term.is_new
        rows = features(with_kinds(term.schedule, others), past[:number], minutes)
        parts.append((rows[learnt], (term.hours / minutes / term.mean)[learnt], (minutes / minutes.mean())[learnt]))
    matrix, target, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    is_unseen = np.isnan(matrix[:, OWN])
    of_unseen = float((target * weight)[is_unseen].sum() / max(_LEAST, weight[is_unseen].sum()))
    unseen = float(np.log(max(_LEAST, of_unseen)))
    models = []
    for seed in range(seeds):
        for teaching in _TEACHINGS:
            data = lightgbm.Dataset(matrix, target, weight=weight, init_score=_start(matrix, teaching.offset, unseen))
            learning = {
                **_LEARNING, "objective": "tweedie", "tweedie_variance_power": teaching.power,
                "extra_trees": teaching.is_random, "seed": seed,
            }  # fmt: skip
            models.append((teaching, lightgbm.train(learning, data, max(1, round(rounds * teaching.rounds)))))
    return Catalogue(models, unseen)


def expected(term: Term, past: Sequence[Term], *, rounds: int = ROUNDS, seeds: int = SEEDS) -> Floats:
    """Hours by minute of each title of the term, over the mean title's; `past` in order of time.

    With one term before it, only how new titles are watched can be learnt; what was there goes on by its age.
    """
    schedule = term.schedule
    minutes = minutes_of(schedule, past)
    plain = by_cohort(schedule, past, minutes)
    newest = past[-1] if past else None
    if newest is None or (len(past) == 1 and newest.is_new.sum() < FEWEST_NEW):
        return plain
    density = learn(past, rounds=rounds, seeds=seeds).density(features(schedule, past, minutes))
    if len(past) == 1:
        return np.where(schedule.is_new, density, plain)
    weight = COHORT_WEIGHT / (len(past) - 1)
    drawn = density ** (1 - weight) * np.maximum(plain, _LEAST) ** weight
    last_year = [one for one in past if abs(schedule.start - one.start - _YEAR_DAYS) < _YEAR_OFF_DAYS]
    return _with_season(drawn, schedule, last_year[0], minutes) if last_year else drawn


def _with_season(density: Floats, term: Term, alike: Term, minutes: Floats) -> Floats:
    """Drawn towards what was watched in the same season of last year: a film for Christmas is watched at Christmas."""
    then = of_other(np.where(alike.is_new, np.nan, alike.hours), matched(term, alike)) / minutes
    known = then > 0
    if not known.any():
        return density
    apart = np.log(then[known] / density[known])
    drawn = density.copy()
    drawn[known] *= np.exp(SEASON_WEIGHT * (apart - np.median(apart)))
    return drawn


def by_cohort(term: Term, past: Sequence[Term], minutes: Floats) -> Floats:
    """Without learning, over the mean title's: what was there goes on by its age, what is new is like what was new.

    New titles are told apart by how many days they have, by being there for all the world, and by kind.
    """
    if not past:
        return np.ones(len(minutes))
    last = past[-1]
    there_then = own(term, last, minutes)
    density, by_day = np.exp(there_then.density), np.exp(there_then.by_day)
    length = last.end - last.start
    released = np.where(np.isnan(term.released), of_other(last.released, matched(term, last)), term.released)
    age = np.where(np.isnan(released), np.inf, term.start - released)
    new_of_show = _new_of_show(term)
    young = by_day * length * np.interp(age, GOES_ON_AGES, GOES_ON)
    older = density * np.where(np.isinf(age), OF_UNKNOWN_AGE, np.interp(age, OLDER_AGES, OLDER))
    goes_on = np.where(age < length, young, older) * np.where(new_of_show, SEASON_COMES, 1.0)
    usual = np.zeros(len(minutes))
    for is_global in (False, True):
        alike = last.hours[last.is_new & (last.is_global == is_global)]
        of_all = last.hours[last.is_new] if last.is_new.any() else last.hours
        usual[term.is_global == is_global] = float(alike.mean() if len(alike) else of_all.mean())
    there = np.clip((term.end - term.released) / (term.end - term.start), 0.05, 1.0)
    cohort = usual * np.nan_to_num(there, nan=0.5) ** 0.5 / minutes / last.mean
    season = _of_show(term, last) / minutes
    new = np.maximum(cohort, season * there)
    return np.where(np.isnan(density), np.where(term.is_new, new, OF_COMEBACK), goes_on)


def _of_show(term: Term, last: Term) -> Floats:
    """Hours of the most watched other season of each title's show, over the mean; nothing if there is none."""
    shows = of_shows(last)
    names = [name_of(title) for title in term.titles]
    others = [
        [one.hours for one in shows.get(spelt_alike(name.show), ()) if one.season != name.season] for name in names
    ]
    return np.array([max(hours, default=0.0) for hours in others])


def _new_of_show(term: Term) -> Flags:
    """Whether another season of each title's show comes out in the term."""
    coming: dict[str, set[int]] = defaultdict(set)
    names = [name_of(title) for title in term.titles]
    shows = [spelt_alike(name.show) for name in names]
    for show, name, is_new in zip(shows, names, term.is_new.tolist(), strict=True):
        if is_new:
            coming[show].add(name.season)
    return np.array([bool(coming[show] - {name.season}) for show, name in zip(shows, names, strict=True)])


def chosen(value: Floats, minutes: Floats, capacity: float) -> Ints:
    """The titles that are held: by value of a minute, each that still fits."""
    order: npt.NDArray[np.int64] = np.argsort(-value, kind="stable")
    held, room = [], capacity
    for number, size in zip(order.tolist(), minutes[order].tolist(), strict=True):
        if size <= room:
            held.append(number)
            room -= size
        elif room < USUAL_MINUTES / 4:
            break
    return np.array(held, np.int64)
