"""What each forecast expects of each evening: plain ones, and boosting learnt on other countries and earlier months.

Boosting never learns from the country it is asked about (countries are dealt into folds) nor from the month it is asked
about or a later one. A file of one country has no others to learn from: its own earlier months have to do, which is
said. Where it did not beat the plain forecast on the countries and days it may know, its evenings get
the plain forecast: what an operator would have used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from bench.fill.reading import Floats, Lists
from bench.fill.reveal import Evening
from bench.rows import OURS
from config.progress import Reporter
from fill.forecast.boosted import Boosted, Lessons, earned, learn
from fill.forecast.counts import decay
from fill.forecast.features import NAMES

# Before a month is forecast so many days are there to learn from.
LEARN_DAYS = 28
# Of what may be learnt from, the last days decide whether boosting is turned on.
TRIAL_DAYS = 10
# With few countries there is little to learn from, and little time to save.
FOLDS, QUICK_FOLDS, FEW_COUNTRIES = 5, 2, 6
ROUNDS, QUICK_ROUNDS = 150, 80
WORKERS = 2
# Plain forecasts' names.
PERSISTENCE, SMOOTHED, DECAYED, PRIOR = "yesterday", "smoothed", "decay", "prior"
_BEFORE, _SURVIVAL = NAMES.index("amount_before"), NAMES.index("survival_here")


@dataclass(frozen=True)
class Expectations:
    """What was expected of each evening's candidates, by forecast, and which evenings are scored."""

    evenings: Sequence[Evening]
    of: Mapping[str, Sequence[Floats]]
    is_scored: npt.NDArray[np.bool_]  # evenings of months that boosting was asked about
    notes: Sequence[str]

    @property
    def scored(self) -> list[int]:
        """Their numbers."""
        return [int(number) for number in np.flatnonzero(self.is_scored)]


def plain(evening: Evening) -> dict[str, Floats]:
    """Forecasts that need no learning."""
    candidates = evening.candidates
    own = np.where(candidates.is_own, candidates.amount, 0.0)
    before = np.expm1(candidates.features[:, _BEFORE].astype(np.float64))
    aged = own * decay(candidates.age)
    return {
        PERSISTENCE: own,
        SMOOTHED: np.where(before > 0, (own + before) / 2, own) * candidates.is_own,
        DECAYED: aged,
        PRIOR: aged * candidates.features[:, _SURVIVAL],
    }


def expectations(lists: Lists, found: Sequence[Evening], reporter: Reporter, *, quick: bool) -> Expectations:
    of: dict[str, list[Floats]] = {}
    for evening in found:
        for name, expected in plain(evening).items():
            of.setdefault(name, []).append(expected)
    ours = list(of[PRIOR])
    months = _months(lists, found)
    is_scored = np.zeros(len(found), bool)
    notes = []
    is_short = quick and len(lists.countries) > FEW_COUNTRIES
    folds = _folds(found, QUICK_FOLDS if is_short else FOLDS)
    is_alone = len(set(folds.values())) < 2
    if is_alone:
        notes.append("one country only: boosting learns from its own earlier days, for want of others")
    if quick:
        months = dict(list(months.items())[-2:])
    for asked in months.values():
        is_scored[asked] = True
    questions = [(first_day, fold) for first_day in months for fold in sorted(set(folds.values()))]

    def answered(question: tuple[int, int]) -> tuple[list[int], Boosted | None]:
        """The evenings it is about, and what was learnt for them."""
        first_day, fold = question
        mine = [number for number in months[first_day] if folds[found[number].region] == fold]
        past = [one for one in found if one.day < first_day and (is_alone or folds[one.region] != fold)]
        return mine, _worthwhile(past, QUICK_ROUNDS if quick else ROUNDS) if mine and past else None

    # Each model is learnt by one thread, since several would wait for one another; so several are learnt at once.
    with reporter.bar("learning", len(questions)) as bar, ThreadPoolExecutor(WORKERS) as pool:
        for done, ((first_day, _), (mine, model)) in enumerate(
            zip(questions, pool.map(answered, questions), strict=True)
        ):
            bar.update(done + 1)
            if model is None:
                notes += [f"boosting stays off for {len(mine)} evenings from day {first_day} on"] if mine else []
                continue
            rows = np.concatenate([found[number].candidates.features for number in mine])
            ends = np.cumsum([len(found[number].candidates.item) for number in mine])[:-1]
            for number, expected in zip(mine, np.split(model.predict(rows), ends), strict=True):
                ours[number] = expected
    return Expectations(found, {**of, OURS: ours}, is_scored, notes)


def lessons(past: Sequence[Evening]) -> Lessons:
    demands = [(one.candidates, one.demand) for one in past]
    half = [max(1, len(one.demand.listed) // 2) for one in past]
    return Lessons(
        np.concatenate([candidates.features for candidates, _ in demands]),
        np.concatenate([
            demand.of(candidates.item) / demand.best(slots)
            for (candidates, demand), slots in zip(demands, half, strict=True)
        ]),
        np.concatenate([np.isin(candidates.item, demand.listed) for candidates, demand in demands]),
    )  # fmt: skip


def _worthwhile(past: Sequence[Evening], rounds: int) -> Boosted | None:
    """Learnt on all of the past, if what is learnt without its last days beat yesterday's counts on them."""
    last = max(one.day for one in past)
    earlier = [one for one in past if one.day <= last - TRIAL_DAYS]
    trial = [one for one in past if one.day > last - TRIAL_DAYS]
    try:
        model = learn(lessons(earlier), rounds=rounds // 2) if earlier else None
        if model is None:
            return None
        gains: list[list[float]] = [[], []]
        for one in trial:
            slots = max(1, len(one.demand.listed) // 4)
            gains[0].append(one.score(model.predict(one.candidates.features), slots))
            gains[1].append(one.score(plain(one)[PRIOR], slots))
        return learn(lessons(past), rounds=rounds) if earned(*gains) else None
    except ValueError:
        return None


def _months(lists: Lists, found: Sequence[Evening]) -> dict[int, list[int]]:
    """Evenings of each month that has enough days before it, by the first of its days.

    A file too short for that is scored in its second half, learning on the first.
    """
    months: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, evening in enumerate(found):
        day = lists.first_day + timedelta(days=evening.day)
        months[day.year, day.month].append(number)
    by_day = {found[numbers[0]].day: numbers for numbers in months.values()}
    chosen = {first: numbers for first, numbers in by_day.items() if first >= LEARN_DAYS}
    if not chosen and found:
        middle = (found[0].day + found[-1].day + 1) // 2
        chosen = {middle: [number for number, evening in enumerate(found) if evening.day >= middle]}
    return dict(sorted(chosen.items()))


def _folds(found: Sequence[Evening], count: int) -> dict[int, int]:
    regions = sorted({evening.region for evening in found})
    return {region: number % min(count, len(regions)) for number, region in enumerate(regions)}
