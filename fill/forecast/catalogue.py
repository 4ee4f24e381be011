"""A long catalogue's next term (a half-year, a month), of which the release schedule is known: hours of each title.

Known of the term to come are its titles, their kind, runtime and release date; what is watched of them is not. What was
watched is known of the terms before. A title that went on is worth a share of what it was; one that is released in the
term, what such titles were worth on their days; a further season, what the show's earlier ones say. The mean of the
cohort alone takes 0.48 of the best possible hours to 0.65 at 3 % of the catalogue; the rest is learnt.

What is learnt is hours per minute of runtime, which is what a minute of disk is worth.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fill.forecast.counts import Floats, Ints

Flags = npt.NDArray[np.bool_]

# Of a season's or a volume's title: what the show is called, and which one it is.
_SEASON = re.compile(
    r"^(?P<show>.+?):?\s+(?:Season|Part|Volume|Vol\.|Book|Chapter|Series|Collection)\s+(?P<number>\d+)"
)
_ONE_SEASON = re.compile(r"^(?P<show>.+?): (?:Limited Series|Miniseries)")
# A show's or a film series' name without what tells one from the next.
_TAIL = re.compile(r"(\s+\(?\d{1,4}\)?|:.*)$")
_TRANSLATED = " // "
_SCRIPTS = (
    ("\u3040", "\u30ff"),  # Japanese
    ("\uac00", "\ud7af"),  # Korean
    ("\u4e00", "\u9fff"),  # Chinese
    ("\u0e00", "\u0e7f"),  # Thai
    ("\u0600", "\u06ff"),  # Arabic
    ("\u0900", "\u0dff"),  # India's
    ("\u0400", "\u04ff"),  # Cyrillic
)
# A title of no known runtime is as long as the median of its kind, or this.
USUAL_MINUTES = 100.0
_DAY_LEAST = 3.0
SEEDS = 1
# What a title of a term goes on to be watched a day in the next one, by its age in days then; and an older one's.
# From the first two of three half-years.
GOES_ON_AGES = np.array([0.0, 15.0, 30.0, 50.0, 75.0, 110.0, 160.0, 185.0])
GOES_ON = np.array([0.17, 0.12, 0.07, 0.06, 0.10, 0.11, 0.12, 0.4])
GOES_ON_OLD = 0.9
# How far a forecast is drawn towards the same season of last year, as a power.
SEASON_WEIGHT = 0.2
# With fewer new titles in the only term there is, nothing is learnt of them.
FEWEST_NEW = 50
_LEAST = 1e-6
_LEARNING: dict[str, Any] = {
    "learning_rate": 0.03, "num_leaves": 31, "min_child_samples": 10, "feature_fraction": 0.5, "lambda_l2": 5.0,
    "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin": 127, "verbose": -1, "num_threads": 2, "deterministic": True,
}  # fmt: skip
ROUNDS = 200
_OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"objective": "tweedie", "tweedie_variance_power": 1.5},
    {"objective": "tweedie", "tweedie_variance_power": 1.8},
    {"objective": "poisson"},
)


@dataclass(frozen=True)
class Term:
    """A report of a term; the unknown is NaN. `hours` may be of a term to come: only `learn` reads it of one."""

    name: str
    start: float  # days since the epoch
    end: float
    titles: Sequence[str]
    kinds: Sequence[str]  # film, show, or any
    is_global: Flags
    released: Floats  # days since the epoch
    hours: Floats
    minutes: Floats  # runtime

    @property
    def schedule(self) -> Term:
        """What is known of it in advance."""
        nothing = np.full(len(self.titles), np.nan)
        return Term(
            self.name, self.start, self.end, self.titles, self.kinds, self.is_global, self.released, nothing,
            self.minutes,
        )  # fmt: skip


@dataclass(frozen=True)
class Named:
    """What a title's name tells."""

    show: str
    season: int  # 0: none named
    is_limited: bool
    original: str  # in its own language; empty if the same
    script: int  # 0: Latin or none named


def name_of(title: str) -> Named:
    english, _, original = title.partition(_TRANSLATED)
    script = next(
        (
            number
            for number, (low, high) in enumerate(_SCRIPTS, 1)
            if any(low <= one <= high for one in original or english)
        ),
        0,
    )
    season = _SEASON.match(english)
    if season:
        return Named(season["show"].rstrip(":"), int(season["number"]), False, original, script)
    limited = _ONE_SEASON.match(english)
    return Named(limited["show"] if limited else english, 0, limited is not None, original, script)


def _is_show(kind: str, name: Named) -> bool:
    return kind == "show" or (kind == "any" and (name.season > 0 or name.is_limited))


