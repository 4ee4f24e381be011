"""What was watched in a region, for whoever forecasts: from what `nearcast fill ingest` keeps, or straight from logs.

Both ways count alike. Nothing later than `now` is looked at, so a forecast of a past night can be made again.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fill.feed.counting import count_hours, refused_in
from fill.feed.database import Rows, create_table, insert, open_database, past_damage
from fill.feed.days import hours_until
from fill.feed.lines import HOUR_S, LINE_KINDS, Batch, Places
from fill.feed.logs import read_lines
from fill.feed.rhythm import rhythm_of
from fill.feed.store import Store
from fill.history import History, flat_rhythm
from fill.names import FileName

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS = 28
_DAY_S = 86400
# Lines whose columns are held in memory at once: some 100 MB.
_LINES_AT_ONCE = 200_000


def read_history(events: str, region: str, now: float, days: int = DAYS) -> History:
    """The region's last `days` days at `now`, from the events that are kept at this URL. Raises FeedError."""
    store = Store(events)
    first = int((now - days * _DAY_S) // HOUR_S)
    with open_database() as connection:

        def read(rows: Rows) -> None:
            hours = hours_until(connection, rows, store, first, now)
            connection.execute(f"CREATE TEMP TABLE hours AS SELECT * FROM {hours} WHERE region = ?", [region])

        past_damage(read)
        return _history(connection, region, now, days)


def history_of_logs(
    logs: Iterable[Path], region: str, now: float, days: int = DAYS, *, places: Places | None = None
) -> History:
    """The same, counted from access logs now: for networks so small that nothing need be kept.

    `places` tells which appliances are of this region; without it all are. Raises LogError.
    """
    places = places or Places({}, {}, region)
    oldest = now - (days + 1) * _DAY_S
    seen: set[tuple[int, int]] = set()
    with open_database() as connection:
        create_table(connection, "lines", LINE_KINDS)
        for log in logs:
            if _is_known(log, seen):
                continue
            begin, batch = 0, Batch(places, oldest=oldest)
            for piece in read_lines(log, with_open_end=True):
                batch.add(piece.line, max(now, clock.time()))
                if len(batch) >= _LINES_AT_ONCE:
                    insert(connection, "lines", LINE_KINDS, batch.columns(max(now, clock.time()), f"{log}:{begin}"))
                    begin, batch = piece.end, Batch(places, oldest=oldest)
            insert(connection, "lines", LINE_KINDS, batch.columns(max(now, clock.time()), f"{log}:{begin}"))
        count_hours(connection, "lines", "counted_hours", until=now)
        connection.execute("CREATE TEMP TABLE hours AS SELECT * FROM counted_hours WHERE region = ?", [region])
        return _history(connection, region, now, days)


def _is_known(log: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether this file was read under another name: appliances move their logs away while we read."""
    try:
        status = log.stat()
    except OSError:  # gone, or refused: opening it says which
        return False
    key = status.st_dev, status.st_ino
    is_known = key in seen
    seen.add(key)
    return is_known


def _history(connection: DuckDBPyConnection, region: str, now: float, days: int) -> History:
    """From the table `hours`; an hour is of the day that its middle is in."""
    middle = f"(hour + 0.5) * {HOUR_S}"
    connection.execute(
        "CREATE TEMP TABLE days AS SELECT title, file, "
        f"greatest(0, floor(({now!r} - {middle}) / {_DAY_S}))::BIGINT AS age, "
        "sum(bytes)::DOUBLE AS bytes, sum(sessions)::DOUBLE AS sessions FROM hours WHERE title != '' GROUP BY ALL"
    )
    found = connection.execute(
        "SELECT dense_rank() OVER (ORDER BY title, file) - 1 AS row, age, bytes, sessions FROM days WHERE age < ?",
        [days],
    ).fetchnumpy()
    names = connection.execute("SELECT DISTINCT title, file FROM days WHERE age < ? ORDER BY title, file", [days])
    files = [FileName(*name) for name in names.fetchall()]
    served, sessions = np.zeros((len(files), days)), np.zeros((len(files), days))
    column = days - 1 - found["age"]
    served[found["row"], column] = found["bytes"]
    sessions[found["row"], column] = found["sessions"]
    by_hour = connection.execute(
        "SELECT hour, sum(bytes)::DOUBLE FROM hours WHERE title != '' GROUP BY hour"
    ).fetchall()
    records = connection.execute("SELECT sum(answers)::BIGINT FROM hours WHERE title != ''").fetchall()[0][0]
    return History(
        region=region,
        now=now,
        files=files,
        served=served,
        days_known=int(found["age"].max()) + 1 if files else 0,
        sessions=sessions,
        rhythm=_rhythm(dict(by_hour), now),
        records=records or 0,
        refused=refused_in(connection, "hours"),
    )


def _rhythm(by_hour: dict[int, float], now: float) -> npt.NDArray[np.float64]:
    """Of all hours from the first that is known up to the last that is over; without one, of the one under way."""
    if not by_hour:
        return flat_rhythm()
    first = min(by_hour)
    hours = np.arange(first, max(first + 1, int(now // HOUR_S)))
    return rhythm_of(hours, np.array([by_hour.get(int(hour), 0.0) for hour in hours]))
