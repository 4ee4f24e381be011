"""Takes in access logs: their lines into hours of events, each line once, whatever is killed when.

    logs -> arriving/ -> lines/HOUR/ -> hours/DAY -> logs.json, and out of arriving/

What was read of a log appears in `arriving` as one file whose name says which bytes of which log it is: from that
moment these bytes are never read again. What follows may be done any number of times, for it only ever makes the same
files of the same lines: a line is known by its digest, and counts once in however many files it is. So whoever begins
after a kill -9 does what is left of `arriving` again, and nothing has to be undone.

A line whose clock was put right is in the hour in which it was written, and not in the one that it tells. Which that is
depends on when it was read, so it is noted (`moved`): read again, in whatever log, the line goes where it went.

What is damaged is moved aside (database.py) and made again as far as it can be: what has arrived from its log, and the
hours of a day from their lines. An hour some of whose lines were lost so is never counted lower than it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from config.progress import Reporter
from fill.errors import LogError
from fill.feed.counting import HOUR_KINDS, refused_in
from fill.feed.database import Rows, create_table, insert, open_database, past_damage, quoted
from fill.feed.days import count_again
from fill.feed.lines import ARRIVING_KINDS, HOUR_S, LINE_KINDS, Batch, Places
from fill.feed.logs import Log, find_logs, identify, longest, read_lines
from fill.feed.networks import learn, read_networks, write_networks
from fill.feed.store import (
    Store,
    appear,
    appear_json,
    day_of,
    hour_name,
    hours_of_day,
    read_json,
    remove,
    remove_folder,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Lines that are held in memory at once: some 200 MB, with what DuckDB makes of them 400 MB.
LINES_AT_ONCE = 200_000
# An hour is packed into one file when it is this long over; lines that come later make another.
PACK_AFTER_S = 2 * HOUR_S
# What is noted of a log is forgotten this long after all of its lines are too old to be taken in.
_NOTES_KEPT_S = 7 * 86400.0
_DAY_S = 86400.0

_Result = TypeVar("_Result")

_BATCH_NAME = re.compile(r"([0-9a-f]{16})-([0-9]+)-([0-9]+)")
# What is kept of a line that told a wrong time: the time at which it counts.
_MOVED_KINDS = {"line": "UBIGINT", "time": "DOUBLE"}


class Noted(msgspec.Struct, frozen=True):
    """How far a log has been read, and when it was last there."""

    end: int  # bytes, not compressed
    seen: float  # seconds since the epoch


@dataclass
class Ingested:
    """What became of the lines of one pass."""

    logs: int = 0  # that had something new
    lines: int = 0
    hours: int = 0  # that were counted (again)
    forgotten: int = 0  # files that were older than what is kept
    refused: Counter[str] = field(default_factory=Counter)  # reason -> lines of these hours that do not count
    unreadable: list[str] = field(default_factory=list)  # logs and files of events, and why


def ingest(
    store: Store,
    patterns: Iterable[str],
    places: Places,
    clock: Callable[[], float],
    *,
    keep_lines_s: float,
    keep_hours_s: float,
    reporter: Reporter,
    decision_logs: Iterable[str] = (),
) -> Ingested:
    """Takes in what is new in the logs that `patterns` name, and forgets what is old. Raises FeedError.

    A log that cannot be read is named and passed over: the others shall not wait for it.
    """
    with store.locked(), open_database() as connection:
        store.sweep()
        one = _Pass(store, connection, clock)
        one.settle()  # what a killed pass left
        one.count_missing(_oldest_day(clock(), keep_hours_s))
        places = replace(places, networks=one.learn_networks(decision_logs))
        logs = one.find(patterns)
        with reporter.bar("reading logs", sum(log.size for log in logs)) as bar:
            passed = 0
            for log in logs:
                for end in one.take(log, places, clock() - keep_lines_s):
                    bar.update(passed + min(log.size, end), log.path.name)
                passed += log.size
        one.settle()
        one.pack()
        one.done.forgotten = _forget(store, clock(), keep_lines_s, keep_hours_s)
        one.note(clock() - keep_lines_s - _NOTES_KEPT_S)
    return one.done


class _Pass:
    """What the steps of one pass share."""

    def __init__(self, store: Store, connection: DuckDBPyConnection, clock: Callable[[], float]) -> None:
        """Raises FeedError."""
        self.done = Ingested()
        self._store, self._connection, self._clock = store, connection, clock
        self._noted = _noted(store, clock())
        self._touched: set[int] = set()  # hours

    def find(self, patterns: Iterable[str]) -> list[Log]:
        logs = []
        for path in find_logs(patterns):
            try:
                log = identify(path)
            except LogError as error:
                self.done.unreadable.append(str(error))
            else:
                logs += [log] if log is not None else []
        return longest(logs)

    def learn_networks(self, patterns: Iterable[str]) -> Mapping[str, str]:
        """What is new in steering's logs of decisions is learnt, and kept before it is noted that it was read."""
        networks = read_networks(self._store)
        is_news = False
        for log in self.find(patterns):
            end = self._read_to(log)
            try:
                for piece in read_lines(log.path, end, mark=log.mark):
                    is_news |= learn(networks, piece.line)
                    end = piece.end
            except LogError as error:
                self.done.unreadable.append(str(error))
            self._noted[log.mark] = Noted(end, self._clock())
        if is_news:
            write_networks(self._store, networks)
        return networks

    def take(self, log: Log, places: Places, oldest: float) -> Iterator[int]:
        """Lets what is new in a log arrive, and says how far it is; lines before `oldest` are refused."""
        start = self._read_to(log)
        self._noted[log.mark] = Noted(start, self._clock())
        if log.is_read(start):
            return
        try:
            for end, batch in self._batches(log, start, places, oldest):
                self._arrive(log.mark, self._read_to(log), end, batch)
                self._noted[log.mark] = Noted(end, self._clock())
                yield end
        except LogError as error:  # what was read of it has arrived
            self.done.unreadable.append(str(error))
        self.done.logs += self._read_to(log) > start

    def settle(self) -> None:
        """Brings what has arrived into its hours, counts these, and only then lets it go."""
        arrived = self._store.arrived()
        if not arrived:
            return
        self._count({hour for batch in arrived for hour in self._spread(batch)})
        left = self._store.arrived()
        for batch in arrived:
            if batch not in left:  # damaged: its lines are still in the log
                mark, start, _ = _parsed(batch)
                self._noted[mark] = Noted(min(start, self._noted[mark].end), self._clock())
        self.note()
        for batch in left:
            remove(batch)

    def count_missing(self, oldest: date) -> None:
        """Makes the hours again of days, from `oldest` on, that have lines but no file (any more)."""
        end = int(self._clock() // HOUR_S) + 1
        self._count(set(self._store.uncounted(hours_of_day(oldest).start, end)))

    def _count(self, hours: set[int]) -> None:
        for day in sorted({day_of(hour) for hour in hours}):
            touched = hours.intersection(hours_of_day(day))
            self.done.refused += self._whole(partial(_count_day, self._connection, self._store, day, touched))
        self._touched |= hours
        self.done.hours = len(self._touched)

    def _whole(self, work: Callable[[Rows], _Result]) -> _Result:
        return past_damage(work, self.done.unreadable.append)

    def note(self, oldest: float = 0.0) -> None:
        """Keeps how far each log has been read, but for those not seen since `oldest`."""
        kept = {mark: noted for mark, noted in self._noted.items() if noted.seen >= oldest}
        appear_json(self._store.notes, kept)

    def _read_to(self, log: Log) -> int:
        return self._noted[log.mark].end if log.mark in self._noted else 0

    def _batches(self, log: Log, start: int, places: Places, oldest: float) -> Iterator[tuple[int, Batch]]:
        """What is new in a log, in pieces that fit into memory; and where each ends."""
        batch, end, lines = Batch(places, oldest=oldest), start, 0
        for piece in read_lines(log.path, start, mark=log.mark):
            batch.add(piece.line, self._clock())
            end = piece.end
            lines += 1
            if lines == LINES_AT_ONCE:
                yield end, batch
                batch, lines = Batch(places, oldest=oldest), 0
        if lines:
            yield end, batch

    def _arrive(self, mark: str, start: int, end: int, batch: Batch) -> None:
        name = f"{mark}-{start}-{end}"
        create_table(self._connection, "arriving", ARRIVING_KINDS)
        insert(self._connection, "arriving", ARRIVING_KINDS, batch.columns(self._clock(), name))
        _make(self._connection, "SELECT * FROM arriving", self._store.arriving / f"{name}.parquet")

    def _spread(self, batch: Path) -> set[int]:
        """Makes a file of a batch's lines of each hour, and says which hours these are; none of a damaged batch."""
        hours: dict[int, int] = self._whole(partial(_place, self._connection, self._store, batch))
        for hour, lines in hours.items():
            select = f"SELECT {', '.join(LINE_KINDS)} FROM placed WHERE {_HOUR} = {hour}"
            _make(self._connection, select, self._store.lines / hour_name(hour) / batch.name)
            self.done.lines += lines
        return set(hours)

    def pack(self) -> None:
        """Makes one file of an hour's many, each line once, when few more are to come."""
        now = self._clock()
        for hour in self._store.hours_with_lines():
            if len(self._store.lines_of(hour)) > 1 and now >= (hour + 1) * HOUR_S + PACK_AFTER_S:
                self._whole(partial(_pack, self._connection, self._store, hour, now))


def _noted(store: Store, now: float) -> dict[str, Noted]:
    """How far each log has been read: as it was noted, and as the files in `arriving` say."""
    noted = read_json(store.notes, dict[str, Noted], "delete it to read all logs again") or {}
    for file in store.arrived():
        mark, _, end = _parsed(file)
        if mark not in noted or noted[mark].end < end:
            noted[mark] = Noted(end, now)
    return noted


def _parsed(batch: Path) -> tuple[str, int, int]:
    """Which log it is of, and where in it its lines begin and end."""
    match = _BATCH_NAME.fullmatch(batch.stem)
    assert match is not None, "the store names nothing else"
    return match[1], int(match[2]), int(match[3])


def _place(connection: DuckDBPyConnection, store: Store, batch: Path, rows: Rows) -> dict[int, int]:
    """Makes the table `placed` of a batch's lines, each at its time, and notes those that told another hour.

    Returns the number of lines in each hour.
    """
    arrived = rows([batch] if batch in store.arrived() else [], ARRIVING_KINDS)
    told = connection.execute(f"SELECT DISTINCT {_TOLD_HOUR} FROM {arrived}").fetchall()
    known = rows([file for (hour,) in told for file in store.moved_of(hour)], _MOVED_KINDS)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT * REPLACE (coalesce(earlier, time) AS time) FROM {arrived} "
        f"LEFT JOIN (SELECT line, min(time) AS earlier FROM {known} GROUP BY line) USING (line)"
    )
    moved = f"FROM placed WHERE title != '' AND {_TOLD_HOUR} != {_HOUR}"
    for (hour,) in connection.execute(f"SELECT DISTINCT {_TOLD_HOUR} {moved}").fetchall():
        select = f"SELECT line, time {moved} AND {_TOLD_HOUR} = {hour}"
        _make(connection, select, store.moved / hour_name(hour) / batch.name)
    counts = connection.execute(
        f"SELECT {_HOUR} AS hour, sum(CASE WHEN title = '' THEN bytes ELSE 1 END)::BIGINT FROM placed GROUP BY hour"
    )
    return dict(counts.fetchall())