def minutes_of(term: Term, past: Sequence[Term]) -> Floats:
    """Runtimes, those that are missing from an earlier term or the kind's median in the same or an earlier one."""
    known: dict[str, float] = {}
    for one in past:
        known |= {title: value for title, value in zip(one.titles, one.minutes.tolist(), strict=True) if value > 0}
    minutes = np.where(term.minutes > 0, term.minutes, [known.get(title, np.nan) for title in term.titles])
    kinds = np.array(term.kinds)
    for kind in set(term.kinds):
        of_kind = minutes[kinds == kind]
        median = float(np.nanmedian(of_kind)) if (of_kind > 0).any() else USUAL_MINUTES
        minutes = np.where((kinds == kind) & ~(minutes > 0), median, minutes)
    return minutes


def features(term: Term, past: Sequence[Term], minutes: Floats) -> Floats:
    """A row for each title of the term, from its schedule and the terms before it only. `past` in order of time."""
    names = [name_of(title) for title in term.titles]
    length = term.end - term.start
    released = term.released
    comes = released - term.start  # negative: was there
    days = np.clip(np.where(np.isnan(released), length, term.end - released), _DAY_LEAST, length)
    is_show = [_is_show(kind, name) for kind, name in zip(term.kinds, names, strict=True)]
    of_name = [(bool(name.original), name.script, name.season, name.is_limited) for name in names]
    columns: list[npt.NDArray[Any]] = [
        comes, np.isnan(released), days / length, np.log(days), np.array(is_show), np.log(minutes), term.is_global,
        *np.array(of_name, np.float64).reshape(-1, 4).T, np.array([len(title) for title in term.titles]),
        (released + 4) % 7,
    ]  # fmt: skip
    last = past[-1] if past else None
    before = past[-2] if len(past) > 1 else None
    columns += _own(term, last, minutes)
    columns += _own(term, before, minutes)[:1]
    columns += _family(term, names, past, minutes)
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def _own(term: Term, past: Term | None, minutes: Floats) -> list[Floats]:
    """The title's own hours of an earlier term by minute: of the mean, and by the days it was there."""
    count = len(term.titles)
    if past is None:
        return [np.full(count, np.nan)] * 4
    index = {title: number for number, title in enumerate(past.titles)}
    at = np.array([index.get(title, -1) for title in term.titles])
    hours = np.where(at >= 0, past.hours[at], np.nan)
    density = hours / minutes / _mean(past)
    released = np.where(np.isnan(term.released), np.where(at >= 0, past.released[at], np.nan), term.released)
    there = np.clip(np.where(np.isnan(released), past.end - past.start, past.end - released), _DAY_LEAST, None)
    there = np.minimum(there, past.end - past.start)
    rank = np.full(count, np.nan)
    known = ~np.isnan(density)
    rank[known] = np.argsort(np.argsort(density[known])) / max(1, known.sum())
    return [np.log(density + 1e-3), np.log(density / there + 1e-6), np.log(there), rank]


def _mean(term: Term) -> float:
    """Hours of a title, by which terms are made alike: a median one, since runtimes are not known of every term."""
    hours = term.hours[term.hours > 0]
    return float(hours.mean()) / USUAL_MINUTES if len(hours) else 1.0


def _family(term: Term, names: Sequence[Named], past: Sequence[Term], minutes: Floats) -> list[Floats]:
    """What the show's other seasons, and what shares the beginning of its name, were watched in earlier terms."""
    shows: dict[str, list[tuple[int, float, int]]] = defaultdict(list)  # season, hours over the mean, terms ago
    stems: dict[str, list[float]] = defaultdict(list)
    for ago, one in enumerate(reversed(past)):
        mean = _mean(one)
        for title, hours in zip(one.titles, one.hours.tolist(), strict=True):
            name = name_of(title)
            shows[name.show].append((name.season, hours / mean, ago))
            if ago == 0:
                stems[_TAIL.sub("", name.show)].append(hours / mean)
    coming: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for name, release in zip(names, term.released.tolist(), strict=True):
        if release >= term.start:
            coming[name.show].append((name.season, (term.end - release) / (term.end - term.start)))
    seasons: dict[str, int] = defaultdict(int)
    for name in names:
        seasons[name.show] += 1
    nothing = float("nan")
    rows = []
    for title_number, name in enumerate(names):
        others = [(season, hours, ago) for season, hours, ago in shows.get(name.show, ()) if season != name.season]
        earlier = [hours for season, hours, ago in others if season < name.season and ago == 0]
        previous = [hours for season, hours, _ in others if season == name.season - 1]
        best = max((hours for _, hours, _ in others), default=nothing)
        newer = [share for season, share in coming.get(name.show, ()) if season != name.season]
        alike = stems.get(_TAIL.sub("", name.show), ())
        size = minutes[title_number]
        rows.append((
            np.log(best / size + 1e-3), np.log(max(previous) / size + 1e-3) if previous else nothing,
            np.log(sum(earlier) / size + 1e-3) if earlier else nothing, len(others), max(newer, default=0.0),
            np.log(max(alike) / size + 1e-3) if alike else nothing, len(alike), seasons[name.show],
            not shows.get(name.show), sum(newer), name.season - min((one for one, _, _ in others), default=name.season),
        ))  # fmt: skip
    return [np.array(column) for column in zip(*rows, strict=True)]


