from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.captions.webvtt import demand_cues, shift_cues

CUES = """WEBVTT

STYLE
::cue { color: red }

1
00:01.000 --> 00:02.500 align:start
Hello
there

00:04.000 --> 00:05.000
Bye
"""


def test_cues_move_and_keep_identifier_settings_and_style() -> None:
    moved, count = shift_cues(CUES, 3600.25, 7200)
    assert count == 2
    assert "1\n01:00:01.250 --> 01:00:02.750 align:start\nHello\nthere\n\n" in moved
    assert "STYLE\n::cue { color: red }" in moved


def test_cues_outside_the_film_are_dropped_and_those_across_an_end_cut() -> None:
    moved, count = shift_cues(CUES, -1.5, 3.0)
    assert count == 2
    assert "00:00:00.000 --> 00:00:01.000" in moved and "00:00:02.500 --> 00:00:03.000" in moved
    assert shift_cues(CUES, -3, 10)[1] == 1
    assert shift_cues(CUES, 10, 10)[1] == 0


def test_cue_without_words_is_no_cue() -> None:
    assert shift_cues("WEBVTT\n\n00:01.000 --> 00:02.000\n\n\n00:03.000 --> 00:04.000\n \n", 0, 10)[1] == 0


@pytest.mark.parametrize(
    "loose",
    [
        "WEBVTT\n00:01.000 --> 00:02.000\nHello\n",
        "WEBVTT\n\n  00:01.000 --> 00:02.000  \nHello\n",
        "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n00:04.000 --> 00:05.000\nBye\n",
        "WEBVTT - film\nKind: captions\n00:01.000 --> 00:02.000\nHello\n\n00:04.000 --> 00:05.000\nBye\n",
    ],
)
def test_cues_that_players_find_are_moved_however_they_are_written(loose: str) -> None:
    demand_cues(loose, "film.vtt")
    moved, count = shift_cues(loose, 0.5, 10.0)
    assert count == loose.count("-->") == moved.count("-->")
    assert "\n\n00:00:01.500 --> 00:00:02.500\nHello\n" in moved
    assert "Bye" not in loose or "\n\n00:00:04.500 --> 00:00:05.500\nBye\n" in moved


def test_arrow_in_what_is_said_does_not_end_the_cue() -> None:
    moved, count = shift_cues("WEBVTT\n\n00:01.000 --> 00:02.000\n12:30 --> 13:00\nleaves\n", 0, 10)
    assert count == 1 and "\n12:30 --&gt; 13:00\nleaves\n" in moved


@given(st.integers(0, 3_000_000), st.integers(1, 100_000), st.integers(-2_000_000, 2_000_000))
def test_shift_there_and_back_is_no_shift(start: int, length: int, shift: int) -> None:
    def clock(at: int) -> str:
        return f"{at // 3_600_000:02d}:{at // 60_000 % 60:02d}:{at // 1000 % 60:02d}.{at % 1000:03d}"

    cue = f"WEBVTT\n\n{clock(start)} --> {clock(start + length)}\nHello\n"
    moved, count = shift_cues(cue, shift / 1000, 10_000)
    if start + shift >= 0:
        assert count == 1
        assert shift_cues(moved, -shift / 1000, 10_000)[0] == cue
