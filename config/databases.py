"""Databases that are named by a URL: SQLite for one machine, PostgreSQL for several, by the same code.

Nobody waits for one without end: `patience_s` bounds what a locked file or a silent server may cost. What SQLAlchemy
and the drivers raise goes through as it is; each package makes its own error of it, in the words of `reason_of`.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.schema import CreateIndex, CreateTable

# Any number does, if it is the same in all processes: two that make the tables at once would meet each other's half.
_LOCK_OF_TABLES = 0x6E656172
# How often it is looked whether a file is locked no longer; who makes it takes some milliseconds.
_LOOK_S = 0.01


def open_engine(url: str, patience_s: int, *, is_durable: bool) -> sql.Engine:
    """Of the database at this URL, to which nothing is connected yet; the folder of a file is made.

    `is_durable`: a commit is on the disk before it is one. Without, a power cut may take the last commits of SQLite,
    never the file (sqlite.org/wal.html). Raises ValueError saying what is wrong with the URL, and OSError.
    """
    try:
        parsed = sql.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _open_file(parsed, patience_s, "full" if is_durable else "normal")
        return _open_server(parsed, patience_s)
    except ImportError as error:
        scheme = url.partition(":")[0]
        raise ValueError(
            f"{scheme}:// has no driver here ({error}); for PostgreSQL: pip install 'nearcast[postgres]'"
        ) from error
    except sql.exc.SQLAlchemyError as error:
        raise ValueError(str(error)) from error


def _open_file(url: sql.URL, patience_s: int, synchronous: str) -> sql.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sql.create_engine(url, connect_args={"timeout": patience_s})

    def share(connection: sqlite3.Connection, _: object) -> None:
        _write_ahead(connection, patience_s)
        connection.execute(f"pragma synchronous = {synchronous}")

    sql.event.listen(engine, "connect", share)
    return engine


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> None:
    """Brings the file into the mode in which readers and the one writer do not wait for each other."""
    until = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            # SQLite itself waits for a file that is locked, but not here: two who open a new one meet each other.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_LOOK_S)


def _open_server(url: sql.URL, patience_s: int) -> sql.Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    arguments: dict[str, Any] = {
        "connect_timeout": patience_s,
        "tcp_user_timeout": patience_s * 1000,
        "keepalives_idle": patience_s,  # a server that took a question and lost its power sends nothing more
        "keepalives_interval": 1,
        "prepare_threshold": None,  # a PgBouncer between us may give each transaction another server
        "client_encoding": "utf8",  # names are bytes otherwise where the server has no encoding of its own
    }
    # A server that was started again meanwhile is no trouble: its old connections are noticed before they are used.
    return sql.create_engine(url, connect_args=arguments, pool_pre_ping=True)


def make_tables(connection: sql.Connection, metadata: sql.MetaData) -> None:
    """Those that are missing, in the transaction of `connection`; other processes may be doing the same."""
    if connection.dialect.name == "sqlite":
        # Not by `create_all`, which looks whether a table is there and then makes it: nothing is locked around both.
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))
        return
    # Here by it: who may not make tables must not even ask for those that are there.
    connection.execute(sql.text(f"select pg_advisory_xact_lock({_LOCK_OF_TABLES})"))
    metadata.create_all(connection)


def reason_of(error: Exception) -> str:
    """What went wrong, in one line: without SQLAlchemy's own words, which go on with the statement and a link.

    PostgreSQL goes on with the statement as well.
    """
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
