"""Small films of every awkward kind, made by ffmpeg once per test run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.running.process import Tools, ffmpeg_path

CLIP = Path(__file__).parents[2] / "bench/clips/big-buck-bunny.mp4"

# A film whose frame N is one shade of grey that no frame near it has, so that a decoded picture tells its number.
GREY_STEP, GREY_COUNT = 6, 34
Film: TypeAlias = Callable[..., Path]


def grey_frames(size: str, rate: str, seconds: float) -> str:
    shade = f"20+{GREY_STEP}*mod(N\\,{GREY_COUNT})"
    return f"nullsrc=s={size}:r={rate}:d={seconds},geq=lum='{shade}':cb=128:cr=128,format=yuv420p"


def pattern(size: str = "320x180", rate: str = "25", seconds: float = 3) -> str:
    return f"testsrc2=s={size}:r={rate}:d={seconds},format=yuv420p"


def run_ffmpeg(*arguments: str) -> bytes:
    command = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def decode_greys(file: Path | str, *before: str) -> list[int]:
    """The mean luma of each frame, as ffmpeg decodes the file."""
    raw = run_ffmpeg(*before, "-i", str(file), "-vf", "scale=2:2:flags=area,format=yuv420p",
                     "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1")  # fmt: skip
    # Two by two pixels of 4:2:0 are four bytes of luma and one of each chroma.
    return [sum(raw[at : at + 4]) // 4 for at in range(0, len(raw), 6)]


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Makes a film: `film("name.mkv", *ffmpeg arguments)`; the same name is made once."""
    folder = tmp_path_factory.mktemp("films")

    def make(name: str, *arguments: str) -> Path:
        path = folder / name
        if not path.exists():
            run_ffmpeg(*arguments, str(path))
        return path

    return make


@pytest.fixture(scope="session")
def grey_film(film: Film) -> Path:
    """80 numbered frames at 20 frames/s with sound that begins with them."""
    return film(
        "grey.mp4", "-f", "lavfi", "-i", grey_frames("160x90", "20", 4), "-f", "lavfi", "-i", "sine=d=4",
        "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "13", "-c:a", "aac",
    )  # fmt: skip


@pytest.fixture
def tools() -> Iterator[Tools]:
    with Tools() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> EncoderSettings:
    """Fast, and with segments and chunks short enough that a film of seconds has several."""
    return EncoderSettings(
        work=tmp_path / "work",
        ladder="fixed",
        preset="ultrafast",
        segment_duration=1.0,
        chunk_duration=1.0,
        min_free_space=0,
        workers="2",
    )


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(quiet=True)
