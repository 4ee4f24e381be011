"""Reads what was watched from files of two kinds, told apart by their header; garbage lines are counted, not fatal.

    daily lists    date,country,video_id,published_at,category_id,is_live,duration,definition,views,likes
    half-years     report,kind,title,available_globally,release_date,hours_viewed,runtime_min,views

CSV, also gzipped. Of a line that is there twice the first counts. `views` of daily lists is a running total.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from fill.forecast.terms import Term

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LISTS_NEED = ("date", "country", "video_id", "published_at", "views")
HALVES_NEED = ("report", "title", "hours_viewed", "release_date")
# Of what nobody says when it was published: so long before it was first seen that nothing takes it for new.
UNKNOWN_AGE_DAYS = 30.0
# Categories are numbers below this; features count on it.
MOST_CATEGORY = 63
_DAY_S = 86400.0
_HALF = re.compile(r"(\d{4})\s*(Jan-Jun|Jul-Dec)", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
# More views, hours or minutes than that are a broken number.
_MOST = 1e15


@dataclass(frozen=True)
class Lists:
    """A row for each item of a country's list of a day; rows are in the order of days, countries and positions."""

    name: str
    first_day: date
    days: int  # from the first to the last day, those that are missing included
    countries: Sequence[str]
    day: Ints  # days after `first_day`
    country: Ints  # numbers of `countries`
    item: Ints
    position: Floats
    views: Floats
    likes: Floats
    published: Floats  # days after the start of `first_day`
    category: Ints
    duration: Floats
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def taken(self) -> float:
        """When lists are made, as a share of the day after its start: nothing is in one that was published later.

        The median day's last publication; on real lists half an hour off at most, in their first hours of a day.
        """
        latest = np.full(self.days, -np.inf)
        np.maximum.at(latest, self.day, self.published - self.day)
        known = latest[np.isfinite(latest)]
        return float(np.clip(np.median(known), 0.0, 0.999)) if len(known) else 0.0


@dataclass(frozen=True)
class Halves:
    name: str
    halves: Sequence[Term]  # in order of time
    refused: Mapping[str, int] = field(default_factory=dict)


def read(path: Path) -> Lists | Halves:
    """Raises BenchError if it is no such file, or nothing in it can be used."""
    try:
        with _opened(path) as stream:
            lines = csv.reader(line.replace("\0", "") for line in stream)
            header = [name.strip().lower().lstrip("\ufeff") for name in next(lines, [])]
            if set(LISTS_NEED) <= set(header):
                return read_lists(path.name, header, _rows(lines))
            if set(HALVES_NEED) <= set(header):
                return read_halves(path.name, header, _rows(lines))
    except (OSError, EOFError, zlib.error) as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    raise BenchError(
        f"{path}: the first line is {','.join(header)[:80]!r}; expected a header with {', '.join(LISTS_NEED)} "
        f"(daily lists) or {', '.join(HALVES_NEED)} (half-years)"
    )


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == _GZIP
    opener: Callable[..., Any] = gzip.open if is_gzip else open
    opened: IO[str] = opener(path, "rt", encoding="utf-8", errors="replace", newline="")
    return opened


