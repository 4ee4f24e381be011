"""Keeps forecasts, and measures them against what came: how wrong, which way, and what that cost.

    EVENTS/forecasts/REGION/SECONDS.parquet     what was expected of each file from that moment on, for a day

A score is made of the 24 h that a forecast is of, once they are over. What is expected of a file and what came are both
in bytes, so a wrong guess counts by what it is worth:

    error    sum of |came - expected| over what came (WAPE)
    bias     sum of (expected - came) over what came: above 0 too much was expected
    share    bytes that came of the files which a plan after this forecast would hold, over the best that any plan
             could hold in the same storage (both by density, as the planner fills it)
    within   share of the files that came within one and two standard errors of what was expected of them; 0.68 and
             0.95 where the estimate of the error is right
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from fill.feed.database import Rows, create_table, insert, open_database, past_damage, quoted
from fill.feed.days import hours_between
from fill.feed.lines import HOUR_S
from fill.feed.store import Store, appear, remove
from fill.forecast.expected import Forecast
from fill.names import FileName

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAY_S = 86400.0
# Forecasts older than this are forgotten when another is kept.
KEPT_S = 100 * DAY_S
# But for so many, the newest: one that is made while the clock is wrong by a year shall not end all others.
FEWEST_KEPT = 100
# Storage for which shares are told where nobody says how much there is: this share of everything.
_SHARE_OF_CATALOGUE = 0.1

_FORECAST_KINDS = {
    "title": "VARCHAR",
    "file": "VARCHAR",
    "size": "BIGINT",
    "plays": "DOUBLE",
    "error": "DOUBLE",
    "model": "VARCHAR",
    "storage": "BIGINT",
}


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one forecast did."""

    region: str
    made_at: float  # seconds since the epoch
    model: str
    files: int
    came_bytes: int
    expected_bytes: int
    error: float
    bias: float
    share: float
    within_one: float
    within_two: float
    unforeseen_bytes: int  # came of files that the forecast did not know


def keep(events: str, forecast: Forecast, sizes: Mapping[FileName, int], storage: int = 0) -> None:
    """Keeps a forecast for its score; of files without a size nothing is kept.

    `storage`: bytes that a cluster of the region holds, which the score's share is told for. Raises FeedError.
    """
    store = Store(events)
    known = [(name, expected) for name, expected in forecast.expected.items() if sizes.get(name, 0) > 0]
    columns: dict[str, list[Any]] = {
        "title": [name.title for name, _ in known],
        "file": [name.file for name, _ in known],
        "size": [sizes[name] for name, _ in known],
        "plays": [_finite(expected.plays) for _, expected in known],
        "error": [_finite(expected.error) for _, expected in known],
        "model": [forecast.model] * len(known),
        "storage": [storage] * len(known),
    }
    folder = store.forecasts / forecast.region
    with open_database() as connection:
        create_table(connection, "forecast", _FORECAST_KINDS)
        insert(connection, "forecast", _FORECAST_KINDS, columns)
        appear(
            folder / f"{int(forecast.made_at)}.parquet",
            lambda path: _copy(connection, "forecast", str(path)),
        )
    for kept in store.forecasts_of(forecast.region)[:-FEWEST_KEPT]:
        if int(kept.stem) < forecast.made_at - KEPT_S:
            remove(kept)


