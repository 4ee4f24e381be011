from __future__ import annotations

from pathlib import Path

import pytest

from encoder.running.arguments import short_arguments
from encoder.running.process import Tools
from tests.encoder.conftest import Film, pattern


def test_long_value_is_read_from_a_file_that_does_not_stay(tmp_path: Path) -> None:
    long = "1" * 200_000
    with short_arguments(["-i", "a.mkv", "-force_key_frames", long, "b.mp4"], tmp_path) as short:
        option, name = short[2:4]
        assert (short[:2], option, short[4]) == (["-i", "a.mkv"], "-/force_key_frames", "b.mp4")
        assert (tmp_path / name).read_text() == long
    assert not list(tmp_path.iterdir())


def test_file_does_not_stay_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), short_arguments(["-x", "y" * 20_000], tmp_path):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_ffmpeg_takes_the_keyframes_of_ten_hours(film: Film, tools: Tools, tmp_path: Path) -> None:
    source = film("tiny.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=0.4), "-c:v", "libx264", "-preset",
                  "ultrafast")  # fmt: skip
    times = ",".join(f"{number * 0.2 - 0.02:.6f}" for number in range(1, 20_000))
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "keyint=infinite:scenecut=0"]
    tools.ffmpeg(["-i", str(source), *x264, "-force_key_frames", times, "out.mp4"], cwd=tmp_path)
    flags = tools.ffprobe(["-v", "error", "-show_entries", "packet=flags", "-of", "csv=p=0", str(tmp_path / "out.mp4")])
    assert [line[0] for line in flags.split()] == ["K", *"____", "K", *"____"]
