"""Predicts how much each file of the catalog will be watched in a region in the day to come.

    plays of a title = its days before, recent ones counting most, by the week's rhythm, as titles of its age go on;
                       what is new: its prior (cohorts), which what it was watched since corrects
    plays of a file  = plays of the title x the file's share of its kind, drawn towards an even one

A play is the file's size in bytes, so plays a day *are* the value of a byte of it: bytes served a day for each byte
stored. How fast days are forgotten is chosen by what would have forecast the last days best; on daily lists that is all
but yesterday, on a quiet long catalogue a week.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import ref

import numpy as np

from encoder.package import Package, Rendition
from fill.forecast.cohorts import Cohorts, cohorts
from fill.forecast.counts import Floats
from fill.forecast.expected import Expected, Forecast
from fill.history import HOURS_OF_WEEK, History
from fill.names import FileName, Offer
from fill.policy import NO_POLICY, Policy, Release

# A title published within this time is expected to be watched by its prior as well.
NEW_FOR_S = 7 * 86400.0
# That prior weighs as so many days of being watched.
PRIOR_DAYS = 1.0
# A title is worth its plays this long before its release, so that a night is left to fill it in.
BEFORE_RELEASE_S = 3 * 86400.0
# An older one that nobody watched has had its chance; it is still likelier to be watched than nothing.
UNWATCHED_SHARE = 0.02
# Of what is watched in other regions only, so much comes here the next day.
ELSEWHERE_SHARE = 0.1
# What a file's share of its title is drawn towards weighs like so many plays: a rung that one viewer in a quiet night
# happened not to use is not worthless.
SHARE_PLAYS = 4.0
# Of the plays of a title with several audio tracks, the default one is expected to get so many.
DEFAULT_AUDIO_SHARE = 0.7
# How fast days are forgotten, in days; one is used until there are days to choose by.
HALF_LIVES = (0.5, 1.0, 2.0, 4.0, 8.0)
USUAL_HALF_LIFE = 1.0
_TRIED_DAYS = 7
# A week's rhythm says nothing of weekdays until two of each were seen; and no day differs more than that.
_RHYTHM_DAYS = 14
_DAY_FACTORS = (0.4, 2.5)
# Ages in days below which titles of an age go on alike; and title-days before that counts.
_AGES = (1.0, 2.0, 4.0, 8.0)
_AGE_PLAYS = 50.0
_AGE_FACTORS = (0.3, 1.5)
# Day-to-day variation over what chance alone does, before any was seen: the median of daily lists' items.
USUAL_VARIATION = 0.5
_MOST_BYTES = 1e18
_DAY_S = 86400.0
_HOUR_S = 3600.0


@dataclass(frozen=True)
class _Watched:
    """Plays of titles by day, [title, day], and of their files in all days."""

    row: Mapping[str, int]
    daily: Floats
    files: Mapping[str, Mapping[str, float]]  # bytes a day, recent days counting most


def forecast(
    offers: Iterable[Offer],
    history: History,
    policy: Policy = NO_POLICY,
    now: float | None = None,
    others: Sequence[History] = (),
    learnt: Mapping[str, float] | None = None,
) -> Forecast:
    """What each media file (video and audio) of the offered packages is expected to be watched.

    `others` are other regions' histories at the same time. `learnt` are plays of titles that a model expects
    (learned.py); they replace the smoothed ones.
    """
    offers = list(offers)
    now = history.now if now is None else now
    packages = {offer.package.title: offer.package for offer in offers}
    watched = _watched(packages, history)
    known = max(0, min(history.days_known, watched.daily.shape[1]))
    daily, tomorrow = _without_rhythm(watched.daily, history, known)
    half_life = _half_life(daily, known)
    smoothed = _smooth(daily, known, half_life) if known else np.zeros(len(daily))
    starts = _starts(offers, watched, history, policy)
    factors = _age_factors(daily, known, watched.row, starts, now)
    plays = {title: float(smoothed[row]) for title, row in watched.row.items()}
    newcomers = sum(
        -BEFORE_RELEASE_S < now - start < NEW_FOR_S and not plays.get(title) for title, start in starts.items()
    )
    told = cohorts(plays, [_elsewhere(packages, other) for other in others], newcomers)
    variation = _variation(daily, known, half_life)
    expected: dict[FileName, Expected] = {}
    for offer in offers:
        title = offer.package.title
        age = (now - starts[title]) / _DAY_S
        amount = plays.get(title, 0.0) * tomorrow * factors[int(np.searchsorted(_AGES, age))]
        if learnt and title in learnt and amount > 0:
            found = Expected(learnt[title], f"watched {plays[title]:.2g} times a day, {learnt[title]:.2g} by the model")
        else:
            found = _of_title(title, amount, age, told, policy.release(title))
        error = float(np.hypot(np.sqrt(found.plays), variation * found.plays))
        expected |= _of_files(offer.package, found, error, watched.files.get(title, {}))
    model = "boosted" if learnt else "smoothed"
    return Forecast(history.region, now, model, expected, _hours(history.rhythm, now))


def _starts(offers: Sequence[Offer], watched: _Watched, history: History, policy: Policy) -> dict[str, float]:
    """Since when each title may be watched: one that was watched before it was published was only encoded anew."""
    days = watched.daily.shape[1]
    begins = history.now - np.arange(days, 0, -1) * _DAY_S
    starts = {}
    for offer in offers:
        title, start = offer.package.title, offer.published_at
        if title in watched.row and start > history.now - days * _DAY_S:
            before = np.flatnonzero((watched.daily[watched.row[title]] > 0) & (begins + _DAY_S <= start))
            start = float(begins[before[0]]) if len(before) else start
        starts[title] = max(start, policy.release(title).at)
    return starts


def _of_title(title: str, plays: float, age: float, told: Cohorts, release: Release) -> Expected:
    if age * _DAY_S < -BEFORE_RELEASE_S:
        return Expected(0.0, f"not before {datetime.fromtimestamp(release.at, UTC):%Y-%m-%d %H:%M} UTC")
    if age * _DAY_S < NEW_FOR_S:
        prior = told.of_new(title, release)
        since = max(0.0, age)
        if plays < prior.plays or release.plays is not None:
            corrected = (PRIOR_DAYS * prior.plays + since * plays) / (PRIOR_DAYS + since)
            return Expected(corrected, prior.reason + (f", watched {plays:.2g} times a day so far" if plays else ""))
    if plays > 0:
        return Expected(plays, f"watched {plays:.2g} times a day")
    unwatched = told.mean * UNWATCHED_SHARE
    elsewhere = told.elsewhere.get(title, 0.0) * ELSEWHERE_SHARE
    if elsewhere > unwatched:
        return Expected(elsewhere, "watched in other regions, not here")
    return Expected(unwatched, "not watched since it was published")


def _of_files(
    package: Package, title: Expected, error: float, bytes_of: Mapping[str, float]
) -> dict[FileName, Expected]:
    found: dict[FileName, Expected] = {}
    for kind in ("video", "audio"):
        renditions = package.of_kind(kind)
        if not renditions:  # a silent film, or a song
            continue
        shares = _shares(package, renditions, bytes_of)
        for rendition, share in zip(renditions, shares, strict=True):
            of_kind = f", {share:.0%} of its {kind}" if len(renditions) > 1 else ""
            name = FileName(package.title, rendition.file)
            found[name] = Expected(title.plays * share, title.reason + of_kind, error * share**0.5)
    return found


class _Remembered(NamedTuple):
    history: ref[History]
    packages: Mapping[str, Package]
    watched: _Watched


# By identity of a history: each region's forecast needs all others', and they are the same for all of them. What is
# remembered of a history goes with it.
_remembered: dict[int, _Remembered] = {}


def _watched(packages: Mapping[str, Package], history: History) -> _Watched:
    """Plays by title: of all its video files together, or of its audio if it has no video."""
    key = id(history)
    known = _remembered.get(key)
    if known is not None and known.history() is history and _are_same(known.packages, packages):
        return known.watched
    found = _counted(packages, history)
    _remembered[key] = _Remembered(ref(history, lambda _: _remembered.pop(key, None)), packages, found)
    return found


def _are_same(some: Mapping[str, Package], others: Mapping[str, Package]) -> bool:
    return len(some) == len(others) and all(others.get(title) is package for title, package in some.items())


def _counted(packages: Mapping[str, Package], history: History) -> _Watched:
    served = np.nan_to_num(np.asarray(history.served, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    # Less than a byte was not served, and no day has more bytes than that.
    served = np.where(served >= 1, np.minimum(served, _MOST_BYTES), 0.0)
    row: dict[str, int] = {}
    for name in history.files:
        if name.title in packages:
            row.setdefault(name.title, len(row))
    daily = np.zeros((len(row), served.shape[1]))
    weights = 0.5 ** (np.arange(served.shape[1])[::-1] / USUAL_HALF_LIFE)
    if len(weights):
        known = slice(max(0, len(weights) - max(1, history.days_known)), None)
        weights /= weights[known].sum()
    files: dict[str, dict[str, float]] = {}
    media = {title: _media_sizes(package) for title, package in packages.items() if title in row}
    stored = {title: {file.name for file in packages[title].files} for title in row}
    for name, days in zip(history.files, served, strict=True):
        if name.title not in row:
            continue
        files.setdefault(name.title, {})[name.file] = float(days @ weights)
        sizes = media[name.title]
        # Files that an earlier package had, and this one has not: what was watched of them was watched of the title.
        usual = sum(sizes.values()) / len(sizes) if sizes and name.file not in stored[name.title] else 0.0
        size = sizes.get(name.file, usual)
        if size > 0:
            daily[row[name.title]] += days / size
    return _Watched(row, daily, files)


def _media_sizes(package: Package) -> dict[str, float]:
    sizes = {file.name: file.size for file in package.files}
    return {one.file: float(max(1, sizes[one.file])) for one in package.of_kind("video") or package.of_kind("audio")}


def _elsewhere(packages: Mapping[str, Package], other: History) -> dict[str, float]:
    watched = _watched(packages, other)
    known = max(0, min(other.days_known, watched.daily.shape[1]))
    smoothed = _smooth(watched.daily, known, USUAL_HALF_LIFE) if known else np.zeros(len(watched.row))
    return {title: float(smoothed[row]) for title, row in watched.row.items()}


def _without_rhythm(daily: Floats, history: History, known: int) -> tuple[Floats, float]:
    """Days as if all days of the week were alike, and what tomorrow is over such a day."""
    rhythm = _sound_rhythm(history.rhythm)
    if known < _RHYTHM_DAYS:
        return daily, 1.0
    days = daily.shape[1]
    first_hours = [_hour_of_week(history.now - (days - day) * _DAY_S) for day in range(days + 1)]
    factors = np.array([_day_share(rhythm, first) * 7 for first in first_hours])
    factors = np.clip(factors, *_DAY_FACTORS)
    return daily / factors[:-1], float(factors[-1])


def _smooth(daily: Floats, known: int, half_life: float) -> Floats:
    weights = 0.5 ** (np.arange(known)[::-1] / half_life)
    return np.asarray(daily[:, daily.shape[1] - known :] @ (weights / weights.sum()), np.float64)


def _half_life(daily: Floats, known: int) -> float:
    """Of those there are, the one whose forecasts of the last days were least wrong."""
    if known < 4 or not len(daily):
        return USUAL_HALF_LIFE
    days = daily.shape[1]
    tried = range(max(days - known + 2, days - _TRIED_DAYS), days)

    def wrong(half_life: float) -> float:
        return sum(
            float(np.abs(daily[:, day] - _smooth(daily[:, :day], known - (days - day), half_life)).sum())
            for day in tried
        )

    return min(HALF_LIVES, key=lambda half_life: (wrong(half_life), abs(half_life - USUAL_HALF_LIFE)))


def _age_factors(
    daily: Floats, known: int, row: Mapping[str, int], starts: Mapping[str, float], now: float
) -> list[float]:
    """For each class of `_AGES`, and older ones: a day over the day before, of titles of that age in past days."""
    days = daily.shape[1]
    before, after = np.zeros(len(_AGES) + 1), np.zeros(len(_AGES) + 1)
    if known >= 2 and row:
        ages = np.array([(now - starts[title]) / _DAY_S for title in row])
        for ago in range(1, min(known, 2 * _TRIED_DAYS)):
            then = ages - ago + 1  # when the later of the two days ends
            # A title's first day is not a whole one.
            whole = then >= 2.0
            kinds = np.searchsorted(_AGES, then - 1)
            np.add.at(before, kinds[whole], daily[whole, days - ago - 1])
            np.add.at(after, kinds[whole], daily[whole, days - ago])
    factors = (after + _AGE_PLAYS) / (before + _AGE_PLAYS)
    factors[-1] = 1.0  # old titles' days are what smoothing is for
    return [float(factor) for factor in np.clip(factors, *_AGE_FACTORS)]


def _variation(daily: Floats, known: int, half_life: float) -> float:
    """Of a title's day about its forecast, relative, beyond what chance does; of the plays that there are."""
    if known < 3 or not len(daily):
        return USUAL_VARIATION
    days = daily.shape[1]
    past = _smooth(daily[:, :-1], known - 1, half_life)
    watched = past > 0
    if not watched.any():
        return USUAL_VARIATION
    wrong = float(((daily[watched, days - 1] - past[watched]) ** 2).sum())
    return float(np.clip(np.sqrt(max(0.0, wrong - past.sum()) / (past**2).sum()), 0.05, 2.0))


