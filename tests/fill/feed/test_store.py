from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fill.errors import FeedError
from fill.feed.store import (
    Store,
    appear,
    appear_json,
    day_of,
    hour_name,
    hour_of,
    hours_of_day,
    remove,
    remove_folder,
)


def test_hours_have_names_that_sort_and_days_have_24() -> None:
    hour = 497_222
    assert hour_name(hour) == "2026-09-21T14"
    assert hour_of(hour_name(hour)) == hour
    day = day_of(hour)
    assert day == date(2026, 9, 21)
    assert hour in hours_of_day(day)
    assert {day_of(one) for one in hours_of_day(day)} == {day}


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.json"
    appear_json(target, {"a": 1})
    assert target.read_text() == '{"a":1}'

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FeedError, match=r"file\.json cannot be written: No space left on device"):
        appear(target, fail)
    assert [path.name for path in target.parent.iterdir()] == ["file.json"]
    assert target.read_text() == '{"a":1}'


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(FeedError, match="cannot be written: Not a directory"),
        Store(f"file://{tmp_path}/file/x").locked(),
    ):
        pass


def test_what_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/events")
    strays = [
        store.lines / "lost+found" / "x.parquet",
        store.lines / "2026-09-21T25" / "x.parquet",
        store.lines / hour_name(5) / "copy.parquet",
        store.hours / "copy.parquet",
        store.hours / "2026-02-30.parquet",
        store.hours / "2026-09-21.parquet.bak",
        store.arriving / "copy.parquet",
        store.forecasts / "here" / "copy.parquet",
    ]
    for stray in strays:
        appear(stray, lambda path: path.touch())
    assert store.hours_with_lines() == [5]
    assert store.lines_of(5) == store.hours_between(0, 600_000) == store.arrived() == store.forecasts_of("here") == []
    store.sweep()
    remove_folder(store.lines / hour_name(5), [])
    assert all(stray.exists() for stray in strays)


@pytest.mark.parametrize("folder", ["arriving", "lines", "hours", "forecasts/here"])
def test_a_file_in_the_place_of_a_folder_is_one_sentence(tmp_path: Path, folder: str) -> None:
    store = Store(f"file://{tmp_path}/events")
    place = store.folder / folder
    place.parent.mkdir(parents=True)
    place.touch()
    with pytest.raises(FeedError, match=f"{folder} cannot be read: Not a directory"):
        (store.arrived(), store.hours_with_lines(), store.days(), store.forecasts_of("here"))


def test_what_cannot_be_deleted_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="cannot be deleted: "):
        remove(tmp_path)


def test_what_killed_processes_left_unfinished_is_swept_away(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/events")
    kept = store.lines / hour_name(5) / "a.parquet"
    appear(kept, lambda path: path.touch())
    (kept.parent / ".b.parquet.99").touch()
    store.sweep()
    assert list(kept.parent.iterdir()) == [kept]
    assert store.hours_with_lines() == [5]
