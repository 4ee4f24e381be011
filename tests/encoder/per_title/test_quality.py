"""What is made of scores: segments, rungs, and the floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.per_title.quality import (
    Scored,
    counted,
    every,
    fifth_percentile,
    floor,
    harmonic,
    how_many,
    is_at_cap,
    mean,
    pooled,
    segments,
)  # fmt: skip


def test_each_frame_of_a_short_piece_is_scored_and_each_fifth_of_a_longer_one() -> None:
    assert every(39) == 1 and every(40) == 5
    assert how_many(39) == 39 and how_many(41) == 9


def test_a_score_too_many_is_not_counted() -> None:
    assert counted([90.0, 90.0, 10.0], frames=2) == [90.0, 90.0]
    assert counted([90.0] * 8 + [10.0], frames=40) == [90.0] * 8


def test_the_first_frame_which_vmaf_takes_for_a_still_has_the_score_of_the_next() -> None:
    assert counted([70.0, 90.0, 80.0], frames=3) == [90.0, 90.0, 80.0]
    assert counted([70.0], frames=1) == [70.0]


def test_means_see_what_is_bad() -> None:
    scores = [90.0] * 19 + [0.0]
    assert mean(scores) == 85.5
    assert harmonic(scores) == pytest.approx(20 / (19 / 91 + 1) - 1)
    assert fifth_percentile(scores) == 90.0
    assert fifth_percentile([0.0, *scores]) == 0.0


def test_a_segment_has_the_scores_of_its_own_frames() -> None:
    # Frames 0, 5, 10 ... of 40 are scored.
    scores = [90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0]
    assert segments(100, (12, 28), scores) == (
        Scored(100, 12, 80.0, 70.0, 110),
        Scored(112, 28, 40.0, 20.0, 135),
    )


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_segments_cover_their_chunk_whatever_their_lengths(lengths: list[int]) -> None:
    found = segments(7, lengths, [float(at) for at in range(how_many(sum(lengths)))])
    assert [one.frames for one in found] == lengths
    assert [one.first for one in found] == [7 + sum(lengths[:at]) for at in range(len(lengths))]
    assert all(one.first <= one.worst_frame < one.first + one.frames for one in found)


def test_a_rung_is_the_mean_of_its_frames_and_has_the_worst_of_its_segments() -> None:
    first, second = segments(0, (30,), [90.0] * 30), segments(30, (10,), [50.0] * 9 + [20.0])
    rung = pooled("v360", 80.0, [(first, [90.0] * 30), (second, [50.0] * 9 + [20.0])])
    assert rung.mean == pytest.approx((90 * 30 + 47 * 10) / 40)
    assert rung.harmonic < rung.mean
    assert rung.fifth_percentile == 50.0
    assert (rung.worst.first, rung.worst.worst_frame) == (30, 39)


def test_the_floor_lies_lower_where_a_step_of_the_factor_is_worth_more() -> None:
    assert floor(100.0) == 94.0
    assert floor(95.0) == pytest.approx(87.75)
    assert floor(60.0) == 44.0
    assert floor(1.0) == 0.0


def test_a_chunk_is_at_its_cap_with_nearly_all_the_bits_that_it_allows() -> None:
    assert is_at_cap(bits=1_900_000, seconds=2.0, maxrate=1_000_000)
    assert not is_at_cap(bits=1_500_000, seconds=2.0, maxrate=1_000_000)
    assert not is_at_cap(bits=1_500_000, seconds=2.0, maxrate=0)
