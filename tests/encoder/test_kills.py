"""An encode that is killed at chance instants goes on where it was, and leaves nothing behind that runs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.encoder.conftest import pattern, run_ffmpeg
from tests.waiting import until

KILLS = 4


def start(film: Path, folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "encoder", str(film), "--title", "film", "--out", str(folder / "out"),
        "--work", str(folder / "work"), "--quiet", "--json", "--ladder", "per-title", "--preset", "ultrafast",
        "--segment-duration", "1s", "--chunk-duration", "1s", "--min-free-space", "0",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """The package: its name is the digest of what it holds."""
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    return str(json.loads(said)["package"])


def is_read(film: Path) -> bool:
    """True if a process has the film in its command line as ffmpeg has it."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"file:{film}".encode() in path.read_bytes():
                return True
        except OSError:
            continue  # it has ended since
    return False


async def test_encode_that_is_killed_again_and_again_ends_in_the_same_bytes_and_leaves_no_tool(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    run_ffmpeg("-f", "lavfi", "-i", pattern("160x90", "25", 2), "-c:v", "libx264", "-preset", "ultrafast", str(film))
    began = time.monotonic()
    expected = finish(start(film, tmp_path / "undisturbed"))
    lasts_s, chance = time.monotonic() - began, random.Random(1)
    ended: list[str] = []
    for at in range(KILLS):
        # An encode that has come to its end is followed by one from the start; the first kill is surely before that.
        process = start(film, tmp_path / f"disturbed {len(ended)}")
        try:
            process.wait(chance.uniform(0.2, 0.9 if not at else 1.0) * lasts_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            await until(lambda: not is_read(film))
        else:
            ended.append(finish(process))
    ended.append(finish(start(film, tmp_path / f"disturbed {len(ended)}")))
    assert set(ended) == {expected}
