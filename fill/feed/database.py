"""DuckDB for one piece of work: opened in memory, asked, closed; what it is asked about are Parquet files or columns.

DuckDB takes 0.1 s to import, so only what counts imports it, and only when it counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fill.errors import FeedError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Columns = Mapping[str, npt.NDArray[Any]]

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


def create_table(connection: DuckDBPyConnection, name: str, kinds: Mapping[str, str]) -> None:
    columns = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
    connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")


def insert(
    connection: DuckDBPyConnection, table: str, kinds: Mapping[str, str], columns: Mapping[str, Sequence[Any]]
) -> None:
    """Adds rows given as columns."""
    arrays: Columns = {name: np.array(columns[name], dtype=_NUMPY_KINDS[kind]) for name, kind in kinds.items()}
    connection.register("inserted", arrays)
    connection.execute(f"INSERT INTO {table} SELECT * FROM inserted")
    connection.unregister("inserted")


def quoted(text: str) -> str:
    """A string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def parquet(files: Sequence[Path], kinds: Mapping[str, str]) -> str:
    """What stands for the rows of Parquet files behind FROM; of no file: no rows."""
    if not files:
        nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items())
        return f"(SELECT {nothing} WHERE false)"
    return f"read_parquet([{', '.join(quoted(str(file)) for file in files)}])"
