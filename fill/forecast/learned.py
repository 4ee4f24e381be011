"""Boosting on the histories of a network's own regions: plays of titles in the day to come, where it earned it.

    histories -> days, one after the other -> features of each evening + what came -> trial on the last week -> plays

The same features and models that `nearcast bench fill` measures. They replace the smoothed plays of titles that are
watched already (daily.py) only if, learnt without the last week, they chose better on each of its days than yesterday's
plays did; otherwise there is no answer. Learning takes seconds and LightGBM, so it is for a planner's night, not for an
appliance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fill.forecast.boosted import ROUNDS, Lessons, earned, learn
from fill.forecast.counts import Floats
from fill.forecast.features import Candidates, Day, Tracker
from fill.history import History
from fill.names import Offer

# Fewer days or titles teach nothing that lasts.
LEAST_DAYS = 14
LEAST_TITLES = 100
TRIAL_DAYS = 7
# The most watched titles; what is watched less is not worth learning, and memory is titles x days x regions.
MOST_TITLES = 5000
# What is chosen on a day of the trial: the most watched of so large a part.
CHOSEN_SHARE = 0.1
_DAY_S = 86400.0


class _Evening(NamedTuple):
    number: int
    candidates: Candidates
    came: Floats  # plays the next day, of each candidate
    best: float  # plays of the better half of the next day's titles


def learned(
    offers: Iterable[Offer], histories: Sequence[History], now: float, *, rounds: int = ROUNDS
) -> dict[str, float] | None:
    """Plays of titles in the first history's region; None where boosting has not earned it. The others are teachers."""
    packages = {offer.package.title: offer for offer in offers}
    days = min((history.days_known for history in histories), default=0)
    titles = _titles(packages, histories)
    if days < LEAST_DAYS or len(titles) < LEAST_TITLES:
        return None
    plays = np.stack([_plays(packages, titles, history, days) for history in histories])
    evenings, tonight = _evenings(packages, titles, plays, now)
    last = days - 1
    earlier = [one for one in evenings if one.number < last - TRIAL_DAYS]
    trial = [one for one in evenings if one.number >= last - TRIAL_DAYS and one.candidates.region == 0]
    try:
        model = learn(_lessons(earlier), rounds=rounds // 2) if earlier else None
        if model is None or not earned(
            [_score(one, model.predict(one.candidates.features)) for one in trial],
            [_score(one, one.candidates.amount * one.candidates.is_own) for one in trial],
        ):
            return None
        model = learn(_lessons(evenings), rounds=rounds)
    except ValueError:
        return None
    best = _best(plays[0, :, -1])
    expected = model.predict(tonight.features) * best
    return {titles[item]: float(amount) for item, amount in zip(tonight.item.tolist(), expected.tolist(), strict=True)}


def _titles(packages: Mapping[str, Offer], histories: Sequence[History]) -> list[str]:
    """The most watched of what is offered, in all regions together."""
    served: dict[str, float] = {}
    for history in histories:
        sums = np.nan_to_num(np.asarray(history.served, np.float64), posinf=0.0).clip(0).sum(axis=1)
        for name, amount in zip(history.files, sums.tolist(), strict=True):
            if name.title in packages and amount > 0:
                served[name.title] = served.get(name.title, 0.0) + amount
    return sorted(served, key=lambda title: -served[title])[:MOST_TITLES]


def _plays(packages: Mapping[str, Offer], titles: Sequence[str], history: History, days: int) -> Floats:
    """[title, day] of the last days."""
    row = {title: number for number, title in enumerate(titles)}
    plays = np.zeros((len(titles), days))
    sizes = {title: {file.name: file.size for file in packages[title].package.files} for title in titles}
    media = {
        title: {
            one.file for one in packages[title].package.of_kind("video") or packages[title].package.of_kind("audio")
        }
        for title in titles
    }
    served = np.nan_to_num(np.asarray(history.served, np.float64), posinf=0.0).clip(0)[:, -days:]
    for name, amounts in zip(history.files, served, strict=True):
        if name.title in row and name.file in media[name.title]:
            plays[row[name.title]] += amounts / max(1, sizes[name.title][name.file])
    return plays


def _evenings(
    packages: Mapping[str, Offer], titles: Sequence[str], plays: npt.NDArray[np.float64], now: float
) -> tuple[list[_Evening], Candidates]:
    """Of all days but the last, with what came; and the last, with what is asked about. Days end at `now`."""
    regions, _, days = plays.shape
    published = np.array([days - (now - packages[title].published_at) / _DAY_S for title in titles])
    duration = np.array([packages[title].package.duration for title in titles])
    totals = plays.cumsum(axis=2).sum(axis=0)
    most = max(2, int((plays > 0).sum(axis=1).max()))
    tracker = Tracker(regions, taken=1.0, most=most)
    evenings: list[_Evening] = []
    for number in range(days):
        region, item = np.nonzero(plays[:, :, number] > 0)
        amount = plays[region, item, number]
        position = np.zeros(len(item))
        for one in range(regions):
            mine = region == one
            position[mine] = np.argsort(np.argsort(-amount[mine], kind="stable"), kind="stable")
        zeros = np.zeros(len(item))
        tracker.observe(
            number,
            Day(
                region, item, amount, totals[item, number], zeros, position, published[item],
                np.zeros(len(item), np.int64), duration[item],
            ),
        )  # fmt: skip
        for candidates in tracker.candidates():
            if number + 1 < days:
                tomorrow = plays[candidates.region, :, number + 1]
                evenings.append(_Evening(number, candidates, tomorrow[candidates.item], _best(tomorrow)))
            elif candidates.region == 0:
                tonight = candidates
    return [one for one in evenings if one.best > 0 and len(one.came)], tonight


def _best(plays: Floats) -> float:
    return float(np.sort(plays[plays > 0])[::-1][: max(1, int((plays > 0).sum()) // 2)].sum())


def _lessons(evenings: Sequence[_Evening]) -> Lessons:
    return Lessons(
        np.concatenate([one.candidates.features for one in evenings]),
        np.concatenate([one.came / one.best for one in evenings]),
        np.concatenate([one.came > 0 for one in evenings]),
    )


def _score(evening: _Evening, expected: Floats) -> float:
    """Plays of the titles chosen by what is expected, of the most that as many could have had."""
    count = max(1, int(len(expected) * CHOSEN_SHARE))
    best = np.sort(evening.came)[::-1][:count].sum()
    got = evening.came[np.argsort(-expected, kind="stable")[:count]].sum()
    return float(got / best) if best > 0 else 1.0
