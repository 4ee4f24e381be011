from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.popularity import FileName, Watched, count, read_records
from oca.access_log import Record

DAY = 86400.0
NOW = 20_000 * DAY


def watched(age_s: float, size: int = 1000, **more: Any) -> Watched:
    fields = {"time": NOW - age_s, "title": "film", "file": "v.mp4", "status": 206, "bytes": size} | more
    return msgspec.convert(fields, Watched)


def test_a_line_of_an_appliances_access_log_is_a_record() -> None:
    record = Record(
        time=NOW - 60, appliance="oca1", client="192.0.2.0", method="GET", title="film", package="ab" * 16,
        file="v720.mp4", part="v720/3.m4s", status=200, bytes=1000, whole=True, hit=True, seconds=0.1, agent="player",
        cmcd={"sid": "s", "br": {"v": 5000}},
    )  # fmt: skip
    popularity = count(read_records([msgspec.json.encode(record) + b"\n"]), NOW)
    assert (popularity.records, popularity.broken) == (1, 0)
    assert list(popularity.bytes_per_day) == [FileName("film", "v720.mp4")]


def test_broken_lines_are_counted_and_passed_over() -> None:
    good = msgspec.json.encode(watched(10))
    lines = [good, b"", b"\n", b"nonsense", good[:20], b'{"time": "noon"}', b"\xff\xfe", b"[]", good]
    popularity = count(read_records(lines), NOW)
    assert (popularity.records, popularity.broken) == (2, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"status": 404},
        {"status": 304},
        {"bytes": 0},
        {"title": ""},
        {"file": ""},
        {"method": "HEAD"},
        {"agent": "nearcast-oca/0.1"},
    ],
)
def test_what_no_viewer_watched_does_not_count(change: dict[str, Any]) -> None:
    assert count([watched(10, **change)], NOW).records == 0


def test_the_future_and_the_long_past_do_not_count() -> None:
    assert count([watched(-10), watched(11 * DAY)], NOW).records == 0


@given(st.integers(2, 9), st.integers(1, 10**12))
def test_steady_watching_comes_out_as_what_it_is(days: int, per_hour: int) -> None:
    records = [watched((hour + 0.5) * 3600, per_hour) for hour in range(24 * days)]
    (rate,) = count(records, NOW).bytes_per_day.values()
    assert rate == pytest.approx(24 * per_hour, rel=0.02)


def test_yesterday_weighs_half_of_today() -> None:
    records = [watched(0.5 * 3600, file="new"), watched(0.5 * 3600 + DAY, file="old")]
    rates = count(records, NOW).bytes_per_day
    assert rates[FileName("film", "new")] == pytest.approx(2 * rates[FileName("film", "old")])


def test_a_short_log_is_not_taken_for_a_whole_day_of_it() -> None:
    (rate,) = count([watched(60, 1000)], NOW).bytes_per_day.values()
    assert 1000 < rate < 25 * 1000