def _count_day(
    connection: DuckDBPyConnection, store: Store, day: date, touched: Iterable[int], rows: Rows
) -> Counter[str]:
    """Counts the touched hours of a day, or all where it has no file; the others stay as they are.

    Returns what was refused in those that were counted.
    """
    refused: Counter[str] = Counter()
    first, end = hours_of_day(day).start, hours_of_day(day).stop
    touched = sorted({*touched, *store.uncounted(first, end)})
    create_table(connection, "of_day", HOUR_KINDS)
    known = rows(store.hours_between(first, end), HOUR_KINDS)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE known AS SELECT * FROM {known}")
    connection.execute(f"INSERT INTO of_day SELECT * FROM known WHERE hour NOT IN ({', '.join(map(str, touched))})")
    for hour in touched:
        create_table(connection, "of_hour", HOUR_KINDS)
        count_again(connection, rows, store, [hour], "of_hour")
        refused.update(refused_in(connection, "of_hour"))
        if store.lost_lines(hour):
            connection.execute(f"INSERT INTO of_hour SELECT * FROM known WHERE hour = {hour}")
        connection.execute(f"INSERT INTO of_day {_MOST}")
    select = "SELECT * FROM of_day ORDER BY region, title, file, hour"
    _make(connection, select, store.hours_of(day))
    return refused


