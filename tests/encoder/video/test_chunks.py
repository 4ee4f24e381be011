from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.video.chunks import begin_time, plan_chunks, seek_time
from tests.encoder.video.test_ladder import source_of

rates = st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(100)])


@given(rates, st.integers(1, 100_000), st.floats(0.5, 10), st.floats(0.1, 300), st.sets(st.integers(1, 100_000)))
def test_chunks_cover_the_film_once_in_whole_segments(
    rate: Fraction, frames: int, segment: float, chunk: float, cuts: set[int]
) -> None:
    plan = plan_chunks(source_of(frame_rate=rate, frames=frames), segment, chunk, {cut for cut in cuts if cut < frames})
    at = 0
    for number, piece in enumerate(plan.chunks):
        assert (piece.number, piece.first) == (number, at)
        assert piece.frames > 0
        assert piece.first in plan.keyframes
        at += piece.frames
    assert at == plan.frames == -(-frames // plan.step)
    assert tuple(frames for piece in plan.chunks for frames in piece.segments) == plan.segment_frames


@given(rates, st.integers(1, 100_000))
def test_a_frame_is_a_whole_number_of_ticks(rate: Fraction, frames: int) -> None:
    plan = plan_chunks(source_of(frame_rate=rate, frames=frames), 4, 48)
    assert plan.frame_ticks * plan.frame_rate == plan.timescale >= 10_000


def test_segments_without_cuts_are_even_and_none_is_longer_than_asked() -> None:
    plan = plan_chunks(source_of(frame_rate=Fraction(24000, 1001), frames=1000), 4.0, 48.0)
    assert plan.segment_frames == (91,) * 10 + (90,)
    assert (plan.timescale, plan.frame_ticks) == (24000, 1001)


def test_a_film_of_few_shots_has_parts_of_them_that_may_differ() -> None:
    source = source_of(frame_rate=Fraction(25), frames=1000)
    assert plan_chunks(source, 4, 48).shots == ((100,) * 2,) * 5
    assert plan_chunks(source, 4, 48, [100, 300]).shots == (
        (100,),
        (100, 100),
        (100, 100),
        (100, 100),
        (100, 100),
        (100,),
    )


def test_seek_goes_half_a_frame_before_the_chunk_on_the_films_own_clock() -> None:
    source = source_of(frame_rate=Fraction(25), frames=250, start=Fraction(3, 2))
    plan = plan_chunks(source, 1, 2)
    assert [seek_time(source, plan, chunk) for chunk in plan.chunks[:3]] == [
        Fraction("1.48"), Fraction("3.48"), Fraction("5.48"),
    ]  # fmt: skip


def test_seek_goes_before_all_that_is_decoded_before_the_chunk() -> None:
    source = source_of(frame_rate=Fraction(25), frames=250, reordered=3)
    plan = plan_chunks(source, 1, 2)
    assert seek_time(source, plan, plan.chunks[1]) == begin_time(source, plan, plan.chunks[1]) - Fraction(3, 25)


def test_seek_goes_after_a_first_picture_that_is_a_keyframe_with_no_other_near() -> None:
    source = source_of(frame_rate=Fraction(25), frames=250, reordered=3)
    plan = plan_chunks(source, 1, 2, keyframes=[0, 50, 100, 105, 150, 200])
    assert plan.entries == {50, 105, 150, 200}
    assert seek_time(source, plan, plan.chunks[1]) > 2
    assert seek_time(source, plan, plan.chunks[2]) < 4
    assert seek_time(source, plan.only(plan.chunks[1]), plan.chunks[1]) == seek_time(source, plan, plan.chunks[1])
    assert plan.only(plan.chunks[2]).entries == frozenset()


def test_halved_rate_is_entered_at_pictures_that_are_kept() -> None:
    source = source_of(frame_rate=Fraction(100), frames=499)
    assert plan_chunks(source, 1, 2, keyframes=[0, 101, 200]).entries == {100}


def test_halved_rate_seeks_in_pictures_of_the_film() -> None:
    source = source_of(frame_rate=Fraction(100), frames=499)
    plan = plan_chunks(source, 1, 2)
    assert (plan.frame_rate, plan.step, plan.frames) == (Fraction(50), 2, 250)
    assert seek_time(source, plan, plan.chunks[1]) == Fraction("1.995")


def test_film_of_variable_rate_is_sought_as_much_earlier_as_a_picture_may_last() -> None:
    source = source_of(frame_rate=Fraction(25), frames=250, start=Fraction(3), is_constant=False, longest=Fraction(2))
    plan = plan_chunks(source, 1, 2)
    assert plan.by_seek and not plan.on_grid and not plan.only(plan.chunks[0]).on_grid
    assert [seek_time(source, plan, chunk) for chunk in plan.chunks[:3]] == [1, 3, 5]


def test_frames_that_are_read_from_the_start_are_not_taken_for_the_grids() -> None:
    plan = plan_chunks(source_of(), 4, 48)
    assert plan.on_grid and not plan.whole().on_grid


@pytest.mark.parametrize(
    "changes",
    [
        {"is_constant": False},
        {"is_constant": False, "longest": Fraction(6)},
        {"container": "mpegts"},
        {"container": "mpegts", "is_constant": False, "longest": Fraction(1)},
    ],
)
def test_film_that_cannot_be_sought_is_one_chunk(changes: dict[str, object]) -> None:
    container = str(changes.pop("container", "matroska,webm"))
    source = dataclasses.replace(source_of(frames=5000, **changes), container=container)
    plan = plan_chunks(source, 4, 48)
    assert not plan.by_seek and [chunk.frames for chunk in plan.chunks] == [5000]


def test_whole_plan_has_the_same_segments_in_one_chunk() -> None:
    plan = plan_chunks(source_of(frames=5000), 4, 48)
    whole = plan.whole()
    assert whole.segment_frames == plan.segment_frames
    assert not whole.by_seek and [chunk.frames for chunk in whole.chunks] == [5000]