def _sound_rhythm(rhythm: Floats) -> Floats:
    """An even one for what is none: a wrong length, NaN, nothing."""
    sound = np.maximum(np.nan_to_num(np.asarray(rhythm, np.float64).ravel(), posinf=0.0), 0.0)
    if len(sound) != HOURS_OF_WEEK or not sound.sum() > 0:
        return np.full(HOURS_OF_WEEK, 1 / HOURS_OF_WEEK)
    return np.asarray(sound / sound.sum(), np.float64)


def _hour_of_week(moment: float) -> int:
    """Monday 00:00 UTC is 0; the epoch was a Thursday."""
    return int(moment // _HOUR_S + 3 * 24) % HOURS_OF_WEEK


def _day_share(rhythm: Floats, first_hour: int) -> float:
    return float(rhythm[(first_hour + np.arange(24)) % HOURS_OF_WEEK].sum())


def _hours(rhythm: Floats, now: float) -> Floats:
    """Shares of the 24 hours from now on."""
    hours = _sound_rhythm(rhythm)[(_hour_of_week(now) + np.arange(24)) % HOURS_OF_WEEK]
    return np.asarray(hours / hours.sum() if hours.sum() > 0 else np.full(24, 1 / 24), np.float64)


def _shares(package: Package, renditions: tuple[Rendition, ...], bytes_of: Mapping[str, float]) -> list[float]:
    """Each rendition's share of the plays of its kind; they sum to 1."""
    sizes = {file.name: file.size for file in package.files}
    plays = [bytes_of.get(rendition.file, 0.0) / max(1, sizes[rendition.file]) for rendition in renditions]
    total = sum(plays) + SHARE_PLAYS
    return [(play + SHARE_PLAYS * prior) / total for play, prior in zip(plays, _prior_shares(renditions), strict=True)]


def _prior_shares(renditions: tuple[Rendition, ...]) -> list[float]:
    count = len(renditions)
    defaults = sum(rendition.default for rendition in renditions)
    if defaults in (0, count) or renditions[0].kind != "audio":
        return [1 / count] * count
    rest = (1 - DEFAULT_AUDIO_SHARE) / (count - defaults)
    return [DEFAULT_AUDIO_SHARE / defaults if rendition.default else rest for rendition in renditions]
