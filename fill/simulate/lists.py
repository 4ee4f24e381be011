"""Published popularity as a source for simulations: daily lists of what is watched, reports of half-years.

Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np

from fill.errors import TraceError
from fill.forecast.counts import Totals, estimate
from fill.simulate.catalogue import DAY_S, Floats, with_ladder
from fill.simulate.source import EVERYWHERE, Model

LISTS = "date,country,video_id,published_at,duration,views"
HALVES = "report,title,release_date,hours_viewed"
# A list is read early in its day.
_TAKEN = 0.11
# Where nobody says how long something is.
_USUAL_S = 90 * 60.0
_LONGEST_S = 100 * 3600.0
# A title's plays halve when it is a week old, thirds when two, ... after its release.
_FADES_DAYS = 7.0
_KNOWN_DAYS_BEFORE = 7
_HALF_BEGINS = {"Jan-Jun": 1, "Jul-Dec": 7}


class Listed(NamedTuple):
    """A video in one country's list of one day."""

    day: int  # of the proleptic calendar
    country: str
    video: str
    published: float  # on the same scale
    seconds: float
    views: float  # so far

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Listed | None:
        try:
            day = date.fromisoformat(row["date"]).toordinal()
            views = float(row["views"])
        except (KeyError, ValueError):
            return None
        if not row.get("country") or not row.get("video_id") or not (math.isfinite(views) and views >= 0):
            return None
        return cls(
            day, row["country"], row["video_id"], _moment(row.get("published_at", ""), day), _seconds(row), views
        )


class Half(NamedTuple):
    """A title in the report of a half-year."""

    begins: int  # ordinal of its first day
    ends: int  # of the day after its last
    title: str
    released: int | None
    hours: float
    seconds: float | None

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Half | None:
        report = row.get("report", "")
        month = _HALF_BEGINS.get(report[4:])
        try:
            hours = float(row["hours_viewed"])
            begins = date(int(report[:4]), month or 0, 1)
        except (KeyError, ValueError):
            return None
        if not row.get("title") or not (math.isfinite(hours) and hours >= 0):
            return None
        ends = date(begins.year + (begins.month == 7), 7 if begins.month == 1 else 1, 1)
        minutes = _number(row.get("runtime_min", ""))
        seconds = min(minutes * 60, _LONGEST_S) if minutes else None
        return cls(
            begins.toordinal(), ends.toordinal(), row["title"], _ordinal(row.get("release_date", "")), hours, seconds
        )


def from_lists(rows: Sequence[Listed], regions: Collection[str], days: int, seed: int) -> Model:
    """The last `days` that any list is of. Regions are countries. Raises TraceError."""
    countries = {row.country for row in rows}
    unknown = sorted(set(regions) - countries)
    if unknown:
        found = f"regions {', '.join(unknown)} in the fleet"
        raise TraceError(f"found {found}, expected countries of the lists: {', '.join(sorted(countries)) or 'none'}")
    listed = sorted({row.day for row in rows})[-days:]
    numbers = {day: number for number, day in enumerate(listed)}
    wanted = [row for row in rows if row.country in regions]
    videos = {video: n for n, video in enumerate(dict.fromkeys(row.video for row in wanted if row.day in numbers))}
    if not videos:
        raise TraceError("the lists name no video on any of the days")
    seconds, released = np.full(len(videos), _USUAL_S), np.full(len(videos), len(listed))
    for row in wanted:
        if row.video in videos and row.day in numbers:
            seconds[videos[row.video]] = row.seconds
            released[videos[row.video]] = min(released[videos[row.video]], numbers[row.day])
    rng = np.random.default_rng(seed)
    catalogue, share = with_ladder(list(videos), seconds, released + 1, released, rng)
    views = _views(rows, countries, videos, numbers)
    rungs = len(share) // len(videos)
    return Model(catalogue, {c: np.repeat(views[c], rungs, axis=1) * share for c in regions}, seed)


