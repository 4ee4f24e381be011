"""DuckDB for one piece of work: opened in memory, asked, closed; what it is asked about are Parquet files or columns.

A file that is damaged (a disk that filled up, a cable, a copy that was cut) shall not stop everything for good. When
work fails, the files that it was about are read to their ends; those that DuckDB cannot read get another name, NAME.
damaged, and the work is done again without them. They are named, and nothing is deleted.

DuckDB takes 0.1 s to import, so only what counts imports it, and only when it counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from fill.errors import FeedError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

logger = logging.getLogger(__name__)

Columns = Mapping[str, npt.NDArray[Any]]
Kinds: TypeAlias = Mapping[str, str]  # column -> DuckDB's type
# What stands for the rows of files behind FROM, as `parquet` says.
Rows: TypeAlias = Callable[[Sequence[Path], Kinds], str]
_Result = TypeVar("_Result")
_PIECE = 1 << 20

# One of the kinds that numpy can hold, for each of DuckDB's that we use.
_NUMPY_KINDS: Mapping[str, type[Any]] = {
    "DOUBLE": np.float64,
    "BIGINT": np.int64,
    "UBIGINT": np.uint64,
    "BOOLEAN": np.bool_,
    "VARCHAR": np.object_,
}


@contextmanager
def open_database() -> Iterator[DuckDBPyConnection]:
    """Raises FeedError for what DuckDB cannot do: read a damaged file, write to a full disk."""
    import duckdb

    connection = duckdb.connect()
    try:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        yield connection
    except duckdb.Error as error:
        raise FeedError(f"what is kept of the logs cannot be used: {str(error).splitlines()[0]}") from error
    finally:
        connection.close()


def past_damage(work: Callable[[Rows], _Result], say: Callable[[str], None] | None = None) -> _Result:
    """What `work` returns, done again without the files that turn out to be damaged or gone.

    Work names all files that it reads to the `Rows` that it gets, and finds them anew each time. `say` is told of each
    file that was damaged. Raises FeedError where one can be neither read nor moved aside.
    """
    import duckdb

    while True:
        asked: dict[Path, Kinds] = {}

        def rows(files: Sequence[Path], kinds: Kinds, asked: dict[Path, Kinds] = asked) -> str:
            asked.update(dict.fromkeys(files, kinds))
            return parquet(files, kinds)

        try:
            return work(rows)
        except duckdb.Error:
            reasons = {file: reason for file, kinds in asked.items() if (reason := _damage(file, kinds)) is not None}
            if not reasons:
                raise
            for file, reason in reasons.items():
                if reason:
                    _move_aside(file, reason, say or _warn)


def _damage(file: Path, kinds: Kinds) -> str | None:
    """Why a file cannot be read to its end; "" if it is gone, None if nothing is wrong with it. Raises FeedError."""
    import duckdb

    try:
        with file.open("rb") as data:
            while data.read(_PIECE):
                pass
    except FileNotFoundError:  # packed or forgotten since it was found
        return ""
    except OSError as error:  # the disk's or the operator's fault: nothing is moved
        raise FeedError(f"{file} cannot be read: {error.strerror}") from error
    # Its own connection: an error may leave that of the work unusable.
    with duckdb.connect() as connection:
        try:
            connection.execute(f"SELECT max(hash({', '.join(kinds)})) FROM {parquet([file], kinds)}").fetchall()
        except (duckdb.OutOfMemoryException, duckdb.InterruptException):
            return None  # not the file's fault
        except duckdb.Error as error:  # also "could not read enough bytes", of a file that lost some
            return str(error).splitlines()[0] if file.exists() else ""
    return None


def _move_aside(file: Path, reason: str, say: Callable[[str], None]) -> None:
    aside = file.with_name(f"{file.name}.damaged")
    try:
        file.replace(aside)
    except OSError as error:
        raise FeedError(f"{file} is damaged ({reason}), and cannot be moved aside: {error.strerror}") from error
    say(f"{file} is damaged ({reason}); it is called {aside.name} now, and what is kept is used without it")


def _warn(sentence: str) -> None:
    logger.warning("a file of events is damaged", extra={"reason": sentence})


def create_table(connection: DuckDBPyConnection, name: str, kinds: Kinds) -> None:
    columns = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
    connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")


def insert(connection: DuckDBPyConnection, table: str, kinds: Kinds, columns: Mapping[str, Sequence[Any]]) -> None:
    """Adds rows given as columns."""
    arrays: Columns = {name: np.array(columns[name], dtype=_NUMPY_KINDS[kind]) for name, kind in kinds.items()}
    connection.register("inserted", arrays)
    connection.execute(f"INSERT INTO {table} SELECT * FROM inserted")
    connection.unregister("inserted")


def quoted(text: str) -> str:
    """A string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def parquet(files: Sequence[Path], kinds: Kinds) -> str:
    """What stands for the rows of Parquet files behind FROM; of no file: no rows."""
    if not files:
        nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items())
        return f"(SELECT {nothing} WHERE false)"
    return f"read_parquet([{', '.join(quoted(str(file)) for file in files)}])"
