"""The fleet database: what replicas tell each other, and what a restart of all of them must not lose.

    appliances   the last report of each, for a restart; rewritten when it says something new, else once a minute
    held         what each holds: up to 30 MB that change once a night, so apart from reports, which come all the time
    batches      what each replica heard of late, all in one row a second; kept for a moment, for the others to read
    titles       the catalog as the origin last told it
    identity     one random name, to tell a database that came back from one that came back empty

A batch is one row because a row for each report would be 9,000 a second for 18,000 appliances. Replicas' clocks differ,
so every time in here is of the database's own clock, and is only ever compared with that.

Every method blocks and raises DatabaseError; no player ever waits for one.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sql

from config.databases import make_tables, open_engine, reason_of
from oca.report import Held, Report, shared
from steering.errors import DatabaseError

# A locked file, a silent server and a long statement may hold the thread that asks for so long, and no longer.
_PATIENCE_S = 5
_LIMITS = ("statement_timeout", "lock_timeout")
# Batches are read each second; who read nothing for longer hears of all appliances anew within their next two reports.
_BATCHES_KEPT = 20
_BATCHES_KEPT_S = 60.0
_ROWS_AT_ONCE = 256
# SQLite takes a thousand terms in a condition, and workers that die again and again may leave as many names.
_REPLICAS_AT_ONCE = 100
# As the fleet forgets appliances that are silent for so long (steering/appliances/fleet.py).
_FORGOTTEN_AFTER_S = 7 * 86400.0

_metadata = sql.MetaData()
_appliances = sql.Table(
    "appliances",
    _metadata,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("heard_at", sql.Double, nullable=False),  # of the database's clock, as every time here
    sql.Column("since", sql.Double, nullable=False),  # when this appliance came to have the name
    sql.Column("report", sql.LargeBinary, nullable=False),
)
_held = sql.Table(
    "held",
    _metadata,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("version", sql.String(64), nullable=False),
    sql.Column("files", sql.LargeBinary, nullable=False),
)
_batches = sql.Table(
    "batches",
    _metadata,
    sql.Column("replica", sql.String(64), primary_key=True),
    sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("made_at", sql.Double, nullable=False),
    sql.Column("heard", sql.LargeBinary, nullable=False),
)
_titles = sql.Table(
    "titles",
    _metadata,
    sql.Column("title", sql.String(64), primary_key=True),
    sql.Column("digest", sql.LargeBinary(32), nullable=False),  # SHA-256 of `data`
    sql.Column("data", sql.LargeBinary, nullable=False),
)
_identity = sql.Table("identity", _metadata, sql.Column("name", sql.String(64), primary_key=True))

logger = logging.getLogger(__name__)


class Kept(NamedTuple):
    """An appliance as the database has it; `age_s` is how long ago it was heard of."""

    report: Report
    held: Held
    held_version: str
    age_s: float
    since: float


class Row(NamedTuple):
    """An appliance to be kept over a restart; `report` is MessagePack."""

    name: str
    age_s: float
    since: float
    report: bytes


class HeldRow(NamedTuple):
    name: str
    version: str
    files: bytes


class Outgoing(NamedTuple):
    """What a replica has to tell at one time."""

    replica: str
    number: int  # grows by one with each batch of this replica
    made_at: float  # of time.monotonic(): ages in it are as they were then
    batch: bytes
    rows: Sequence[Row] = ()
    held: Sequence[HeldRow] = ()


class Batch(NamedTuple):
    """What another replica told; `age_s` is how long ago."""

    replica: str
    number: int
    age_s: float
    heard: bytes


class Incoming(NamedTuple):
    now: float  # of the database's clock
    read_at: float  # of time.monotonic(), at that moment
    identity: str
    batches: Sequence[Batch]  # each replica's in order


class Database:
    """A database of SQLAlchemy's; SQLite and PostgreSQL by the same code."""

    def __init__(self, url: str) -> None:
        """Raises DatabaseError if the URL cannot be one of a database here."""
        try:
            # What a power cut takes appliances report again.
            self._engine = open_engine(url, _PATIENCE_S, is_durable=False)
        except (OSError, ValueError) as error:
            raise DatabaseError(f"database: {error}") from error
        self._identity = ""  # known while the tables are there
        self._file: tuple[int, int] | None = None

    def load(self) -> list[Kept]:
        """Every appliance that is kept.

        A row that cannot be read (of an older version, say) is left out: its appliance reports again in a moment.
        """
        with _Transaction(self) as connection:
            now = self._now(connection)
            connection.execute(sql.delete(_appliances).where(_appliances.c.heard_at < now - _FORGOTTEN_AFTER_S))
            both = _appliances.outerjoin(_held, _held.c.name == _appliances.c.name)
            columns = (
                _appliances.c.heard_at,
                _appliances.c.since,
                _appliances.c.report,
                _held.c.version,
                _held.c.files,
            )
            # A few at a time: the lists of 18,000 appliances are a gigabyte as they lie there.
            rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(sql.select(*columns).select_from(both))
            kept = []
            for heard_at, since, report, version, files in rows:
                try:
                    held = decode_held(files) if files is not None else {}
                    kept.append(Kept(_decode_report(report), held, version or "", max(0.0, now - heard_at), since))
                except msgspec.DecodeError as error:
                    logger.warning("an appliance in the database is left out", extra={"reason": str(error)})
        return kept

    def exchange(self, out: Outgoing, seen: Mapping[str, int]) -> Incoming:
        """Writes what one replica has to tell, and reads what others told since the numbers that it has `seen`."""
        with _Transaction(self) as connection:
            now = self._now(connection)
            read_at = time.monotonic()
            self._write(connection, out, now - (read_at - out.made_at))
            batches = list(self._read(connection, out.replica, seen, now))
        return Incoming(now, read_at, self._identity, batches)

    def held(self, versions: Mapping[str, str]) -> dict[str, bytes]:
        """Of appliances by name, the lists of these versions; not those that the database has in another version."""
        with _Transaction(self) as connection:
            wanted = _held.c.name.in_(versions) & _held.c.version.in_(set(versions.values()))
            rows = connection.execute(sql.select(_held).where(wanted)).all()
        return {name: files for name, version, files in rows if versions[name] == version}

    def load_titles(self) -> dict[str, bytes]:
        """What is kept of each title. What is damaged is left out: the origin has it."""
        with _Transaction(self) as connection:
            rows = connection.execute(sql.select(_titles)).all()
        good = {title: data for title, digest, data in rows if hashlib.sha256(data).digest() == digest}
        if len(good) < len(rows):
            logger.warning("titles in the database are damaged and left out", extra={"count": len(rows) - len(good)})
        return good

    def save_titles(self, changed: Mapping[str, bytes], gone: Sequence[str]) -> None:
        rows = [
            {"title": title, "digest": hashlib.sha256(data).digest(), "data": data}
            for title, data in sorted(changed.items())
        ]
        with _Transaction(self) as connection:
            self._upsert(connection, _titles, rows)
            if gone:
                connection.execute(sql.delete(_titles).where(_titles.c.title.in_(gone)))

    def close(self) -> None:
        self._engine.dispose()

    def _write(self, connection: sql.Connection, out: Outgoing, made_at: float) -> None:
        """`made_at` is of the database's clock."""
        rows = [
            {"name": row.name, "heard_at": made_at - row.age_s, "since": row.since, "report": row.report}
            for row in sorted(out.rows)  # in one order for all: two transactions that wait for each other never end
        ]
        self._upsert(connection, _appliances, rows)
        self._upsert(connection, _held, [row._asdict() for row in sorted(out.held)])
        batch = {"replica": out.replica, "number": out.number, "made_at": made_at, "heard": out.batch}
        connection.execute(sql.insert(_batches), batch)
        own = (_batches.c.replica == out.replica) & (_batches.c.number <= out.number - _BATCHES_KEPT)
        connection.execute(sql.delete(_batches).where(own))
        if out.number % _BATCHES_KEPT == 0:  # of replicas that are gone
            connection.execute(sql.delete(_batches).where(_batches.c.made_at < made_at - _BATCHES_KEPT_S))

    def _read(self, connection: sql.Connection, own: str, seen: Mapping[str, int], now: float) -> Iterator[Batch]:
        """Batches of others that were not seen; of each in order."""
        last = sql.select(_batches.c.replica, sql.func.max(_batches.c.number)).where(_batches.c.replica != own)
        told = connection.execute(last.group_by(_batches.c.replica)).all()
        news = sorted(replica for replica, number in told if number > seen.get(replica, -1))
        columns = (_batches.c.replica, _batches.c.number, _batches.c.made_at, _batches.c.heard)
        order = (_batches.c.replica, _batches.c.number)
        for start in range(0, len(news), _REPLICAS_AT_ONCE):
            is_new = (
                sql.and_(_batches.c.replica == replica, _batches.c.number > seen.get(replica, -1))
                for replica in news[start : start + _REPLICAS_AT_ONCE]
            )
            rows = connection.execute(sql.select(*columns).where(sql.or_(*is_new)).order_by(*order))
            for replica, number, made_at, heard in rows:
                yield Batch(replica, number, max(0.0, now - made_at), heard)

    def _upsert(self, connection: sql.Connection, table: sql.Table, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        # Only the one in use: PostgreSQL's takes a sixth of the time that all of steering takes to be loaded.
        dialect = importlib.import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}")
        insert = dialect.insert(table)
        keys = list(table.primary_key.columns)
        others = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), rows)

    def _now(self, connection: sql.Connection) -> float:
        clock = (
            "(julianday('now') - 2440587.5) * 86400.0" if self._is_sqlite else "extract(epoch from clock_timestamp())"
        )
        return float(connection.execute(sql.text(f"select {clock}")).scalar_one())

    @property
    def _is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def _begin(self) -> sql.Connection:
        """A connection to a database that has its tables."""
        if self._identity and self._find_file() != self._file:  # somebody put another one in its place
            self._engine.dispose()
            self._identity = ""
        connection = self._engine.connect()
        try:
            self._limit(connection)
            if not self._identity:
                self._make_tables(connection)
                self._limit(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _limit(self, connection: sql.Connection) -> None:
        """Of this transaction; by a statement, not as a parameter of the connection, which a PgBouncer would refuse."""
        if not self._is_sqlite:
            limits = (sql.func.set_config(name, f"{_PATIENCE_S}s", True) for name in _LIMITS)
            connection.execute(sql.select(*limits))

    def _make_tables(self, connection: sql.Connection) -> None:
        make_tables(connection, _metadata)
        fresh = sql.select(sql.literal(secrets.token_hex(8))).where(~sql.exists(sql.select(_identity)))
        connection.execute(sql.insert(_identity).from_select(["name"], fresh))
        self._identity = connection.execute(sql.select(_identity.c.name)).scalars().first() or ""
        connection.commit()
        self._file = self._find_file()

    def _find_file(self) -> tuple[int, int] | None:
        """Which file the name stands for, of a database that is a file."""
        path = self._engine.url.database
        if not self._is_sqlite or not path:
            return None
        try:
            status = Path(path).stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _failed(self, error: Exception) -> DatabaseError:
        # A connection that failed once is not tried again: what is behind the URL may be another file or server by now,
        # and it may come back empty.
        self._engine.dispose()
        self._identity = ""
        return DatabaseError(f"database: {reason_of(error)}")


class _Transaction:
    """Commits at the end, and makes a DatabaseError of what goes wrong."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sql.Connection:
        try:
            self._connection = self._database._begin()
        except (sql.exc.SQLAlchemyError, OSError) as error:
            raise self._database._failed(error) from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self._connection.commit()
            self._connection.close()
        except (sql.exc.SQLAlchemyError, OSError) as failure:
            raise self._database._failed(failure) from failure
        if isinstance(error, (sql.exc.SQLAlchemyError, OSError)):
            raise self._database._failed(error) from error


def decode_held(files: bytes) -> Held:
    """Raises msgspec.DecodeError."""
    return shared(msgspec.msgpack.decode(files, type=dict[str, tuple[str, ...]]))


def _decode_report(report: bytes) -> Report:
    return msgspec.msgpack.decode(report, type=Report)
