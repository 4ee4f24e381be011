"""What each encoder is told. That it does as it is told is in test_every_codec.py."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from encoder.film.colour import Colour, LightLevel
from encoder.video.chunks import Chunk, Plan
from encoder.video.codec import AV1, CODECS, H264, HEVC, Codec
from encoder.video.encoders import arguments
from encoder.video.ladder import Rung, ladder, rung_of
from tests.encoder.film.test_colour import DISPLAY
from tests.encoder.video.test_ladder import source_of

CHUNK = Chunk(3, 250, (50, 25, 25))
PLAN = Plan(Fraction(25), ((50, 25, 25),), 1, by_seek=True, chunks=(CHUNK,))
HDR10 = Colour("bt2020", "smpte2084", "bt2020nc", mastering=DISPLAY, light=LightLevel(1000, 400))


def top(codec: Codec, *, hdr: bool = False) -> Rung:
    colour, pixels = (HDR10, "yuv420p10le") if hdr else (Colour(), "yuv420p")
    return ladder(source_of(colour=colour, pixel_format=pixels), codec)[0]


def told(codec: Codec, *, hdr: bool = False, preset: str = "medium") -> dict[str, str]:
    options = arguments(top(codec, hdr=hdr), PLAN, CHUNK, preset, HDR10 if hdr else Colour())
    return {name: str(value) for name, value in options.items()}


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_keyframes_are_forced_half_a_frame_before_each_segment(codec: Codec) -> None:
    assert told(codec)["force_key_frames"] == "1.980000,2.980000"
    one = Chunk(0, 0, (100,))
    assert arguments(top(codec), PLAN, one, "fast", Colour())["force_key_frames"] == "0"


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_cap_and_preset_are_those_of_the_rung_and_the_settings(codec: Codec) -> None:
    rung = top(codec)
    assert (told(codec)["maxrate"], told(codec)["bufsize"]) == (str(rung.maxrate), str(rung.bufsize))
    assert told(codec, preset="slow")["preset"] == codec.presets["slow"]
    free = rung_of(source_of(), (640, 360), 30.25, name="trial", codec=codec)
    assert "maxrate" not in arguments(free, PLAN, CHUNK, "medium", Colour())


def test_a_shot_has_its_own_factor_in_quarters() -> None:
    of_shot = dataclasses.replace(CHUNK, shot=1)
    for codec, option in ((H264, "crf"), (HEVC, "crf"), (AV1, "svtav1-params")):
        rung = dataclasses.replace(top(codec), shot_crfs=(20, 31.25))
        assert "31.25" in str(arguments(rung, PLAN, of_shot, "medium", Colour())[option])


def test_hdr_goes_into_ten_bit_with_the_display_it_was_graded_on() -> None:
    hevc, av1 = told(HEVC, hdr=True), told(AV1, hdr=True)
    assert hevc["profile:v"] == "main10"
    assert f"master-display={DISPLAY.in_x265}:max-cll=1000,400" in hevc["x265-params"]
    assert f"mastering-display={DISPLAY.in_svt_av1}:content-light=1000,400" in av1["svtav1-params"]


def test_h264_of_an_hdr_film_is_sdr_in_eight_bit() -> None:
    rung = top(H264, hdr=True)
    assert (rung.depth, rung.is_hdr) == (8, False)
    assert "1000" not in told(H264, hdr=True)["x264-params"]


def test_depth_follows_the_film_as_far_as_the_codec_goes() -> None:
    for pixels, depth in (("yuv420p", 8), ("yuv422p10le", 10), ("p010le", 10), ("yuv444p12be", 10), ("rgb48le", 10)):
        source = source_of(pixel_format=pixels)
        assert [ladder(source, codec)[0].depth for codec in CODECS.values()] == [8, depth, depth]


def test_hdr_in_eight_bit_is_not_kept() -> None:
    assert not ladder(source_of(colour=HDR10, pixel_format="yuv420p"), HEVC)[0].is_hdr
