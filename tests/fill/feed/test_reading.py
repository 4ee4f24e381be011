from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fill.errors import FeedError
from fill.feed.lines import Places
from fill.feed.reading import history_of_logs, read_history
from fill.feed.records import Refusal
from fill.names import FileName
from tests.fill.feed.values import DAY, FILM, NOW, history, line, served, write_log

HOUR = 3600.0


def test_days_are_the_24_hours_before_now_the_last_one_last(tmp_path: Path) -> None:
    lines = [line(HOUR, 7), line(DAY - HOUR, 10), line(DAY + HOUR, 200), line(2.5 * DAY, 3000, file="a.mp4")]
    found = history(tmp_path, *lines, days=4)
    assert found.files == [FileName("film", "a.mp4"), FILM]
    assert served(found) == [0, 0, 200, 17]
    assert served(found, FileName("film", "a.mp4")) == [0, 3000, 0, 0]
    assert (found.days_known, found.records, found.now, found.region) == (3, 4, NOW, "here")
    assert found.rhythm.sum() == pytest.approx(1)


def test_nothing_after_now_is_looked_at(tmp_path: Path) -> None:
    past = [line(age, 10 + age) for age in range(100, 30 * 3600, 1000)]
    future = [line(-age, 5, cmcd={"sid": f"{age}"}) for age in range(1, 50_000, 500)]
    before, after = history(tmp_path, *past), history(tmp_path, *past, *future)
    assert np.array_equal(before.served, after.served)
    assert np.array_equal(before.rhythm, after.rhythm)


def test_a_clock_that_is_ahead_is_put_right_and_what_is_still_of_the_future_refused(tmp_path: Path) -> None:
    import time

    now = time.time()
    ahead = [line(-1800 - age, 10, now=now, appliance="ahead", part=f"v720/{age}.m4s") for age in range(30)]
    right = [line(10 + age, 1000, now=now, part=f"v720/{age}.m4s") for age in range(30)]
    wrong = line(-7200, 5, now=now)
    log = write_log(tmp_path / "log", [*ahead, *right, wrong, *right])
    found = history_of_logs([log], "here", now + 60)
    assert served(found)[-1] == 30 * 10 + 30 * 1000
    assert found.refused == {Refusal.FUTURE: 1, Refusal.REPEATED: 30}


def test_only_what_was_watched_in_the_region_counts(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(5, 10), line(6, 200, appliance="far"), line(7, 3000, appliance="new")])
    places = Places({"oca1": "a", "far": "b"}, {"a": "here", "b": "there"}, "default")
    found = {region: history_of_logs([log], region, NOW, places=places) for region in ("here", "there", "default")}
    assert {region: one.served.sum() for region, one in found.items()} == {"here": 10, "there": 200, "default": 3000}


def test_no_logs_are_a_history_of_nothing(tmp_path: Path) -> None:
    found = history_of_logs([tmp_path / "gone"], "here", NOW, 5)
    assert (found.served.shape, found.days_known, found.records, found.bytes_per_day) == ((0, 5), 0, 0, 0)
    assert read_history(f"file://{tmp_path}/none", "here", NOW, 5).served.shape == (0, 5)


def test_events_that_are_no_folder_are_one_sentence() -> None:
    with pytest.raises(FeedError, match="events: found 'file://relative/x', expected file:///DIRECTORY"):
        read_history("file://relative/x", "here", NOW)
