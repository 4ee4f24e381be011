"""A tiny film of three shots, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.encoder import EncoderSettings
from encoder.running.process import Tools
from tests.encoder.conftest import run_ffmpeg


@pytest.fixture(scope="session")
def small_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of 320x180 at 25 frames/s."""
    path = tmp_path_factory.mktemp("bench-encode") / "small.mkv"
    source = "testsrc2=s=320x180:r=25:d=3,format=yuv420p"
    run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", str(path))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> EncoderSettings:
    return EncoderSettings(
        work=tmp_path / "work", preset="ultrafast", ladder="fixed", segment_duration=1.0, chunk_duration=1.0,
        min_free_space=0, workers="2",
    )  # fmt: skip


@pytest.fixture
def tools() -> Iterator[Tools]:
    with Tools() as running:
        yield running
