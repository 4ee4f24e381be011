"""Who encodes what: rungs that fit the film, keyframes where they are asked for, and plain films for all."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest

from bench.encode.chunking import chunking
from bench.encode.kills import kill_often
from bench.encode.master import Limits, master
from bench.encode.memory import PeakMemory
from bench.encode.shaka import shaka
from bench.encode.subjects import apple_rungs, fixed, keyframe_arguments
from config.encoder import EncoderSettings
from encoder.film.probe import read_film
from encoder.running.process import Tools
from tests.encoder.conftest import run_ffmpeg
from tests.tools import missing


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), [234, 360, 432, 432, 540, 720, 720, 1080, 1080]),
        ((640, 360), [234, 360]),
        ((640, 272), [176, 272]),  # wide: as wide as the box
        ((360, 640), [416, 640]),  # on end
        ((160, 90), [90]),  # smaller than any: its own size
    ],
)
def test_apples_rungs_fit_the_film_and_keep_its_shape(size: tuple[int, int], expected: list[int]) -> None:
    rungs = apple_rungs(*size)
    assert [height for _, height, _ in rungs] == expected
    assert all(abs(width / height - size[0] / size[1]) < 0.02 for width, height, _ in rungs)


def test_keyframes_are_asked_for_half_a_frame_early() -> None:
    assert keyframe_arguments((0, 25, 40), Fraction(25))[1] == "0.980000,1.580000"
    assert keyframe_arguments((0,), Fraction(25))[1] == "0"


def test_a_plain_clip_is_taken_as_it_is(small_film: Path, tools: Tools, tmp_path: Path) -> None:
    assert master(tools, small_film, read_film(tools, small_film), tmp_path, Limits()) == (small_film, [])


def test_an_odd_clip_becomes_a_plain_one_and_that_is_said(tools: Tools, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mov"
    source = "testsrc2=s=121x201:r=25:d=2,format=yuv444p"
    run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", str(odd))
    path, notes = master(tools, odd, read_film(tools, odd), tmp_path, Limits(seconds=1, lines=90))
    video = read_film(tools, path).video
    assert (video.width, video.height, video.frames, video.pixel_format) == (90, 148, 25, "yuv420p")
    assert [note for note in notes if "odd sides" in note] and [note for note in notes if "first 1 s" in note]


def test_fixed_rungs_have_keyframes_where_they_are_asked_for(small_film: Path, tools: Tools, tmp_path: Path) -> None:
    source = read_film(tools, small_film)
    made = fixed(small_film, source, tmp_path, "ultrafast", tools, keyframes=(0, 30, 50))
    entries = ["-v", "error", "-select_streams", "v", "-show_entries", "packet=flags", "-of", "csv=p=0"]
    flags = tools.ffprobe([*entries, str(made.rungs[0].file)]).split()
    assert [at for at, flag in enumerate(flags) if flag.startswith("K")] == [0, 30, 50]


def test_a_rung_that_two_passes_cannot_make_is_made_in_one(tools: Tools, tmp_path: Path) -> None:
    clip = tmp_path / "one.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25,format=yuv420p", "-frames:v", "1", str(clip))
    made = fixed(clip, read_film(tools, clip), tmp_path, "veryfast", tools)
    assert [rung.name for rung in made.rungs] == ["180-145-one-pass"]


def test_chunking_compares_the_same_ladder(small_film: Path, tmp_path: Path, settings: EncoderSettings) -> None:
    found = chunking(small_film, 3.0, tmp_path, settings)
    assert found is not None and found.chunks == 3
    assert -0.2 < found.size < 0.5
    assert chunking(small_film, 1.5, tmp_path, settings) is None


def test_what_is_killed_comes_to_the_same_package(small_film: Path, tmp_path: Path, settings: EncoderSettings) -> None:
    found = kill_often(small_film, tmp_path, settings, times=1)
    assert found == (1, True, 0)


def test_shaka_streamer_makes_a_ladder_of_short_segments(small_film: Path, tools: Tools, tmp_path: Path) -> None:
    if not (Path(sys.executable).parent / "shaka-streamer").exists():
        missing("shaka-streamer", "pip install -r requirements-test.txt")
    made = shaka(small_film, read_film(tools, small_film), tmp_path, tools)
    assert made.rungs and made.longest_segment_s <= 4.05 and made.cpu_s > 0
    assert [rung.bps for rung in made.rungs] == sorted((rung.bps for rung in made.rungs), reverse=True)


def test_memory_of_what_we_start_is_counted(tools: Tools) -> None:
    with PeakMemory() as memory:
        run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=4", "-c:v", "libx264", "-f", "null", "-")
    assert memory.size > 10 * 2**20
