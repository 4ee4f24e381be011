"""Chunks of real films begin where they should, whatever the containers make of a seek."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoder.film.probe import film_url, read_film
from encoder.film.source import Source
from encoder.running.process import Tools
from encoder.video.chunks import Chunk, Plan, plan_chunks, seek_time
from encoder.video.ladder import ladder
from encoder.video.units import chunk_encode
from tests.encoder.conftest import GREY_COUNT, GREY_STEP, Film, decode_greys, grey_frames

KEYFRAME = 24
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params")
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-x264-params")
CODECS = {
    "x265.mp4": (*X265, f"bframes=3:keyint={KEYFRAME}:min-keyint={KEYFRAME}:open-gop=1:scenecut=0:log-level=error"),
    "x264.mp4": (*X264, f"bframes=3:b-adapt=0:keyint={KEYFRAME}:open-gop=1:scenecut=0"),
    "x264.mkv": (*X264, f"bframes=3:b-adapt=0:keyint={KEYFRAME}:scenecut=0"),
    "each-is-a-keyframe.mkv": ("-c:v", "ffv1", "-g", "1"),
}


@pytest.fixture(params=list(CODECS))
def path(request: pytest.FixtureRequest, film: Film) -> Path:
    name: str = request.param
    return film(f"keyframes-{name}", "-f", "lavfi", "-i", grey_frames("96x64", "24", 3), *CODECS[name])


def plan_at(source: Source, first: int) -> tuple[Plan, Chunk]:
    plan, chunk = plan_chunks(source, 1, 1, keyframes=source.keyframes), Chunk(0, first, (5,))
    return plan.only(chunk), chunk


def shade(frame: int) -> int:
    return 20 + GREY_STEP * (frame % GREY_COUNT)


def test_a_chunk_has_its_frames_wherever_it_begins(path: Path, tools: Tools, tmp_path: Path) -> None:
    source = read_film(tools, path)
    for first in (0, 1, *range(KEYFRAME - 4, KEYFRAME + 3), 2 * KEYFRAME - 1, 2 * KEYFRAME):
        plan, chunk = plan_at(source, first)
        chunk_encode(source, plan, ladder(source)[:1], chunk, "ultrafast").make(
            tools, film_url(path), tmp_path, lambda seconds: None
        )
        found = decode_greys(next(tmp_path.glob("*.mp4")))
        assert [round(value - shade(first + at)) // 2 for at, value in enumerate(found)] == [0] * 5, first


def test_nothing_is_decoded_before_a_chunk_that_begins_with_a_keyframe(path: Path, tools: Tools) -> None:
    source = read_film(tools, path)
    plan, chunk = plan_at(source, 2 * KEYFRAME)
    seek = f"{float(seek_time(source, plan, chunk)):.6f}"
    decoded = decode_greys(path, "-seek_timestamp", "1", "-noaccurate_seek", "-ss", seek)
    assert abs(decoded[0] - shade(2 * KEYFRAME - ("each" in path.name))) <= 2
