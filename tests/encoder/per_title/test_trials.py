"""Which segments are tried, and what follows for shots that were not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.per_title.trials import bits_of, for_all_shots, names, sample, trial_sizes
from encoder.video.chunks import Plan, plan_chunks
from tests.encoder.video.test_ladder import source_of


def plan_of(frames: int, cuts: list[int]) -> Plan:
    return plan_chunks(source_of(frame_rate=Fraction(25), frames=frames), 4, 48, cuts)


def test_two_seconds_of_the_middle_segment_of_each_shot_are_tried_and_stand_for_all_of_it() -> None:
    samples = sample(plan_of(1300, [100, 250, 400, 700, 1000]))
    assert [(one.shot, one.piece.first, one.piece.segments, one.segment, one.frames) for one in samples] == [
        (0, 0, (50,), 100, 100),
        (1, 100, (50,), 75, 150),
        (2, 250, (50,), 75, 150),
        (3, 500, (50,), 100, 300),
        (4, 800, (50,), 100, 300),
        (5, 1100, (50,), 100, 300),
    ]


def test_of_a_film_of_one_shot_several_segments_are_tried() -> None:
    samples = sample(plan_of(1000, []))
    assert len(samples) >= 3
    assert sum(one.frames for one in samples) == 1000


def test_of_a_short_film_of_short_shots_half_is_tried_and_no_piece_is_shorter_than_a_second() -> None:
    samples = sample(plan_of(250, [50, 100, 150, 200]))
    assert [one.piece.frames for one in samples] == [25] * 5
    samples = sample(plan_of(120, [30, 60, 90]))
    assert [one.piece.frames for one in samples] == [25] * 4


def test_of_a_film_of_hundreds_of_shots_some_are_tried_from_all_over_it() -> None:
    samples = sample(plan_of(50_000, list(range(50, 50_000, 50))))
    assert len(samples) == 48
    assert sum(one.piece.frames for one in samples) <= 48 * 2 * 25
    assert samples[0].piece.first < 1200 and samples[-1].piece.first > 48_800


@given(st.integers(1, 20_000), st.lists(st.integers(1, 20_000), max_size=100))
def test_samples_stand_for_every_frame_and_lie_within_their_shot(frames: int, cuts: list[int]) -> None:
    plan = plan_of(frames, [cut for cut in cuts if cut < frames])
    samples = sample(plan)
    assert sum(one.frames for one in samples) == frames
    assert all(one.piece.first in plan.keyframes for one in samples)
    assert [one.piece.number for one in samples] == list(range(len(samples)))


def test_sizes_are_tried_at_the_whole_two_thirds_and_a_third() -> None:
    assert trial_sizes([(1920, 1080), (1280, 720), (960, 540), (640, 360), (480, 270)]) == [
        (1920, 1080), (1280, 720), (640, 360),
    ]  # fmt: skip
    assert trial_sizes([(64, 48)]) == [(64, 48)]


def test_a_segment_has_one_keyframe_however_little_of_it_was_tried() -> None:
    assert bits_of([1000, 100, 300], segment=3) == pytest.approx(8 * 1400 / 3)
    assert bits_of([1000, 100, 300], segment=11) == pytest.approx(8 * 3000 / 11)
    assert bits_of([1000], segment=1) == 8000


def test_rungs_of_one_height_are_told_apart() -> None:
    assert names([1080, 1080, 720, 1080]) == ["v1080", "v1080b", "v720", "v1080c"]


def test_shots_that_were_not_tried_have_the_even_factor() -> None:
    plan = plan_of(50_000, list(range(50, 50_000, 50)))
    samples = sample(plan)
    factors = for_all_shots(plan, samples, 25.0, [20.0] * len(samples))
    assert len(factors) == len(plan.shots)
    assert factors.count(20.0) == len(samples)
    assert set(factors) == {20.0, 25.0}
    assert for_all_shots(plan, samples, 25.0, None) == (25.0,) * len(plan.shots)
