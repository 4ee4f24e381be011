from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.video.chunks import plan_chunks, seek_time
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


def test_seek_goes_half_a_frame_before_the_chunk_on_the_films_own_clock() -> None:
    source = source_of(frame_rate=Fraction(25), frames=250, start=Fraction(3, 2))
    plan = plan_chunks(source, 1, 2)
    assert [seek_time(source, plan, chunk) for chunk in plan.chunks[:3]] == [
        Fraction("1.48"), Fraction("3.48"), Fraction("5.48"),
    ]  # fmt: skip


def test_halved_rate_seeks_in_pictures_of_the_film() -> None:
    source = source_of(frame_rate=Fraction(100), frames=499)
    plan = plan_chunks(source, 1, 2)
    assert (plan.frame_rate, plan.step, plan.frames) == (Fraction(50), 2, 250)
    assert seek_time(source, plan, plan.chunks[1]) == Fraction("1.995")


@pytest.mark.parametrize("changes", [{"is_constant": False}, {"container": "mpegts"}])
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