def _pack(connection: DuckDBPyConnection, store: Store, hour: int, now: float, rows: Rows) -> None:
    files = store.lines_of(hour)
    select = f"SELECT {_ANY_LINE} FROM {rows(files, LINE_KINDS)} GROUP BY line"
    # Named after what it is made of: were it killed in between, the same lines would only be there twice.
    name = f"packed-{int(now)}-{len(files)}.parquet"
    _make(connection, select, store.lines / hour_name(hour) / name)
    for file in files:
        if file.name != name:
            remove(file)


def _forget(store: Store, now: float, keep_lines_s: float, keep_hours_s: float) -> int:
    """Deletes what is older than it is kept."""
    forgotten = 0
    # A day longer than lines are taken in: an hour is only counted again while all of its lines are there.
    oldest_hour = (now - keep_lines_s - _DAY_S) / HOUR_S - 1
    for hour in store.hours_with_lines():
        if hour < oldest_hour and (files := [*store.lines_of(hour), *store.lost_lines(hour)]):
            remove_folder(store.lines / hour_name(hour), files)
            forgotten += len(files)
    for hour in store.hours_with_moved():
        if hour < oldest_hour:
            remove_folder(store.moved / hour_name(hour), store.moved_of(hour))
    for day, file in store.days().items():
        if day < _oldest_day(now, keep_hours_s):
            remove(file)
            forgotten += 1
    return forgotten


def _oldest_day(now: float, keep_hours_s: float) -> date:
    return datetime.fromtimestamp(now - keep_hours_s, UTC).date()


def _make(connection: DuckDBPyConnection, select: str, target: Path) -> None:
    """A Parquet file of what is selected. Raises FeedError."""

    def write(path: Path) -> None:
        connection.execute(f"COPY ({select}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)")

    appear(target, write)


_HOUR = f"floor(time / {HOUR_S})::BIGINT"
_TOLD_HOUR = f"floor(told / {HOUR_S})::BIGINT"
# What was counted of an hour, or what was known of it before some of its lines were lost, whichever is more.
_MOST = (
    "SELECT hour, region, site, title, file, max(bytes), max(sessions), max(answers) FROM of_hour "
    "GROUP BY hour, region, site, title, file"
)
# The columns in their order, whichever of a line's copies is met first.
_ANY_LINE = ", ".join("line" if name == "line" else f"any_value({name}) AS {name}" for name in LINE_KINDS)
