"""Counts lines into hours: bytes, answers and sessions of each file, and what does not count once all is seen together.

    lines, each once (by digest) -> what each session asked for, part by part -> sessions that a viewer can be -> hours

A session that fetches a part again watched it once. Where the player says its session (CMCD `sid`), that is all of it.
Where it does not, a session is all players of one kind in one network (/24) for an hour, of whom each fetches the
title's parts about equally often: a part that was fetched far more often than the median part of the title was fetched
over and over by somebody. Answers to ranges of a whole file are all counted: what of it they were is not logged.

A session that goes on from the hour before is not counted anew, named or not, so whoever counts one hour gives the
lines of the hour before it as well. What a network of many alike players watches hour after hour is then one session:
too few, where an hour each would make many of a single viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fill.feed.lines import HOUR_S
from fill.feed.records import Refusal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The table of hours. A row without title says how many answers (`answers`) were refused, for the reason in `file`.
HOUR_KINDS = {
    "hour": "BIGINT",  # hours since the epoch
    "region": "VARCHAR",
    "site": "VARCHAR",
    "title": "VARCHAR",
    "file": "VARCHAR",
    "bytes": "BIGINT",
    "sessions": "BIGINT",  # that began to watch the file in this hour
    "answers": "BIGINT",
}

# Zapping once a minute for an hour; a session normally plays one title.
MOST_TITLES_OF_SESSION = 60
# What one kind of player in a /24 can start in an hour: 256 homes, a tenth of them watching, three titles each, twice
# over. A crawler walks through thousands.
MOST_TITLES_OF_NETWORK = 200
# Seconds of video in an hour: at double speed, with an hour ahead in the buffer.
MOST_MEDIA_S = 3 * HOUR_S
# A part may be fetched so many times as often as the median part of the title by the same network ...
ABOVE_MEDIAN = 2
# ... if there are so many parts that the median says something; else so often.
FEWEST_PARTS = 5
FEW_FETCHES = 4

_COUNT = f"""
CREATE OR REPLACE TEMP TABLE counted AS
WITH once AS (
    SELECT line, any_value(COLUMNS(* EXCLUDE (line))) FROM {{lines}} WHERE time <= {{until}} GROUP BY line
), asked AS (
    SELECT floor(time / {HOUR_S})::BIGINT AS hour, region, site, session, named, title, package, file, part,
        count(*) AS fetches, max(bytes) AS most, sum(bytes) AS total, max(media_s) AS media_s
    FROM once WHERE title != '' GROUP BY ALL
), compared AS (
    SELECT *, median(fetches) OVER same AS usual, count(*) OVER same AS parts
    FROM asked WINDOW same AS (PARTITION BY hour, session, title, package)
), allowed AS (
    SELECT *, CASE
        WHEN part = file THEN fetches
        WHEN named THEN 1
        WHEN parts < {FEWEST_PARTS} THEN least(fetches, {FEW_FETCHES})
        ELSE least(fetches, greatest({FEW_FETCHES}, ceil({ABOVE_MEDIAN} * usual))) END::BIGINT AS kept
    FROM compared
), judged AS (
    SELECT *,
        count(DISTINCT title) OVER whole > CASE WHEN named THEN {MOST_TITLES_OF_SESSION}
            ELSE {MOST_TITLES_OF_NETWORK} END
        OR (named AND sum(media_s) OVER whole > {MOST_MEDIA_S}) AS inhuman
    FROM allowed WINDOW whole AS (PARTITION BY hour, session)
)
SELECT hour, region, site, title, file, session, inhuman, sum(fetches)::BIGINT AS fetches, sum(kept)::BIGINT AS answers,
    sum(CASE WHEN part != file AND named THEN most ELSE total * kept / fetches END)::BIGINT AS bytes
FROM judged GROUP BY ALL
"""

_HOURS = f"""
SELECT hour, region, site, title, file, sum(bytes)::BIGINT AS bytes, count(DISTINCT session) FILTER (began) AS sessions,
    sum(answers)::BIGINT AS answers
FROM (
    SELECT *, lag(hour, 1, -1) OVER (PARTITION BY session, title, file ORDER BY hour) < hour - 1 AS began
    FROM counted WHERE NOT inhuman
) GROUP BY hour, region, site, title, file
UNION ALL
SELECT hour, region, '', '', '{Refusal.AGAIN}', 0, 0, sum(fetches - answers)::BIGINT
FROM counted WHERE NOT inhuman GROUP BY hour, region HAVING sum(fetches - answers) > 0
UNION ALL
SELECT hour, region, '', '', '{Refusal.INHUMAN}', 0, 0, sum(fetches)::BIGINT
FROM counted WHERE inhuman GROUP BY hour, region
UNION ALL
SELECT floor(time / {HOUR_S})::BIGINT AS hour, any_value(region), '', '', '{Refusal.REPEATED}', 0, 0,
    count(*) - count(DISTINCT line) AS again
FROM {{lines}} WHERE title != '' AND time <= {{until}} GROUP BY 1 HAVING again > 0
UNION ALL
SELECT hour, region, '', '', reason, 0, 0, sum(number)::BIGINT FROM (
    SELECT line, floor(any_value(time) / {HOUR_S})::BIGINT AS hour, any_value(region) AS region,
        any_value(part) AS reason, any_value(bytes) AS number
    FROM {{lines}} WHERE title = '' GROUP BY line
) GROUP BY hour, region, reason
"""


def count_hours(connection: DuckDBPyConnection, lines: str, table: str, until: float = float("inf")) -> None:
    """Makes `table` (HOUR_KINDS) of what `lines` (SQL behind FROM, LINE_KINDS) tell up to `until`, hour by hour."""
    moment = "'infinity'::DOUBLE" if until == float("inf") else repr(until)
    connection.execute(_COUNT.format(lines=lines, until=moment))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS " + _HOURS.format(lines=lines, until=moment))
    connection.execute("DROP TABLE counted")


def refused_in(connection: DuckDBPyConnection, table: str) -> Mapping[str, int]:
    """How many lines did not count, by reason."""
    rows = connection.execute(
        f"SELECT file, sum(answers)::BIGINT FROM {table} WHERE title = '' GROUP BY file ORDER BY 1"
    )
    return dict(rows.fetchall())
