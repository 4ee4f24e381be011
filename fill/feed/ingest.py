"""Takes in access logs: their lines into hours of events, each line once, whatever is killed when.

    logs -> arriving/ -> lines/HOUR/ -> hours/DAY -> logs.json, and out of arriving/

What was read of a log appears in `arriving` as one file whose name says which bytes of which log it is: from that
moment these bytes are never read again. What follows may be done any number of times, for it only ever makes the same
files of the same lines: a line is known by its digest, and counts once in however many files it is. So whoever begins
after a kill -9 does what is left of `arriving` again, and nothing has to be undone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from config.progress import Reporter
from fill.errors import FeedError, LogError
from fill.feed.counting import HOUR_KINDS, count_hours, refused_in
from fill.feed.database import create_table, insert, open_database, parquet, quoted
from fill.feed.lines import HOUR_S, LINE_KINDS, Batch, Places
from fill.feed.logs import Log, find_logs, identify, longest, read_lines
from fill.feed.networks import learn, read_networks, write_networks
from fill.feed.store import Store, appear, appear_json, day_of, hour_name, hours_of_day

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Lines that are held in memory at once: some 200 MB, with what DuckDB makes of them 400 MB.
LINES_AT_ONCE = 200_000
# An hour is packed into one file when it is this long over; lines that come later make another.
PACK_AFTER_S = 2 * HOUR_S
# What is noted of a log is forgotten this long after all of its lines are too old to be taken in.
_NOTES_KEPT_S = 7 * 86400.0
_DAY_S = 86400.0

_BATCH_NAME = re.compile(r"([0-9a-f]{16})-([0-9]+)-([0-9]+)")


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
    unreadable: list[str] = field(default_factory=list)  # logs, and why


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
        places = replace(places, networks=one.learn_networks(decision_logs))
        logs = one.find(patterns)
        with reporter.bar("reading logs", sum(log.size for log in logs)) as bar:
            passed = 0
            for log in logs:
                for end in one.take(log, places, clock() - keep_lines_s):
                    bar.update(passed + min(log.size, end), log.path.name)
                passed += log.size
        one.settle()
        _pack(connection, store, clock())
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
        for log in self.find(patterns):
            end = self._read_to(log)
            try:
                for piece in read_lines(log.path, end, mark=log.mark):
                    learn(networks, piece.line)
                    end = piece.end
            except LogError as error:
                self.done.unreadable.append(str(error))
            self._noted[log.mark] = Noted(end, self._clock())
        if networks:
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
        hours = {hour for batch in arrived for hour in self._spread(batch)}
        for day in sorted({day_of(hour) for hour in hours}):
            self.done.refused += _count_day(self._connection, self._store, day, hours)
        self.note()
        for batch in arrived:
            batch.unlink(missing_ok=True)
        self._touched |= hours
        self.done.hours = len(self._touched)

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
        create_table(self._connection, "arriving", LINE_KINDS)
        insert(self._connection, "arriving", LINE_KINDS, batch.columns(self._clock(), name))
        _make(self._connection, "SELECT * FROM arriving", self._store.arriving / f"{name}.parquet")

    def _spread(self, batch: Path) -> Iterator[int]:
        """Makes a file of a batch's lines of each hour, and says which hours these are."""
        rows = parquet([batch], LINE_KINDS)
        hours = self._connection.execute(
            f"SELECT floor(time / {HOUR_S})::BIGINT AS hour, "
            f"sum(CASE WHEN title = '' THEN bytes ELSE 1 END)::BIGINT FROM {rows} GROUP BY hour"
        ).fetchall()
        for hour, lines in hours:
            select = f"SELECT * FROM {rows} WHERE floor(time / {HOUR_S})::BIGINT = {hour}"
            _make(self._connection, select, self._store.lines / hour_name(hour) / batch.name)
            self.done.lines += lines
            yield hour


