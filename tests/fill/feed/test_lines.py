from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fill.feed.lines import ARRIVING_KINDS, Batch, Places
from fill.feed.records import Refusal
from tests.fill.feed.values import NOW, line

HERE = Places({}, {}, "here")


def columns(*lines: bytes, places: Places = HERE, **options: Any) -> dict[str, list[Any]]:
    batch = Batch(places, **options)
    for one in lines:
        batch.add(one, NOW)
    return {name: list(values) for name, values in batch.columns(NOW, "batch").items()}


def refused(found: dict[str, list[Any]]) -> dict[str, int]:
    return {found["part"][row]: found["bytes"][row] for row, title in enumerate(found["title"]) if not title}


def test_what_does_not_count_is_a_row_for_each_reason() -> None:
    found = columns(line(), line(status=404), line(status=500), b"nonsense", line(age_s=99), b"", oldest=NOW - 80)
    assert refused(found) == {Refusal.NOT_SENT: 2, Refusal.BROKEN: 1, Refusal.OLD: 1}
    assert found["title"].count("film") == 1
    assert list(found) == list(ARRIVING_KINDS)


def test_the_rows_of_what_was_refused_are_the_same_ones_when_it_is_read_again() -> None:
    assert columns(b"nonsense")["line"] == columns(b"nonsense")["line"] != columns(line(status=404))["line"]


def test_a_viewer_is_where_steering_says_and_else_where_the_appliance_stands() -> None:
    places = Places({"oca1": "a"}, {"a": "here", "b": "there"}, "default", {"198.51.100.0": "b", "203.0.113.0": "c"})
    lines = [line(client=client) for client in ("192.0.2.0", "198.51.100.0", "203.0.113.0")]
    found = columns(*lines, line(appliance="new"), places=places)
    assert list(zip(found["site"], found["region"], strict=True)) == [
        ("a", "here"),
        ("b", "there"),
        ("c", "default"),
        ("", "default"),
    ]


def test_a_clock_that_is_ahead_is_put_right_for_its_own_appliance_only() -> None:
    ahead = [line(-600 - second, appliance="ahead") for second in range(30)]
    found = columns(*ahead, line(30), line(-90_000))
    assert max(found["time"]) <= NOW
    assert found["time"][-2] == NOW - 30
    assert found["told"][:2] == [NOW + 600, NOW + 601]
    assert refused(found) == {Refusal.FUTURE: 1}


@given(st.lists(st.one_of(st.binary(max_size=50), st.builds(line, st.floats(-90_000, 10**6), st.integers(0, 9)))))
def test_every_line_is_a_row_or_is_counted(lines: list[bytes]) -> None:
    found = columns(*lines)
    assert len({len(values) for values in found.values()}) == 1
    rows = Counter(bool(title) for title in found["title"])
    assert rows[True] + sum(refused(found).values()) == sum(bool(one.strip()) for one in lines)
