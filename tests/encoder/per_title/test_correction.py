"""Rungs brought to what was asked of them, on films whose true quality is known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.per_title.correction import Encoded, Expected, ahead, by_shot, corrected, missed, steered, waves
from encoder.per_title.curves import Piece
from encoder.per_title.quality import floor
from encoder.per_title.trials import Sample
from encoder.video.chunks import Chunk, plan_chunks
from encoder.video.codec import H264
from encoder.video.ladder import Rung, rung_of
from tests.encoder.per_title.test_hull import piece
from tests.encoder.video.test_ladder import source_of

SHOTS = 6
FRAMES = 100


def film(hardness: list[float]) -> tuple[Piece, ...]:
    return tuple(piece(hard, FRAMES) for hard in hardness)


def expected_of(pieces: tuple[Piece, ...], tried: range, *, whole_shots: bool = True) -> Expected:
    frames = FRAMES if whole_shots else FRAMES // 4
    samples = tuple(Sample(shot, Chunk(shot, shot * FRAMES, (frames,), shot), FRAMES, FRAMES) for shot in tried)
    return Expected(tuple(pieces[shot] for shot in tried), samples, ((FRAMES,),) * len(pieces))


def rung_at(crf: float, vmaf: float, shots: int = SHOTS) -> Rung:
    return replace(rung_of(source_of(), (1920, 1080), crf, name="v1080", vmaf=vmaf), shot_crfs=(crf,) * shots)


def encode(truth: tuple[Piece, ...], rung: Rung, shots: range) -> list[Encoded]:
    crfs = {shot: rung.crf_of(shot) for shot in shots}
    found = {shot: truth[shot].at(1080, crf) for shot, crf in crfs.items()}
    return [Encoded(shot, FRAMES, crfs[shot], point.vmaf, point.bits, False) for shot, point in found.items()]


def test_waves_have_whole_shots_and_the_first_are_from_all_over_the_film() -> None:
    plan = plan_chunks(source_of(frame_rate=Fraction(25), frames=1000), 4, 4, [100, 300, 500, 700]).by_shot(4)
    found = waves(plan.chunks)
    assert sorted((chunk for wave in found for chunk in wave), key=lambda chunk: chunk.first) == list(plan.chunks)
    assert [{chunk.shot for chunk in wave} for wave in found] == [{0}, {5}, {2}, {4}, {1}, {3}]


def test_a_long_film_has_waves_of_several_shots_that_are_spread_over_it() -> None:
    chunks = [Chunk(at, at * 10, (10,), at) for at in range(1000)]
    found = waves(chunks)
    assert len(found) == 24
    assert {len(wave) for wave in found} == {41, 42}
    shots = sorted(chunk.number for wave in found[:8] for chunk in wave)
    assert max(after - before for before, after in pairwise(shots)) <= 5


def test_a_film_in_one_chunk_is_one_wave() -> None:
    assert len(waves(plan_chunks(source_of(frames=50), 4, 4).by_shot(4).chunks)) == 1
    assert len(waves(plan_chunks(source_of(frames=500), 4, 4).whole().chunks)) == 1


@given(st.integers(1, 24))
def test_a_third_of_the_waves_is_under_way_at_once(count: int) -> None:
    assert count / 3 <= ahead(count) < count / 3 + 1


def in_waves(truth: tuple[Piece, ...], rung: Rung, expected: Expected) -> list[Encoded]:
    found: list[list[Encoded]] = []
    shots = [[chunk.shot or 0 for chunk in wave] for wave in waves([Chunk(at, at, (1,), at) for at in range(SHOTS)])]
    for at, wave in enumerate(shots):
        known = [one for those in found[: max(0, at - ahead(len(shots)) + 1)] for one in those]
        if known:
            begun = {one.shot or 0 for those in found for one in those} - {one.shot or 0 for one in known}
            rung = steered(rung, wave, known, begun, expected)
        found.append([one for shot in wave for one in encode(truth, rung, range(shot, shot + 1))])
    return sorted((one for those in found for one in those), key=lambda one: one.shot or 0)


@given(st.lists(st.floats(0.6, 1.6), min_size=SHOTS, max_size=SHOTS), st.floats(0.8, 1.25))
def test_a_film_that_is_harder_or_easier_than_its_trials_has_what_was_asked_after_its_last_wave(
    hardness: list[float], error: float
) -> None:
    expected, truth = expected_of(film(hardness), range(SHOTS)), film([hard * error for hard in hardness])
    rung = rung_at(26.0, 0.0)
    rung = replace(rung, vmaf=sum(expected.vmaf(rung, shot, 26.0) for shot in range(SHOTS)) / SHOTS)
    found = in_waves(truth, rung, expected)
    assert abs(missed(rung, found)) < 0.6
    other = corrected(rung, found, expected)
    if other is not None:
        assert abs(missed(other, encode(truth, other, range(SHOTS)))) < 0.05


def test_only_the_shots_of_a_wave_are_moved_and_none_far() -> None:
    pieces = film([1.0] * SHOTS)
    rung = steered(
        rung_at(26.0, 91.0),
        [1, 2],
        [Encoded(0, FRAMES, 26.0, 80.0, 1e5, False)],
        [3],
        expected_of(pieces, range(SHOTS)),
    )
    assert [rung.crf_of(shot) for shot in range(SHOTS)] == [26.0, 22.0, 22.0, 26.0, 26.0, 26.0]


def test_what_is_under_way_counts_as_it_is_expected() -> None:
    pieces = film([1.0] * SHOTS)
    expected, known = expected_of(pieces, range(SHOTS)), 26.0
    rung = rung_at(known, pieces[0].at(1080, known).vmaf)
    found = encode(pieces, rung, range(1))
    alike = steered(rung, [5], found, [1, 2], expected)
    assert alike.crf_of(5) == pytest.approx(known, abs=0.03)
    better = replace(rung, shot_crfs=(known, known - 2, known - 2, *rung.shot_crfs[3:]))
    assert steered(better, [5], found, [1, 2], expected).crf_of(5) > known + 0.5


def test_a_rung_that_has_what_was_asked_is_left_alone() -> None:
    pieces = film([1.0] * SHOTS)
    rung = rung_at(26.0, pieces[0].at(1080, 26.0).vmaf + 0.2)
    assert corrected(rung, encode(pieces, rung, range(SHOTS)), expected_of(pieces, range(SHOTS))) is None


def test_as_few_shots_as_can_bear_it_are_encoded_again() -> None:
    pieces = film([1.0] * SHOTS)
    rung = rung_at(26.0, pieces[0].at(1080, 26.0).vmaf)
    found = encode(pieces, rung, range(SHOTS))
    found[4] = replace(found[4], vmaf=found[4].vmaf - 3.0)
    other = corrected(rung, found, expected_of(pieces, range(SHOTS)))
    assert other is not None
    # Half a point of the film's mean is three of one shot's, more than one is moved by.
    assert [shot for shot in range(SHOTS) if other.crf_of(shot) != 26.0] == [0, 4]
    assert other.crf_of(4) < 26.0


def test_a_shot_that_was_not_tried_and_is_worse_than_all_that_were_gets_a_lower_factor() -> None:
    expected, truth = expected_of(film([1.0] * SHOTS), range(SHOTS - 1)), film([1.0] * (SHOTS - 1) + [2.5])
    rung = rung_at(26.0, 0.0)
    found = encode(truth, rung, range(SHOTS))
    rung = replace(rung, vmaf=sum(one.vmaf for one in found) / SHOTS)
    other = corrected(rung, found, expected)
    assert other is not None
    assert [shot for shot in range(SHOTS) if other.crf_of(shot) != 26.0] == [SHOTS - 1]
    last = encode(truth, other, range(SHOTS))[-1]
    assert last.vmaf >= expected.least(other, last) - 1.0


def test_a_shot_that_has_all_the_bits_of_its_cap_is_as_good_as_it_can_be() -> None:
    expected, truth = expected_of(film([1.0] * SHOTS), range(SHOTS - 1)), film([1.0] * (SHOTS - 1) + [2.5])
    rung = rung_at(26.0, 0.0)
    found = encode(truth, rung, range(SHOTS))
    found[-1] = replace(found[-1], is_capped=True)
    assert corrected(replace(rung, vmaf=sum(one.vmaf for one in found) / SHOTS), found, expected) is None


def test_a_known_shot_must_have_what_its_trials_let_expect_of_its_factor_or_of_the_bits_of_its_cap() -> None:
    pieces = film([1.0] * SHOTS)
    expected, rung = expected_of(pieces, range(SHOTS)), rung_at(20.0, 90.0)
    usual, poor = pieces[0].at(1080, 20.0), pieces[0].at(1080, 28.0)
    assert expected.least(rung, Encoded(0, FRAMES, 20.0, 0.0, usual.bits, False)) == pytest.approx(floor(usual.vmaf))
    assert expected.least(rung, Encoded(0, FRAMES, 20.0, 0.0, poor.bits, True)) == pytest.approx(
        floor(poor.vmaf), abs=0.01
    )


def test_a_shot_of_which_little_was_tried_is_not_known() -> None:
    pieces = film([1.0] * SHOTS)
    assert expected_of(pieces, range(SHOTS)).is_known(0)
    assert not expected_of(pieces, range(SHOTS), whole_shots=False).is_known(0)
    assert not expected_of(pieces, range(SHOTS)).is_known(None)


def test_a_film_in_one_chunk_is_moved_as_a_whole() -> None:
    pieces = film([1.0])
    rung = rung_at(26.0, 90.0, shots=1)
    other = corrected(rung, [Encoded(None, FRAMES, 26.0, 80.0, 1e5, False)], expected_of(pieces, range(1)))
    assert other is not None
    assert other.crf < 24.0
    assert other.crf >= H264.lowest_crf


def test_chunks_of_one_shot_count_by_their_frames() -> None:
    chunks = [
        Encoded(3, 30, 26.0, 90.0, 4000.0, False),
        Encoded(3, 10, 26.0, 50.0, 8000.0, True),
        Encoded(4, 5, 20.0, 10.0, 1.0, False),
    ]
    assert by_shot(chunks) == [Encoded(3, 40, 26.0, 80.0, 5000.0, True), Encoded(4, 5, 20.0, 10.0, 1.0, False)]
