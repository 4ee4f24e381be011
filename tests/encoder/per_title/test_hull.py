"""Ladders and allotments on made-up pieces whose best answer is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.per_title.allotment import allot
from encoder.per_title.curves import Cubic, Piece, Trial, bend_of, odds_of, vmaf_of, whole
from encoder.per_title.hull import LOWEST_BPS, STEP_OCTAVES, STEP_VMAF, TOP_VMAF, choose_rungs, crf_for
from encoder.video.codec import H264

HEIGHTS = (1080, 900, 720, 540, 432, 360, 270, 216)
CRFS = (18.0, 30.0)
BEND = bend_of(*CRFS)


def vmaf(height: int, crf: float, hardness: float) -> float:
    """A film that is sharper than small sizes can show: what is missing grows as it does in films."""
    softness = 0.5 * math.log2(1080 / height) ** 2
    steepness = 0.11 - 0.02 * math.log2(1080 / height)
    missing = hardness * math.exp(0.9 + softness + steepness * (crf - 18) + BEND * (crf - 24) ** 2)
    return max(0.0, 101 - missing)


def bits(height: int, crf: float, hardness: float) -> float:
    size: float = (height / 1080) ** 1.6
    halvings: float = 2 ** (-(crf - 18) / 6)
    return hardness * 400_000 * size * halvings


def piece(hardness: float = 1.0, frames: int = 100) -> Piece:
    trials = [
        Trial(height, crf, bits(height, crf, hardness), vmaf(height, crf, hardness))
        for height in (1080, 540, 270)
        for crf in CRFS
    ]
    return Piece(frames, tuple(trials), BEND)


def test_a_cubic_goes_through_its_points_and_straight_on() -> None:
    cubic = Cubic((0, 1, 3), (0, 2, 3))
    assert [cubic.at(x) for x in (0, 1, 3)] == pytest.approx([0, 2, 3])
    assert cubic.at(-1) == pytest.approx(-2)
    assert cubic.at(5) == pytest.approx(4)
    assert Cubic((7,), (4,)).at(99) == 4


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 10)), min_size=2, max_size=8), st.floats(0, 1))
def test_a_cubic_through_rising_points_rises(steps: list[tuple[float, float]], at: float) -> None:
    xs, ys = [0.0], [0.0]
    for across, up in steps:
        xs.append(xs[-1] + across)
        ys.append(ys[-1] + up)
    cubic = Cubic(xs, ys)
    here = at * xs[-1]
    assert cubic.at(here) <= cubic.at(min(xs[-1], here + 0.01)) + 1e-9
    assert -1e-9 <= cubic.at(here) <= ys[-1] + 1e-9


def test_what_was_tried_is_known_exactly_and_what_lies_between_nearly() -> None:
    one = piece()
    for height, crf in ((1080, 18.0), (270, 30.0)):
        assert one.at(height, crf) == pytest.approx((bits(height, crf, 1), vmaf(height, crf, 1)))
    found = one.at(720, 22.0)
    assert found.bits == pytest.approx(bits(720, 22, 1), rel=0.02)
    assert found.vmaf == pytest.approx(vmaf(720, 22, 1), abs=2.5)


@given(st.floats(0, 100))
def test_odds_are_of_one_quality_and_end_at_both_ends_of_the_scale(quality: float) -> None:
    assert vmaf_of(odds_of(quality)) == pytest.approx(quality, abs=1e-6)
    assert vmaf_of(1e9) == 0 and vmaf_of(0) == 100


def test_a_factor_far_beyond_the_trials_is_worse_but_still_a_picture() -> None:
    """A line through what is missing would come to its end at 0 long before the film does."""
    tried = (Trial(216, 21.0, 6000, 72.0), Trial(216, 33.0, 1700, 49.0))
    far = Piece(100, tried, bend_of(21.0, 33.0)).at(216, 38.0)
    assert 30 < far.vmaf < 40


def test_rungs_of_a_film_whose_quality_hardly_falls_are_no_more_than_a_factor_of_two_apart() -> None:
    soft = Piece(100, tuple(trial._replace(vmaf=95 + (trial.vmaf - 95) / 8) for trial in piece().trials), BEND)
    rungs = choose_rungs([soft], HEIGHTS, 24, 1e9, H264)
    assert rungs[0].vmaf - rungs[-1].vmaf < 2 * STEP_VMAF
    octaves = math.log2(rungs[0].bits / rungs[-1].bits)
    assert octaves / (len(rungs) - 1) <= 1.2 * STEP_OCTAVES
    assert len(rungs) == math.ceil(octaves - 0.2) + 1


def test_more_rungs_than_a_film_needs_stand_between_the_same_ends() -> None:
    few, many = (choose_rungs([piece()], HEIGHTS, 24, 1e9, H264, least) for least in (1, 12))
    assert len(few) < 12 and len(many) == 12
    assert many[0] == few[0]
    assert many[-1].vmaf == pytest.approx(few[-1].vmaf)


def test_rungs_stand_at_even_steps_from_the_top_to_what_the_slowest_link_carries() -> None:
    rungs = choose_rungs([piece()], HEIGHTS, 24, 1e9, H264)
    steps = [above.vmaf - below.vmaf for above, below in pairwise(rungs)]
    assert rungs[0].vmaf == pytest.approx(TOP_VMAF, abs=0.01)
    assert max(steps) - min(steps) < 0.02
    assert max(steps) == pytest.approx(STEP_VMAF, abs=STEP_VMAF / 2)
    assert [rung.bits for rung in rungs] == sorted((rung.bits for rung in rungs), reverse=True)
    assert [rung.height for rung in rungs] == sorted((rung.height for rung in rungs), reverse=True)
    assert rungs[-1].bits * 24 == pytest.approx(LOWEST_BPS, rel=0.05)


def test_no_other_size_has_a_rungs_quality_for_fewer_bits() -> None:
    pieces = [piece()]
    largest = HEIGHTS[0]
    for rung in choose_rungs(pieces, HEIGHTS, 24, 1e9, H264):
        for height in (height for height in HEIGHTS if height <= largest):
            crf = crf_for(pieces, height, rung.vmaf, H264)
            assert crf is None or whole(pieces, height, crf).bits >= rung.bits * 0.999
        largest = rung.height


def test_a_film_that_anything_carries_has_one_rung() -> None:
    easy = Piece(100, tuple(trial._replace(bits=trial.bits / 1000) for trial in piece().trials), BEND)
    assert len(choose_rungs([easy], HEIGHTS, 24, 1e9, H264)) == 1
    assert len(choose_rungs([easy], HEIGHTS, 24, 1e9, H264, least=5)) == 1


def missing(pieces: list[Piece], crfs: tuple[float, ...]) -> float:
    """The square of what is missing to perfection, of all frames."""
    return sum(one.frames * (100 - one.at(1080, crf).vmaf) ** 2 for one, crf in zip(pieces, crfs, strict=True))


@given(st.lists(st.tuples(st.floats(0.5, 2.0), st.integers(10, 500)), min_size=1, max_size=8), st.floats(75, 92))
def test_no_single_factor_misses_less_for_fewer_bits_and_no_shot_is_starved(
    shots: list[tuple[float, int]], wanted: float
) -> None:
    pieces = [piece(hardness, frames) for hardness, frames in shots]
    even, factors = crf_for(pieces, 1080, wanted, H264), allot(pieces, 1080, wanted, H264)
    if even is None or factors is None:
        assert even is None and factors is None
        return
    found = whole(pieces, 1080, factors)
    assert found.vmaf >= wanted - 0.01
    worst = min(one.at(1080, even).vmaf for one in pieces)
    assert min(one.at(1080, crf).vmaf for one, crf in zip(pieces, factors, strict=True)) >= worst - 0.5
    for single in (even - step / 4 for step in range(16)):
        if missing(pieces, (single,) * len(pieces)) <= missing(pieces, factors):
            assert whole(pieces, 1080, single).bits >= found.bits * 0.99


def test_a_hard_shot_and_an_easy_one_get_factors_of_their_own() -> None:
    factors = allot([piece(2.0), piece(0.5)], 1080, 88.0, H264)
    assert factors is not None
    assert factors[0] != factors[1]