def score(events: str, region: str, now: float, days: int = 28) -> list[Score]:
    """The scores of the forecasts whose day ended in the last `days` days, oldest first; of each day (UTC) the last.

    Raises FeedError.
    """
    store = Store(events)
    over = [
        made for file in store.forecasts_of(region) if now - days * DAY_S <= (made := int(file.stem)) + DAY_S <= now
    ]
    of_days = {made // DAY_S: made for made in over}
    with open_database() as connection:
        found = [past_damage(partial(_score, connection, store, region, made)) for made in of_days.values()]
    return [one for one in found if one is not None]


def running(scores: list[Score]) -> Score | None:
    """All of them as one: sums of bytes, and means by the bytes that came."""
    if not scores:
        return None
    came = np.array([one.came_bytes for one in scores], dtype=np.float64)
    weights = came if came.sum() else None

    def mean(name: str) -> float:
        return float(np.average([getattr(one, name) for one in scores], weights=weights))

    return Score(
        region=scores[-1].region,
        made_at=scores[-1].made_at,
        model=scores[-1].model,
        files=max(one.files for one in scores),
        came_bytes=int(came.sum()),
        expected_bytes=sum(one.expected_bytes for one in scores),
        error=mean("error"),
        bias=mean("bias"),
        share=mean("share"),
        within_one=mean("within_one"),
        within_two=mean("within_two"),
        unforeseen_bytes=sum(one.unforeseen_bytes for one in scores),
    )


def _score(connection: DuckDBPyConnection, store: Store, region: str, made_at: int, rows: Rows) -> Score | None:
    """None where nothing came: logs that are not there yet are no proof that nobody watched."""
    first = -(-made_at // HOUR_S)  # hours that began before the forecast was made are not its to foresee
    hours = hours_between(connection, rows, store, first, first + 24)
    made = [file for file in store.forecasts_of(region) if int(file.stem) == made_at]
    expected = rows(made, _FORECAST_KINDS)
    found = connection.execute(
        f"WITH came AS (SELECT title, file, sum(bytes)::DOUBLE AS bytes FROM {hours} "
        "WHERE region = ? AND title != '' GROUP BY title, file) "
        "SELECT coalesce(size, 0) AS size, coalesce(plays, 0) AS plays, coalesce(error, 0) AS error, "
        "coalesce(bytes, 0) AS came, size IS NOT NULL AS foreseen, coalesce(storage, 0) AS storage "
        f"FROM {expected} FULL JOIN came USING (title, file)",
        [region],
    ).fetchnumpy()
    columns = {name: np.asarray(values) for name, values in found.items()}
    if not made or not columns["came"].sum():
        return None
    model = connection.execute(f"SELECT any_value(model) FROM {expected}").fetchall()[0][0]
    return measure(columns, region=region, made_at=float(made_at), model=model or "")


def measure(columns: Mapping[str, npt.NDArray[Any]], *, region: str, made_at: float, model: str) -> Score:
    """The score of a forecast, from what was expected of each file and what came.

    Columns: size, plays and error (of plays) expected, came (bytes, more than 0 in all), foreseen, storage.
    """
    size, foreseen = columns["size"].astype(np.float64), columns["foreseen"].astype(bool)
    came, expected = columns["came"], columns["plays"] * size
    total = came.sum()
    storage = float(columns["storage"].max(initial=0)) or size.sum() * _SHARE_OF_CATALOGUE
    plays = np.divide(came, size, out=np.zeros_like(came), where=foreseen)
    held, best = (_held(order, size, came, foreseen, storage) for order in (columns["plays"], plays))
    tells = foreseen & ((came > 0) | (columns["plays"] > 0))
    off = np.abs(plays - columns["plays"])[tells]
    return Score(
        region=region,
        made_at=made_at,
        model=model,
        files=int(foreseen.sum()),
        came_bytes=int(total),
        expected_bytes=int(expected.sum()),
        error=float(np.abs(came - expected).sum() / total),
        bias=float((expected - came).sum() / total),
        share=float(held / best) if best else 0.0,
        within_one=float((off <= columns["error"][tells]).mean()) if len(off) else 0.0,
        within_two=float((off <= 2 * columns["error"][tells]).mean()) if len(off) else 0.0,
        unforeseen_bytes=int(came[~foreseen].sum()),
    )


def _held(
    density: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    came: npt.NDArray[np.float64],
    foreseen: npt.NDArray[np.bool_],
    storage: float,
) -> float:
    """Bytes that came of the densest files that fit; the last one in part, as in the bound that plans are held to."""
    order = np.argsort(-density[foreseen], kind="stable")
    sizes, sent = size[foreseen][order], came[foreseen][order]
    before = np.cumsum(sizes) - sizes
    return float((sent * np.clip((storage - before) / sizes, 0, 1)).sum())


def _finite(value: float) -> float:
    """A forecast with NaN in it is a bad one, and is scored as expecting nothing there."""
    return value if np.isfinite(value) and value > 0 else 0.0


def _copy(connection: DuckDBPyConnection, table: str, path: str) -> None:
    connection.execute(f"COPY {table} TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
