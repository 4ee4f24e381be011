"""Where keyframes stand: at cuts, and nowhere else if the longest segment allows."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from encoder.per_title.shots import divide, find_cuts, parse_scores

RATE = Fraction(25)


def test_scores_are_read_from_what_the_filter_prints() -> None:
    printed = """frame:0    pts:0       pts_time:0
lavfi.scd.mafd=0.000
lavfi.scd.score=0.000
frame:1    pts:1       pts_time:0.04
lavfi.scd.mafd=31.100
lavfi.scd.score=30.9
lavfi.scd.time=0.04
"""
    assert parse_scores(printed.splitlines(keepends=True)) == [0.0, 30.9]


def test_the_first_picture_is_no_cut() -> None:
    assert find_cuts([99.0, 0.0, 10.0, 9.9]) == [2]


def test_segments_begin_at_cuts_and_long_shots_are_split_evenly() -> None:
    assert divide(500, [60, 300], RATE, 4.0) == ((60,), (80, 80, 80), (100, 100))


def test_cuts_within_a_second_of_the_last_and_near_the_end_begin_no_segment() -> None:
    assert divide(100, [10, 30, 40, 90], RATE, 4.0) == ((30,), (70,))


def test_a_film_shorter_than_a_second_is_one_segment() -> None:
    assert divide(1, [], RATE, 4.0) == ((1,),)
    assert divide(20, [5], RATE, 4.0) == ((20,),)


@given(
    st.integers(1, 5000),
    st.lists(st.integers(1, 5000)),
    st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(60)]),
    st.floats(0.5, 10),
)
def test_segments_cover_the_film_and_are_neither_too_long_nor_too_short(
    frames: int, cuts: list[int], rate: Fraction, longest_s: float
) -> None:
    segments = [part for shot in divide(frames, cuts, rate, longest_s) for part in shot]
    assert sum(segments) == frames
    assert max(segments) <= max(1, longest_s * rate)
    # Half of the shortest is what an even split may leave of a shot that is hardly too long.
    assert min(segments) >= min(frames, round(rate), int(longest_s * rate)) // 2