def _noted(store: Store, now: float) -> dict[str, Noted]:
    """How far each log has been read: as it was noted, and as the files in `arriving` say."""
    try:
        noted = msgspec.json.decode(store.notes.read_bytes(), type=dict[str, Noted])
    except FileNotFoundError:
        noted = {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FeedError(f"{store.notes} is damaged: {error}; delete it to read all logs again") from error
    for file in store.arrived():
        mark, end = _parsed(file)
        if mark not in noted or noted[mark].end < end:
            noted[mark] = Noted(end, now)
    return noted


def _parsed(batch: Path) -> tuple[str, int]:
    """Which log it is of, and where in it its lines end."""
    match = _BATCH_NAME.fullmatch(batch.stem)
    if match is None:
        raise FeedError(f"{batch} is none of ours, expected MARK-START-END.parquet; move it away")
    return match[1], int(match[3])


def _count_day(connection: DuckDBPyConnection, store: Store, day: date, touched: set[int]) -> Counter[str]:
    """Counts the touched hours of a day; its others stay as they are. Returns what was refused in the touched."""
    refused: Counter[str] = Counter()
    hours = sorted(touched.intersection(hours_of_day(day)))
    create_table(connection, "of_day", HOUR_KINDS)
    known = store.hours_of(day)
    if known.exists():
        others = parquet([known], HOUR_KINDS)
        connection.execute(
            f"INSERT INTO of_day SELECT * FROM {others} WHERE hour NOT IN ({', '.join(map(str, hours))})"
        )
    for hour in hours:  # one at a time: what is sorted and compared has to fit into memory
        lines = parquet([*store.lines_of(hour - 1), *store.lines_of(hour)], LINE_KINDS)
        count_hours(connection, lines, "of_hours")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE of_hour AS SELECT * FROM of_hours WHERE hour = {hour}")
        connection.execute("INSERT INTO of_day SELECT * FROM of_hour")
        refused.update(refused_in(connection, "of_hour"))
    select = "SELECT * FROM of_day ORDER BY region, title, file, hour"
    _make(connection, select, known)
    return refused


def _pack(connection: DuckDBPyConnection, store: Store, now: float) -> None:
    """Makes one file of an hour's many, each line once, when few more are to come."""
    for hour in store.hours_with_lines():
        files = store.lines_of(hour)
        if len(files) < 2 or now < (hour + 1) * HOUR_S + PACK_AFTER_S:
            continue
        rows = parquet(files, LINE_KINDS)
        select = f"SELECT {_ANY_LINE} FROM {rows} GROUP BY line"
        # Named after what it is made of: were it killed in between, the same lines would only be there twice.
        name = f"packed-{int(now)}-{len(files)}.parquet"
        _make(connection, select, store.lines / hour_name(hour) / name)
        for file in files:
            if file.name != name:
                file.unlink(missing_ok=True)


def _forget(store: Store, now: float, keep_lines_s: float, keep_hours_s: float) -> int:
    """Deletes what is older than it is kept."""
    forgotten = 0
    for hour in store.hours_with_lines():
        # A day longer than lines are taken in: an hour is only counted again while all of its lines are there.
        if (hour + 1) * HOUR_S < now - keep_lines_s - _DAY_S:
            for file in store.lines_of(hour):
                file.unlink(missing_ok=True)
                forgotten += 1
            _remove_empty(store.lines / hour_name(hour))
    oldest_day = datetime.fromtimestamp(now - keep_hours_s, UTC).date()
    for file in sorted(store.hours.glob("*.parquet")):
        if not file.name.startswith(".") and date.fromisoformat(file.stem) < oldest_day:
            file.unlink(missing_ok=True)
            forgotten += 1
    return forgotten


def _remove_empty(folder: Path) -> None:
    for unfinished in folder.glob(".*"):
        unfinished.unlink(missing_ok=True)
    folder.rmdir()


def _make(connection: DuckDBPyConnection, select: str, target: Path) -> None:
    """A Parquet file of what is selected. Raises FeedError."""

    def write(path: Path) -> None:
        connection.execute(f"COPY ({select}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)")

    appear(target, write)


# The columns in their order, whichever of a line's copies is met first.
_ANY_LINE = ", ".join("line" if name == "line" else f"any_value({name}) AS {name}" for name in LINE_KINDS)