def _views(
    rows: Sequence[Listed], countries: Collection[str], videos: Mapping[str, int], numbers: Mapping[int, int]
) -> dict[str, Floats]:
    """What came of each video since the evening before, in each country's list: [day, video].

    Counts are global, so whichever list counted a video the evening before is the reference.
    """
    plays = {country: np.zeros((len(numbers), len(videos))) for country in countries}
    by_day = defaultdict(list)
    for row in rows:
        by_day[row.day].append(row)
    names: dict[str, int] = {}
    totals = Totals()
    for day in sorted(by_day):
        today = by_day[day]
        items = np.array([names.setdefault(row.video, len(names)) for row in today], dtype=np.int64)
        views, published = np.array([row.views for row in today]), np.array([row.published for row in today])
        came = totals.increments(day, items, views, published, _TAKEN)
        amounts = estimate(came, views, np.maximum(0.0, day + _TAKEN - published))
        for row, amount in zip(today, amounts.tolist(), strict=True):
            if day in numbers and row.video in videos:
                plays[row.country][numbers[day], videos[row.video]] = amount
    return plays


def from_halves(rows: Sequence[Half], days: int, seed: int) -> Model:
    """Days of which half are in the last half-year and half before it, if there is a report of that. Raises TraceError.

    A report says how much in half a year: it is spread evenly over the days, and from a release on with a fading start.
    """
    begins = sorted({row.begins for row in rows})
    if not begins:
        raise TraceError("the reports name no title")
    first = begins[-1] - days // 2 if len(begins) > 1 else begins[-1]
    titles = {title: number for number, title in enumerate(dict.fromkeys(row.title for row in rows))}
    seconds = np.full(len(titles), _USUAL_S)
    released = np.full(len(titles), days)
    is_dated = np.zeros(len(titles), dtype=np.bool_)
    plays = np.zeros((days, len(titles)))
    calendar = first + np.arange(days)
    for row in rows:
        if row.seconds:
            seconds[titles[row.title]] = row.seconds
    for row in rows:
        number = titles[row.title]
        starts = max(row.begins, row.released) if row.released is not None and row.released < row.ends else row.begins
        weight = _weights(row, starts)
        inside = (calendar >= starts) & (calendar < row.ends)
        plays[inside, number] += row.hours * 3600 / seconds[number] * weight[calendar[inside] - starts]
        is_dated[number] |= row.released is not None
        if inside.any():
            released[number] = min(released[number], max(0, starts - first))
    watched = np.flatnonzero(plays.any(axis=0))
    if not len(watched):
        raise TraceError("the reports name no title that is watched on any of the days")
    names = list(titles)
    rng = np.random.default_rng(seed)
    catalogue, share = with_ladder(
        [names[number] for number in watched],
        seconds[watched],
        # Of a title without a date nobody knew before that it comes.
        np.where(is_dated | (released == 0), np.maximum(0, released - _KNOWN_DAYS_BEFORE), released + 1)[watched],
        released[watched],
        rng,
    )
    return Model(
        catalogue, {EVERYWHERE: np.repeat(plays[:, watched], len(share) // len(watched), axis=1) * share}, seed
    )


def _weights(row: Half, starts: int) -> Floats:
    """Shares of the hours on each day from `starts` on."""
    ages = np.arange(row.ends - starts)
    is_new = row.released is not None and row.released >= row.begins
    weight = 1 / (1 + ages / _FADES_DAYS) if is_new else np.ones(len(ages))
    return np.asarray(weight / weight.sum())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _seconds(row: Mapping[str, str]) -> float:
    return min(_number(row.get("duration", "")) or _USUAL_S, _LONGEST_S)


def _ordinal(text: str) -> int | None:
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        return None


def _moment(text: str, day: int) -> float:
    """In days; what cannot be read is taken to be a month old."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return day - 30.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return date(1970, 1, 1).toordinal() + moment.timestamp() / DAY_S
