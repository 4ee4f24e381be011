from __future__ import annotations

from pathlib import Path

import pytest

from config.progress import Reporter
from fill.feed.database import open_database, past_damage
from fill.feed.days import hours_between, hours_until
from fill.feed.ingest import ingest
from fill.feed.lines import Places
from fill.feed.store import Store
from tests.fill.feed.values import DAY, NOW, line, write_log

HOUR = 3600
FIRST = int((NOW - 3 * DAY) // HOUR)
THIS_HOUR = int(NOW // HOUR)


def filled(tmp_path: Path) -> Store:
    store = Store(f"file://{tmp_path}/events")
    ages = [2.1 * DAY, 1.1 * DAY, 60.0, -120.0]
    log = write_log(tmp_path / "log", [line(age, 10**place) for place, age in enumerate(ages)])
    ingest(
        store,
        [str(log)],
        Places({}, {}, "here"),
        lambda: NOW + 300,
        keep_lines_s=7 * DAY,
        keep_hours_s=7 * DAY,
        reporter=Reporter(quiet=True),
    )
    return store


def served(store: Store, first: int, end: int) -> int:
    with open_database() as connection:
        found: list[tuple[int]] = past_damage(
            lambda rows: connection.execute(
                f"SELECT coalesce(sum(bytes), 0)::BIGINT FROM {hours_between(connection, rows, store, first, end)}"
            ).fetchall()
        )
    return found[0][0]


def test_a_day_without_its_file_is_counted_again_from_its_lines(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert served(store, FIRST, THIS_HOUR + 1) == 1111
    next(iter(store.days().values())).unlink()
    assert served(store, FIRST, THIS_HOUR + 1) == 1111
    assert served(store, FIRST, THIS_HOUR) == 11
    assert served(store, FIRST + 30, THIS_HOUR) == 10


def test_of_lines_that_are_damaged_as_well_the_others_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = filled(tmp_path)
    for day in store.days().values():
        day.unlink()
    for hour in (FIRST + 21, FIRST + 45):
        (lines,) = store.lines_of(hour)
        lines.write_bytes(b"damaged")
    assert served(store, FIRST, THIS_HOUR + 1) == 1100
    assert len(caplog.records) == 2


def test_of_the_hour_that_is_not_over_only_what_is_before_now_counts(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with open_database() as connection:
        kept = past_damage(
            lambda rows: connection.execute(
                f"SELECT sum(bytes)::BIGINT FROM {hours_until(connection, rows, store, FIRST, NOW)}"
            ).fetchall()[0][0]
        )
    assert kept == 111
