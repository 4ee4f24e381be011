"""The fleet database: the last report of every appliance, so that a restart of steering forgets nobody.

It is written behind the reports, by a thread, every few seconds, and read once at the start; no player ever waits for
it. If it fails, steering goes on from memory, says so once, and writes everything again when it is back.

Two tables, because a report comes every two seconds and what an appliance holds (up to 30 MB) changes once a night.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import sqlalchemy as sql

from oca.report import Report
from steering.errors import DatabaseError
from steering.fleet import Fleet, Known, Stored

WRITE_EVERY_S = 3.0

_metadata = sql.MetaData()
_reports = sql.Table(
    "reports",
    _metadata,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("heard_at", sql.Float, nullable=False),  # seconds since the epoch: it outlives the process
    sql.Column("report", sql.LargeBinary, nullable=False),
)
_held = sql.Table(
    "held",
    _metadata,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("version", sql.String(64), nullable=False),
    sql.Column("files", sql.LargeBinary, nullable=False),
)

logger = logging.getLogger(__name__)


class Database:
    """A database of SQLAlchemy's; SQLite and PostgreSQL by the same code. Every method blocks."""

    def __init__(self, url: str) -> None:
        """Raises DatabaseError if the URL cannot be one of a database here."""
        try:
            parsed = sql.make_url(url)
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            # Neither a locked file nor a silent server may hold a thread for long; the two drivers name it apart.
            patience = "timeout" if parsed.get_backend_name() == "sqlite" else "connect_timeout"
            self._engine = sql.create_engine(parsed, connect_args={patience: 5})
        except ModuleNotFoundError as error:
            raise DatabaseError(
                f"database: {url.partition(':')[0]}:// needs the Python package {error.name}"
            ) from error
        except (sql.exc.SQLAlchemyError, OSError, ValueError) as error:
            raise DatabaseError(f"database: {error}") from error
        self._written: dict[str, str] = {}  # name -> version of `held` that is in the database

    def load(self, now: float) -> list[Stored]:
        """Every appliance that was kept; `now` in seconds since the epoch. Raises DatabaseError.

        A row that cannot be read (of an older version, say) is left out: its appliance reports again in a moment.
        """
        try:
            _metadata.create_all(self._engine)
            with self._engine.connect() as connection:
                both = _reports.outerjoin(_held, _held.c.name == _reports.c.name)
                rows = connection.execute(sql.select(_reports, _held).select_from(both)).all()
        except (sql.exc.SQLAlchemyError, OSError) as error:
            raise self._failed(error) from error
        stored = []
        for _, heard_at, report, _, version, files in rows:
            try:
                held = msgspec.msgpack.decode(files, type=dict[str, tuple[str, ...]]) if files is not None else {}
                stored.append(
                    Stored(msgspec.msgpack.decode(report, type=Report), held, version or "", max(0.0, now - heard_at))
                )
            except msgspec.DecodeError as error:
                logger.warning("an appliance in the database is left out", extra={"reason": str(error)})
        return stored

    def save(self, appliances: Iterable[tuple[float, Known]]) -> None:
        """Writes appliances with the times they were heard of (seconds since the epoch). Raises DatabaseError."""
        appliances = list(appliances)
        reports = [
            {"name": known.report.name, "heard_at": heard_at, "report": msgspec.msgpack.encode(known.report)}
            for heard_at, known in appliances
        ]
        changed = [known for _, known in appliances if self._written.get(known.report.name) != known.held_version]
        held = [
            {"name": known.report.name, "version": known.held_version, "files": msgspec.msgpack.encode(known.held)}
            for known in changed
        ]
        try:
            _metadata.create_all(self._engine)
            with self._engine.begin() as connection:
                for table, rows in ((_reports, reports), (_held, held)):
                    if rows:
                        names = [row["name"] for row in rows]
                        # Deleting and inserting is what every database understands alike; the transaction makes it one.
                        connection.execute(sql.delete(table).where(table.c.name.in_(names)))
                        connection.execute(sql.insert(table), rows)
        except (sql.exc.SQLAlchemyError, OSError) as error:
            self._written.clear()  # it may come back empty
            raise self._failed(error) from error
        self._written.update({known.report.name: known.held_version for known in changed})

    def close(self) -> None:
        self._engine.dispose()

    def _failed(self, error: Exception) -> DatabaseError:
        # A connection that failed once is not tried again: what is behind the URL may be another file or server by now.
        self._engine.dispose()
        # Without SQLAlchemy's own words, which go on with the statement and a link.
        return DatabaseError(f"database: {getattr(error, 'orig', None) or error}")


class Keeper:
    """Keeps the database behind the fleet."""

    def __init__(self, fleet: Fleet, database: Database) -> None:
        self._fleet = fleet
        self._database = database
        self._changed: set[str] = set()
        self.trouble = ""

    def note(self, name: str) -> None:
        """The appliance reported; it will be written."""
        self._changed.add(name)

    async def restore(self, now: float) -> None:
        """Fills the fleet from the database; `now` is the fleet's clock."""
        try:
            stored = await asyncio.to_thread(self._database.load, time.time())
        except DatabaseError as error:
            self._say(str(error))
            return
        self._fleet.restore(stored, now)

    async def follow(self, clock_offset: float) -> None:
        """Writes for ever; `clock_offset` turns the fleet's clock into seconds since the epoch."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.flush(clock_offset)

    async def flush(self, clock_offset: float) -> None:
        names, self._changed = self._changed, set()
        if not names:
            return
        known = [one for name, one in self._fleet.known().items() if name in names]
        try:
            await asyncio.to_thread(self._database.save, [(one.heard_at + clock_offset, one) for one in known])
        except DatabaseError as error:
            self._changed |= names
            self._say(str(error))
        else:
            self._say("")

    def _say(self, trouble: str) -> None:
        if trouble and not self.trouble:
            logger.warning("the fleet is not kept; steering goes on from memory", extra={"reason": trouble})
        elif self.trouble and not trouble:
            logger.info("the fleet is kept again")
        self.trouble = trouble
