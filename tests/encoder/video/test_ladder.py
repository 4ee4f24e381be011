from __future__ import annotations

import dataclasses
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.film.colour import Colour
from encoder.film.source import Source, VideoStream
from encoder.video.codec import AV1, CODECS, H264
from encoder.video.ladder import display_size, fits, jobs, ladder, output_rate

VIDEO = VideoStream(
    index=0, codec="h264", width=1920, height=1080, sample_aspect=Fraction(1), rotation=0, interlaced=False,
    pixel_format="yuv420p", colour=Colour(), frame_rate=Fraction(24), is_constant=True, frames=240, start=Fraction(0),
)  # fmt: skip


def source_of(**changes: object) -> Source:
    return Source("matroska,webm", dataclasses.replace(VIDEO, **changes), (), (), ())  # type: ignore[arg-type]


def sizes(**changes: object) -> list[tuple[int, int]]:
    return [(rung.width, rung.height) for rung in ladder(source_of(**changes))]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), [(1920, 1080), (1280, 720), (960, 540), (640, 360), (416, 234)]),
        ((1280, 720), [(1280, 720), (960, 540), (640, 360), (416, 234)]),
        ((854, 480), [(854, 480), (640, 360), (416, 234)]),
        ((1024, 576), [(1024, 576), (640, 360), (416, 234)]),  # 540 is too near to 576
        ((1920, 804), [(1920, 804), (1280, 536), (960, 402), (640, 268), (416, 174)]),
        ((1080, 1920), [(1080, 1920), (720, 1280), (540, 960), (360, 640), (234, 416)]),
        ((333, 187), [(332, 186)]),
        ((64, 48), [(64, 48)]),
        ((7680, 4320), [(3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (960, 540), (640, 360), (416, 234)]),
        ((8000, 16), [(3840, 8)]),
    ],
)
def test_ladder_fits_the_film(size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert sizes(width=size[0], height=size[1]) == expected


films = st.builds(
    source_of,
    width=st.integers(16, 8000),
    height=st.integers(16, 4500),
    sample_aspect=st.fractions(Fraction(1, 3), Fraction(3), max_denominator=100),
    rotation=st.sampled_from([0, 90, 180, 270]),
    frame_rate=st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(120)]),
)


@given(films)
def test_rungs_are_even_descending_and_never_larger_than_the_film(source: Source) -> None:
    rungs = ladder(source)
    width, height = display_size(source.video)
    assert rungs and len({rung.name for rung in rungs}) == len(rungs)
    for rung in rungs:
        assert rung.width % 2 == rung.height % 2 == 0
        assert 2 <= rung.width <= width and 2 <= rung.height <= height
    for above, below in pairwise(rungs):
        assert below.height <= 0.8 * above.height
        assert below.maxrate <= above.maxrate


@given(films)
def test_shape_is_kept_to_the_pixel(source: Source) -> None:
    width, height = display_size(source.video)
    for rung in ladder(source):
        scale = min(rung.width / width, rung.height / height)
        assert abs(rung.width - width * scale) <= 2 * max(1, width / height)
        assert abs(rung.height - height * scale) <= 2 * max(1, height / width)


def test_pixels_become_square_by_stretching_and_rotation_comes_after() -> None:
    dvd = dataclasses.replace(VIDEO, width=720, height=576, sample_aspect=Fraction(64, 45))
    assert display_size(dvd) == (1024, 576)
    assert display_size(dataclasses.replace(dvd, rotation=90)) == (576, 1024)
    assert display_size(dataclasses.replace(dvd, sample_aspect=Fraction(8, 9))) == (720, 648)


@pytest.mark.parametrize(
    ("rate", "expected"), [("24000/1001", "24000/1001"), ("60", "60"), ("100", "50"), ("240", "60")]
)
def test_rates_above_60_are_halved(rate: str, expected: str) -> None:
    assert output_rate(Fraction(rate)) == Fraction(expected)


# Macroblocks a second and a frame, and bit/s of High profile, from H.264 Table A-1.
LIMITS = {"3.1": (108_000, 3_600, 17_500_000), "4.0": (245_760, 8_192, 25_000_000), "5.2": (2_073_600, 36_864, 3e8)}


@pytest.mark.parametrize(
    ("size", "rate", "level"), [((1280, 720), 24, "3.1"), ((1920, 1080), 24, "4.0"), ((3840, 2160), 60, "5.2")]
)
def test_level_is_the_lowest_that_allows_the_rung(size: tuple[int, int], rate: int, level: str) -> None:
    rung = ladder(source_of(width=size[0], height=size[1], frame_rate=Fraction(rate)))[0]
    per_second, per_frame, bits = LIMITS[level]
    blocks = -(-size[0] // 16) * -(-size[1] // 16)
    assert rung.level == level
    assert blocks <= per_frame and blocks * rate <= per_second and rung.maxrate <= bits


def test_caps_follow_apples_guide() -> None:
    caps = {rung.height: rung.maxrate for rung in ladder(source_of())}
    assert caps[1080] == 6_000_000
    assert 3_000_000 <= caps[720] <= 4_500_000 and 1_600_000 <= caps[540] <= 2_400_000


def test_codecs_share_a_job_as_long_as_their_pictures_are_not_too_large() -> None:
    for size, count in ((source_of(), 1), (source_of(width=1080, height=1920), 1), (source_of(width=2560), 2)):
        rungs = [rung for codec in (H264, AV1) for rung in ladder(size, codec)]
        assert len(jobs(rungs)) == count
        assert [rung for job in jobs(rungs) for rung in job] == rungs


def test_better_codecs_get_lower_caps_at_the_same_sizes() -> None:
    plain, hevc, av1 = (ladder(source_of(), codec) for codec in CODECS.values())
    assert [(rung.width, rung.height) for rung in av1] == [(rung.width, rung.height) for rung in plain]
    assert all(a.maxrate < h.maxrate < p.maxrate for a, h, p in zip(av1, hevc, plain, strict=True))
    names = [rung.name for rung in (*plain, *hevc, *av1)]
    assert len(set(names)) == len(names)


def test_film_may_be_too_small_for_a_codec() -> None:
    sliver = source_of(width=8000, height=16)  # 3840x8
    assert [fits(sliver, codec) for codec in CODECS.values()] == [True, False, False]
    assert all(fits(source_of(width=16, height=16), codec) for codec in CODECS.values())


def test_name_of_a_rung_is_its_height() -> None:
    assert [rung.name for rung in ladder(source_of(width=640, height=360))] == ["v360", "v234"]