class Catalogue:
    """What hours a minute are expected of a title's features: the geometric mean of differently taught models."""

    def __init__(self, models: Sequence[Any]) -> None:
        self._models = models

    def density(self, rows: Floats) -> Floats:
        """Hours by minute over the mean title's."""
        logs = [np.log(np.maximum(model.predict(rows), _LEAST)) for model in self._models]
        return np.asarray(np.exp(np.mean(logs, axis=0)), np.float64)


def learn(past: Sequence[Term], *, rounds: int = ROUNDS, seeds: int = SEEDS) -> Catalogue:
    """From the terms before the one that is asked about, in order: each as seen from those before it."""
    import lightgbm

    rows, targets, weights = [], [], []
    for number, term in enumerate(past):
        # Runtimes that a later report of the past adds are known by now.
        minutes = minutes_of(term, [*past[number + 1 :], *past[:number]])
        # Of the first term only what came out in it can be learnt: what was watched before is not known.
        learnt = np.full(len(minutes), True) if number else term.released >= term.start
        rows.append(features(term.schedule, past[:number], minutes)[learnt])
        targets.append((term.hours / minutes / _mean(term))[learnt])
        weights.append((minutes / minutes.mean())[learnt])
    matrix, target, weight = np.concatenate(rows), np.concatenate(targets), np.concatenate(weights)
    models = []
    for seed in range(seeds):
        for objective in _OBJECTIVES:
            data = lightgbm.Dataset(matrix, target, weight=weight)
            models.append(lightgbm.train({**_LEARNING, **objective, "seed": seed}, data, rounds))
    return Catalogue(models)


def expected(term: Term, past: Sequence[Term], *, rounds: int = ROUNDS, seeds: int = SEEDS) -> Floats:
    """Hours by minute of each title of the term, over the mean title's; `past` in order of time.

    With one term before it, only how new titles are watched can be learnt; what was there goes on by its age.
    """
    schedule = term.schedule
    minutes = minutes_of(schedule, past)
    plain = by_cohort(schedule, past, minutes)
    newest = past[-1] if past else None
    if newest is None or (len(past) == 1 and (newest.released >= newest.start).sum() < FEWEST_NEW):
        return plain
    rows = features(schedule, past, minutes)
    density = learn(past, rounds=rounds, seeds=seeds).density(rows)
    if len(past) == 1:
        return np.where(schedule.released >= schedule.start, density, plain)
    return _with_season(density, schedule, past[-2], minutes)


def _with_season(density: Floats, term: Term, alike: Term, minutes: Floats) -> Floats:
    """Drawn towards what was watched in the same season of last year: a film for Christmas is watched at Christmas."""
    index = {
        title: hours
        for title, hours, released in zip(alike.titles, alike.hours.tolist(), alike.released.tolist(), strict=True)
        if not released >= alike.start
    }
    then = np.array([index.get(title, np.nan) for title in term.titles]) / minutes
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
    mean = _mean(last)
    names = [name_of(title) for title in term.titles]
    own, by_day, _, _ = (np.exp(column) for column in _own(term, last, minutes))
    length = last.end - last.start
    age = np.where(np.isnan(term.released), np.inf, term.start - term.released)
    goes_on = np.where(age < length, by_day * length * np.interp(age, GOES_ON_AGES, GOES_ON), own * GOES_ON_OLD)
    new_then = last.released >= last.start
    usual = np.zeros(len(minutes))
    for is_global in (False, True):
        alike = last.hours[new_then & (last.is_global == is_global)]
        of_all = last.hours[new_then] if new_then.any() else last.hours
        usual[term.is_global == is_global] = float(alike.mean() if len(alike) else of_all.mean())
    there = np.clip((term.end - term.released) / (term.end - term.start), 0.05, 1.0)
    cohort = usual * np.nan_to_num(there, nan=0.5) ** 0.5 / minutes / mean
    known_shows = [float(np.exp(best)) for best in _family(term, names, past, minutes)[0]]
    season = np.nan_to_num(np.array(known_shows))
    least = float(last.hours.min()) / minutes / mean
    new = np.maximum(cohort, season * there)
    return np.where(np.isnan(own), np.where(term.released >= term.start, new, least), goes_on)


def chosen(value: Floats, minutes: Floats, capacity: float) -> Ints:
    """The titles that are held: by value of a minute, each that still fits."""
    order = np.argsort(-value, kind="stable")
    held, room = [], capacity
    for number, size in zip(order.tolist(), minutes[order].tolist(), strict=True):
        if size <= room:
            held.append(number)
            room -= size
        elif room < USUAL_MINUTES / 4:
            break
    return np.array(held, np.int64)
