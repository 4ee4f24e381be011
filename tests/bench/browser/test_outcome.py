from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from bench.browser.outcome import Outcome, cell, read_outcome, table


def stats(**changes: Any) -> dict[str, Any]:
    return {"stalls": 0, "stallSeconds": 0.0, "switches": [], "ranges": [[0.0, 24.0]], "errors": [], **changes}


def outcome(**changes: Any) -> Outcome:
    told = {"failure": "hangs", "player": "hls", "buffer_s": 12.0, "stalls": 0, "stalled_s": 0.0, "moved_after_s": 2.5}
    return Outcome(**{**told, "went_on": True, **changes})


def test_the_time_to_elsewhere_is_that_of_the_first_request_after_the_failure() -> None:
    switches = [{"asked": 90.0}, {"asked": 103.5}, {"asked": 110.0}]
    assert read_outcome("hangs", "hls", 12.0, 100.0, stats(), stats(switches=switches)).moved_after_s == 3.5


def test_who_never_asked_elsewhere_stayed() -> None:
    assert read_outcome("hangs", "hls", 12.0, 100.0, stats(), stats(switches=[{"asked": 90.0}])).moved_after_s is None


def test_stalls_before_the_failure_do_not_count() -> None:
    read = read_outcome("hangs", "hls", 12.0, 0.0, stats(stalls=1, stallSeconds=2.0), stats(stalls=3, stallSeconds=7.0))
    assert (read.stalls, read.stalled_s) == (2, 5.0)


def test_two_ranges_of_shown_film_are_a_gap() -> None:
    assert not read_outcome("hangs", "hls", 12.0, 0.0, stats(), stats(ranges=[[0.0, 7.0], [9.0, 24.0]])).went_on


def test_an_error_that_repeats_is_told_once() -> None:
    errors = [{"text": "fragLoadError (503)"}, {"text": "fragLoadError (503)"}, {"text": "fragLoadTimeOut"}]
    read = read_outcome("hangs", "hls", 12.0, 0.0, stats(), stats(errors=errors))
    assert read.errors == ("fragLoadError (503)", "fragLoadTimeOut")


@pytest.mark.parametrize(
    ("plays", "expected"),
    [
        ([outcome()], "0 / 2.5 s"),
        ([outcome(), outcome(stalls=1, stalled_s=1.5, moved_after_s=4.0)], "0-1 (0-1.5 s) / 2.5-4 s"),
        ([outcome(moved_after_s=None)], "0 / stayed"),
        ([outcome(went_on=False)], "0 / 2.5 s, lost its place"),
        ([], ""),
    ],
)
def test_a_cell_says_the_range_of_its_rounds(plays: list[Outcome], expected: str) -> None:
    assert cell(plays) == expected


def test_the_table_has_a_row_for_each_player_and_buffer_and_a_column_for_each_failure() -> None:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table([outcome(), outcome(buffer_s=2.5, stalls=1, stalled_s=3.0), outcome(failure="is killed")]))
    text = capture.get()
    for words in ("hangs", "is killed", "12 s", "2.5 s", "1 (3 s) / 2.5 s"):
        assert words in text