def _rows(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows as far as the file can be read: a line that is no CSV, or where a cut file ends, is a row of one field."""
    while True:
        try:
            yield next(lines)
        except StopIteration:
            return
        except csv.Error:
            yield [""]
        except (EOFError, zlib.error):
            yield [""]
            return


def read_lists(name: str, header: Sequence[str], rows: Iterator[list[str]]) -> Lists:
    at = {key: header.index(key) for key in header}
    refused: Counter[str] = Counter()
    seen: set[tuple[int, str, str]] = set()
    items: dict[str, int] = {}
    found: list[tuple[int, str, int, float, float, float, int, float]] = []
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            refused["not as many fields as the header"] += 1
            continue
        day, views = _day(row[at["date"]]), _number(row[at["views"]])
        country, video = row[at["country"]].strip(), row[at["video_id"]].strip()
        if day is not None and not _FIRST_DAY <= day < _LAST_DAY:
            refused["no date of this century"] += 1
            continue
        if day is None or views is None or not country or not video:
            refused["no date, country, video or views"] += 1
            continue
        if (day, country, video) in seen:
            refused["there twice"] += 1
            continue
        seen.add((day, country, video))
        published = _moment(row[at["published_at"]])
        number = items.setdefault(video, len(items))
        category = _number(_field(row, at, "category_id")) or 0.0
        found.append((
            day, country, number, views, _number(_field(row, at, "likes")) or 0.0,
            day - UNKNOWN_AGE_DAYS if published is None else published, int(min(category, MOST_CATEGORY)),
            _number(_field(row, at, "duration")) or 0.0,
        ))  # fmt: skip
    if not found:
        raise BenchError(f"{name}: no line of it is a list's; refused: {_said(refused)}")
    countries = sorted({row[1] for row in found})
    numbers = {country: number for number, country in enumerate(countries)}
    when, names, items_of, counts, liked, born, kinds, lengths = (
        np.array(column) for column in zip(*found, strict=True)
    )
    days, place = when, np.array([numbers[name] for name in names.tolist()], np.int64)
    order = np.lexsort((np.arange(len(days)), place, days))
    days, place, first = days[order], place[order], int(days.min())
    starts = np.flatnonzero(np.r_[True, (days[1:] != days[:-1]) | (place[1:] != place[:-1])])
    position = np.arange(len(days)) - np.repeat(starts, np.diff(np.r_[starts, len(days)]))
    return Lists(
        name, date.fromordinal(first + _EPOCH), int(days.max()) - first + 1, countries, days - first, place,
        items_of[order].astype(np.int64), position.astype(np.float64), counts[order], liked[order], born[order] - first,
        kinds[order].astype(np.int64), lengths[order], dict(refused),
    )  # fmt: skip


def read_halves(name: str, header: Sequence[str], rows: Iterator[list[str]]) -> Halves:
    at = {key: header.index(key) for key in header}
    refused: Counter[str] = Counter()
    found: dict[tuple[int, int], dict[tuple[str, str], tuple[bool, float, float, float]]] = {}
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            refused["not as many fields as the header"] += 1
            continue
        report, hours = _HALF.search(row[at["report"]]), _number(row[at["hours_viewed"]])
        title = row[at["title"]].strip()
        if report is None or hours is None or not title:
            refused["no report such as 2024Jul-Dec, title or hours"] += 1
            continue
        half = found.setdefault((int(report[1]), int(report[2].lower() == "jul-dec")), {})
        key = (title, _field(row, at, "kind").strip().lower() or "any")
        if key in half:
            refused["there twice"] += 1
            continue
        released = _day(row[at["release_date"]])
        minutes = _number(_field(row, at, "runtime_min"))
        half[key] = (
            _field(row, at, "available_globally").strip().lower() in ("yes", "true", "1"),
            math.nan if released is None else float(released), hours, minutes or math.nan,
        )  # fmt: skip
    if not found:
        raise BenchError(f"{name}: no line of it is a report's; refused: {_said(refused)}")
    return Halves(name, [_half(*when, found[when]) for when in sorted(found)], dict(refused))


def _half(year: int, second: int, titles: Mapping[tuple[str, str], tuple[bool, float, float, float]]) -> Term:
    start = date(year, 7 if second else 1, 1)
    end = date(year + second, 1 if second else 7, 1)
    # Reports list the most watched first; in that order, titles that a forecast holds to be equal would not be.
    keys = sorted(titles)
    is_global, released, hours, minutes = zip(*(titles[key] for key in keys), strict=True)
    return Term(
        f"{year}{'Jul-Dec' if second else 'Jan-Jun'}", float(start.toordinal() - _EPOCH),
        float(end.toordinal() - _EPOCH), [title for title, _ in keys], [kind for _, kind in keys],
        np.array(is_global, bool), np.array(released), np.array(hours), np.array(minutes),
    )  # fmt: skip


def merged(files: Sequence[Halves]) -> Halves:
    """Reports of several files; one that is in two is the first one's."""
    reports: dict[str, Term] = {}
    refused: Counter[str] = Counter()
    for file in files:
        refused.update(file.refused)
        for half in file.halves:
            reports.setdefault(half.name, half)
    return Halves(
        ", ".join(file.name for file in files), sorted(reports.values(), key=lambda half: half.start), refused
    )


_EPOCH = date(1970, 1, 1).toordinal()
# A list of another day was not made then: one such line would stretch the file over centuries.
_FIRST_DAY, _LAST_DAY = (date(year, 1, 1).toordinal() - _EPOCH for year in (2000, 2100))


def _field(row: Sequence[str], at: Mapping[str, int], key: str) -> str:
    return row[at[key]] if key in at else ""


def _number(text: str) -> float | None:
    """None for what is no number, or none that can be."""
    try:
        value = float(text.replace(",", "")) if text else math.nan
    except ValueError:
        return None
    return value if 0 <= value < _MOST else None


def _day(text: str) -> int | None:
    """Days since the epoch."""
    try:
        return date.fromisoformat(text.strip()[:10]).toordinal() - _EPOCH
    except ValueError:
        return None


def _moment(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() / _DAY_S


def _said(refused: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({reason})" for reason, count in refused.items()) or "nothing"
