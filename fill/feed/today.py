"""What was watched since a plan was made, for correcting its forecast within the day."""

from __future__ import annotations

from typing import Any

from fill.feed.database import Rows, open_database, past_damage
from fill.feed.days import hours_until
from fill.feed.lines import HOUR_S
from fill.feed.store import Store
from fill.forecast.today import Came
from fill.names import FileName


def next_hour(moment: float) -> float:
    """When the first hour begins that is all after `moment`: what is kept is counted by the hour."""
    return -(-moment // HOUR_S) * float(HOUR_S)


def came_since(events: str, region: str, since: float, now: float) -> dict[FileName, Came]:
    """What was watched from `since` on, the beginning of an hour, up to `now`. Raises FeedError."""
    store = Store(events)
    with open_database() as connection:

        def read(rows: Rows) -> list[Any]:
            hours = hours_until(connection, rows, store, int(since // HOUR_S), now)
            return connection.execute(
                f"SELECT title, file, sum(bytes)::DOUBLE, sum(sessions)::BIGINT FROM {hours} "
                "WHERE region = ? AND title != '' GROUP BY title, file",
                [region],
            ).fetchall()

        found = past_damage(read)
    return {FileName(title, file): Came(size, sessions) for title, file, size, sessions in found}


def planned_at(events: str, region: str, now: float | None = None) -> float | None:
    """When the region's last forecast was made (seconds since the epoch); None if none is kept. Raises FeedError.

    One that is made after `now` was made by a clock that was ahead, and does not count.
    """
    made = [float(kept.stem) for kept in Store(events).forecasts_of(region)]
    return max((moment for moment in made if now is None or moment <= now), default=None)
