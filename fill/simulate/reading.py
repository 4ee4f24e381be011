"""Reads what a simulation replays, and says of what kind each file is: traces of requests, or lists of popularity.

    access logs     JSON lines as appliances write them (oca/access_log.py)
    requests        CSV: time,object,size[,site]. Seconds since the epoch, a name (title/file), bytes, a site's name
    daily lists     CSV: date,country,video_id,published_at,category_id,is_live,duration,definition,views,likes: a row
                    for each video in a country's list of that day; its views so far
    half-years      CSV: report,kind,title,available_globally,release_date,hours_viewed,runtime_min,views: a row for
                    each title in the report of a half-year such as 2024Jan-Jun

All may be compressed (.gz). Rows that cannot be used are counted and passed over.
"""

from __future__ import annotations

import csv
import gzip
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fill.errors import TraceError
from fill.feed.records import Refusal, judge
from fill.simulate.lists import HALVES, LISTS, Half, Listed, from_halves, from_lists
from fill.simulate.source import Model
from fill.simulate.traces import REQUESTS, Asked, Trace, from_requests

# A trace is held in memory: some 100 bytes for each request.
MOST_REQUESTS = 20_000_000


class Loaded(NamedTuple):
    source: Model | Trace
    notes: tuple[str, ...]


def read(paths: Sequence[Path], regions: Collection[str], days: int, seed: int) -> Loaded:
    """`days`: the last so many that are there (of half-years: the first of the last one). Raises TraceError."""
    kinds = {path: _kind(path) for path in paths}
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{path} ({kind or 'access log'})" for path, kind in kinds.items())
        raise TraceError(f"files of one kind are expected, found {found}")
    kind = next(iter(kinds.values()))
    refused: Counter[str] = Counter()
    if kind == LISTS:
        listed = [row for path in paths for row in _listed(path, refused)]
        source: Model | Trace = from_lists(listed, regions, days, seed)
    elif kind == HALVES:
        halves = [row for path in paths for row in _halves(path, refused)]
        source = from_halves(halves, days, seed)
    else:
        rows = _requests if kind == REQUESTS else _answers
        source = from_requests((row for path in paths for row in rows(path, refused)), days, MOST_REQUESTS)
    notes = tuple(f"{count} rows were passed over: {reason}" for reason, count in refused.most_common())
    return Loaded(source, notes)


def _lines(path: Path) -> Iterator[bytes]:
    """Raises TraceError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (OSError, EOFError) as error:
        raise TraceError(f"{path} cannot be read: {error}") from error


def _kind(path: Path) -> str:
    """The header that tells what a CSV file is; "" is an access log. Raises TraceError."""
    first = next(_lines(path), b"").decode(errors="replace").strip().lstrip("\ufeff")
    if first.startswith("{"):
        return ""
    columns = first.lower().split(",")
    for known in (REQUESTS, LISTS, HALVES):
        if set(known.split(",")) <= set(columns):
            return known
    expected = (
        f"JSON lines of an access log, or a CSV file with {REQUESTS}[,site] or {LISTS} or {HALVES} in its first line"
    )
    raise TraceError(f"{path}: found {first[:80]!r}, expected {expected}")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    text = (line.decode(errors="replace").lstrip("\ufeff").replace("\0", "") for line in _lines(path))
    try:
        for row in csv.DictReader(text):
            yield {(key or "").strip().lower(): value for key, value in row.items() if isinstance(value, str)}
    except csv.Error as error:
        raise TraceError(f"{path}: {error}") from error


def _requests(path: Path, refused: Counter[str]) -> Iterator[Asked]:
    for row in _rows(path):
        try:
            asked = Asked(
                float(row["time"]), row["object"].strip(), float(row["size"]), site=row.get("site", "").strip()
            )
        except (KeyError, ValueError):
            refused["time or size is no number"] += 1
            continue
        if 0 <= asked.time < 1e11 and asked.object and 1 <= asked.size < 2**50:
            yield asked
        else:
            refused["time, object or size cannot be"] += 1


def _answers(path: Path, refused: Counter[str]) -> Iterator[Asked]:
    """Plays of files are what viewers got of them: segments of one file and viewer within an hour are one request."""
    now = time.time()
    for line in _lines(path):
        event = judge(line.rstrip(), now)
        if isinstance(event, Refusal):
            refused[event.value] += bool(line.strip())
        else:
            name = f"{event.title}/{event.file}"
            yield Asked(event.time, name, float(event.bytes), part=event.part, session=event.session)


def _listed(path: Path, refused: Counter[str]) -> Iterator[Listed]:
    for row in _rows(path):
        found = Listed.of(row)
        if found is None:
            refused["date, country, video or views cannot be read"] += 1
        else:
            yield found


def _halves(path: Path, refused: Counter[str]) -> Iterator[Half]:
    for row in _rows(path):
        found = Half.of(row)
        if found is None:
            refused["report, title or hours cannot be read"] += 1
        else:
            yield found
