"""Reads what a simulation replays, and says of what kind each file is: traces of requests, or lists of popularity.

    access logs     JSON lines as appliances write them (oca/access_log.py)
    requests        CSV: time,object,size[,site]. Seconds since the epoch, a name (title/file), bytes, a site's name
    daily lists     CSV: date,country,video_id,published_at,category_id,is_live,duration,definition,views,likes: a row
                    for each video in a country's list of that day; its views so far
    half-years      CSV: report,kind,title,available_globally,release_date,hours_viewed,runtime_min,views: a row for
                    each title in the report of a half-year such as 2024Jan-Jun

All may be compressed (gzip). Rows that cannot be used are counted and passed over.
"""

from __future__ import annotations

import csv
import gzip
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fill.errors import TraceError
from fill.feed.records import Refusal, judge
from fill.simulate.lists import HALVES, LISTS, Half, Listed, from_halves, from_lists
from fill.simulate.source import Model
from fill.simulate.traces import REQUESTS, Asked, Trace, from_requests

# A trace is held in memory: some 100 bytes for each request.
MOST_REQUESTS = 20_000_000
_GZIP = b"\x1f\x8b"
# Lines at a file's beginning that tell of what kind it is.
_LOOK_AT = 100


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
    """Compressed or not, whatever the name says. Raises TraceError."""
    try:
        with path.open("rb") as raw:
            is_compressed = raw.read(2) == _GZIP
        with gzip.open(path) if is_compressed else path.open("rb") as file:
            yield from file
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise TraceError(f"{path} is cut off or damaged: {error}") from error


def _kind(path: Path) -> str:
    """The header that tells what a CSV file is; "" is an access log, also below a few lines of garbage.

    Raises TraceError.
    """
    lines = [line.strip() for line in islice(_lines(path), _LOOK_AT)]
    first = (lines or [b""])[0].decode(errors="replace").lstrip("\ufeff")
    columns = first.lower().split(",")
    for known in (REQUESTS, LISTS, HALVES):
        if set(known.split(",")) <= set(columns):
            return known
    if any(line.startswith(b"{") for line in lines):
        return ""
    found = repr(first[:60]) if first.isprintable() and "\ufffd" not in first else "something that is no text"
    raise TraceError(
        f"{path}: found {found if lines else 'nothing in it'}, expected JSON lines of an access log, or CSV with "
        f"{REQUESTS}[,site] or {LISTS} or {HALVES} in its first line"
    )


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
