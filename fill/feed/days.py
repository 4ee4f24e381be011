"""The hours of many days: from the files of the days, and where one is missing, counted again from its lines.

So a day whose file was damaged, and moved aside, is known all the same while its lines are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fill.feed.counting import HOUR_KINDS, count_hours
from fill.feed.database import Rows, create_table
from fill.feed.lines import HOUR_S, LINE_KINDS
from fill.feed.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def hours_between(connection: DuckDBPyConnection, rows: Rows, store: Store, first: int, end: int) -> str:
    """What stands for the rows (HOUR_KINDS) of hours [first, end) behind FROM."""
    create_table(connection, "counted_again", HOUR_KINDS)
    count_again(connection, rows, store, store.uncounted(first, end), "counted_again")
    kept = rows(store.hours_between(first, end), HOUR_KINDS)
    return f"(SELECT * FROM {kept} WHERE hour >= {first} AND hour < {end} UNION ALL SELECT * FROM counted_again)"


def hours_until(connection: DuckDBPyConnection, rows: Rows, store: Store, first: int, now: float) -> str:
    """The same of the hours from `first` on up to `now`.

    The hour that is not over may have been counted later than `now`: it is counted again, up to `now`.
    """
    this_hour = int(now // HOUR_S)
    lines = [*store.lines_of(this_hour - 1), *store.lines_of(this_hour)]
    count_hours(connection, rows(lines, LINE_KINDS), "unfinished", until=now)
    kept = hours_between(connection, rows, store, first, this_hour)
    return f"(SELECT * FROM {kept} UNION ALL SELECT * FROM unfinished WHERE hour = {this_hour})"


def count_again(connection: DuckDBPyConnection, rows: Rows, store: Store, hours: Iterable[int], table: str) -> None:
    """Adds to `table` what the lines of these hours tell."""
    # All are named before the first is counted: if many are damaged, that is found out at once.
    lines_of = {hour: rows([*store.lines_of(hour - 1), *store.lines_of(hour)], LINE_KINDS) for hour in hours}
    for hour, lines in lines_of.items():  # one at a time: what is sorted and compared has to fit into memory
        count_hours(connection, lines, "of_hours")
        connection.execute(f"INSERT INTO {table} SELECT * FROM of_hours WHERE hour = {hour}")
