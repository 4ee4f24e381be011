from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.sound.dolby import FRAME, Packet, are_frames, frame_bitrate, frames_in, parse_packets, places

RATE = 48_000
LENGTH = Fraction(FRAME, RATE)


def packets(*starts: Fraction | float) -> list[Packet]:
    return [Packet(Fraction(start), LENGTH, 1792) for start in starts]


def row(count: int, first: Fraction | float = 0) -> list[Packet]:
    return packets(*(first + k * LENGTH for k in range(count)))


def test_listing_is_read_in_seconds() -> None:
    lines = ["#software: Lavf", "#tb 0: 1/48000", "#codec_id 0: ac3", "0,  -1536,  -1536,  1536,  1792, 0xd7a1abb9"]
    assert parse_packets(lines) == [Packet(-LENGTH, LENGTH, 1792)]


def test_frames_stand_on_the_pictures_clock() -> None:
    assert places(row(5), Fraction(0), 5, RATE) == [0, 1, 2, 3, 4]
    assert places(row(5), LENGTH, 4, RATE) == [1, 2, 3, 4]  # what is before the picture is left out
    assert places(row(5, Fraction(1, 10)), Fraction(1, 10), 3, RATE) == [0, 1, 2]


def test_late_sound_a_gap_and_an_early_end_are_silence() -> None:
    there = [*row(2, 3 * LENGTH), *row(2, 7 * LENGTH)]
    assert places(there, Fraction(0), 11, RATE) == [None, None, None, 0, 1, None, None, 2, 3, None, None]


def test_frame_that_begins_within_the_one_before_is_left_out() -> None:
    assert places(packets(0, LENGTH, LENGTH, 2 * LENGTH), Fraction(0), 3, RATE) == [0, 1, 3]


@given(st.integers(0, 999), st.lists(st.integers(-2, 2), min_size=3, max_size=200))
def test_rounded_times_neither_drop_nor_double_a_frame(offset: int, errors: list[int]) -> None:
    """Half a frame off, each time would round another way; neighbours decide instead."""
    there = packets(*((k + Fraction(offset, 1000)) * LENGTH + Fraction(error, 1000) for k, error in enumerate(errors)))
    grid = places(there, Fraction(0), len(errors) + 2, RATE)
    found = [number for number in grid if number is not None]
    assert found == list(range(len(errors)))
    assert None not in grid[grid.index(0) : grid.index(0) + len(found)]


def test_film_is_filled_to_its_end_with_whole_frames() -> None:
    assert frames_in(Fraction(3), RATE) == 94
    assert frames_in(94 * LENGTH, RATE) == 94


def test_packets_of_another_length_are_no_frames() -> None:
    assert are_frames(row(3), RATE)
    assert are_frames([*row(3), Packet(3 * LENGTH, Fraction(0), 1792)], RATE)
    assert not are_frames([Packet(Fraction(k), Fraction(1), 1792) for k in range(3)], RATE)
    assert not are_frames([], RATE)


@pytest.mark.parametrize(
    ("size", "rate", "codec", "bitrate"),
    [(1792, 48_000, "ac3", 448_000), (1950, 44_100, "ac3", 448_000), (1000, 48_000, "eac3", 250_000)],
)
def test_silence_is_of_the_bitrate_of_its_neighbours(size: int, rate: int, codec: str, bitrate: int) -> None:
    assert frame_bitrate(size, rate, codec) == bitrate
