from __future__ import annotations

import dataclasses
import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.encoder import PRESETS
from encoder.video.codec import AV1, CODECS, H264, HEVC, Codec, chosen


def test_h264_is_always_there_and_the_order_asked_for_makes_no_difference() -> None:
    assert chosen(("av1",)) == (H264, AV1)
    assert chosen(("av1", "h264", "hevc", "av1")) == chosen(("hevc", "av1")) == (H264, HEVC, AV1)
    assert chosen(()) == (H264,)


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_a_codec_that_was_sent_to_another_process_is_the_same_one(codec: Codec) -> None:
    assert pickle.loads(pickle.dumps(codec)) is codec


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_every_preset_of_the_settings_means_something_to_every_encoder(codec: Codec) -> None:
    assert set(PRESETS) == set(codec.presets)


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_scale_of_quality_holds_what_is_tried_and_what_the_fixed_ladder_has(codec: Codec) -> None:
    assert list(codec.trial_crfs) == sorted(codec.trial_crfs)
    assert codec.lowest_crf <= codec.trial_crfs[0] <= codec.fixed_crf < codec.trial_crfs[-1] <= codec.highest_crf
    assert codec.crf_step > 0


def test_rungs_of_two_codecs_never_have_one_name() -> None:
    assert [codec.rung_name("v720") for codec in CODECS.values()] == ["v720", "v720-hevc", "v720-av1"]


# As the standards' own examples have them: H.264 Table A-6, H.265 Table A.10, AV1 Annex A.3 ("Typical").
@pytest.mark.parametrize(
    ("codec", "size", "rate", "bps", "level"),
    [
        (H264, (1920, 1080), 30, 6_000_000, "4.0"),
        (H264, (1080, 1920), 30, 6_000_000, "4.0"),
        (H264, (1280, 720), 30, 3_000_000, "3.1"),
        (H264, (1280, 720), 60, 3_000_000, "3.2"),
        (H264, (3840, 2160), 30, 20_000_000, "5.1"),
        (HEVC, (1920, 1080), 30, 6_000_000, "4.0"),
        (HEVC, (1920, 1080), 60, 6_000_000, "4.1"),
        (HEVC, (1920, 1080), 30, 12_000_001, "4.1"),
        (HEVC, (960, 540), 30, 2_000_000, "3.0"),
        (HEVC, (3840, 2160), 60, 20_000_000, "5.1"),
        (AV1, (1920, 1080), 30, 6_000_000, "4.0"),
        (AV1, (1920, 1080), 60, 6_000_000, "4.1"),
        (AV1, (1280, 720), 30, 3_000_000, "3.1"),
        (AV1, (426, 240), 30, 300_000, "2.0"),
        (AV1, (3840, 2160), 60, 20_000_000, "5.1"),
    ],
)
def test_level_is_the_lowest_that_allows_it(
    codec: Codec, size: tuple[int, int], rate: int, bps: int, level: str
) -> None:
    assert codec.level(*size, Fraction(rate), bps) == level


@given(
    st.sampled_from(list(CODECS.values())),
    st.integers(16, 3840),
    st.integers(16, 2160),
    st.sampled_from([Fraction(24), Fraction(60)]),
    st.integers(50_000, 50_000_000),
)
def test_more_never_needs_a_lower_level(codec: Codec, width: int, height: int, rate: Fraction, bps: int) -> None:
    names = [level.name for level in codec.levels]
    level = names.index(codec.level(width, height, rate, bps))
    assert names.index(codec.level(width * 2, height, rate, bps)) >= level
    assert names.index(codec.level(width, height, rate * 2, bps)) >= level
    assert names.index(codec.level(width, height, rate, bps * 2)) >= level


def test_levels_are_listed_from_the_lowest() -> None:
    for codec in CODECS.values():
        for one in dataclasses.fields(codec):
            assert getattr(codec, one.name) not in (None, "")
        assert [level.samples for level in codec.levels] == sorted(level.samples for level in codec.levels)
