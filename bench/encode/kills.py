"""An encode that is killed again and again at random instants, and what it comes to in the end."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench.encode.memory import family
from bench.errors import BenchError
from config.encoder import EncoderSettings

# The kernel ends what a killed process had started; that takes a moment.
_WAIT_S = 10.0
# Python itself has begun by then.
_SOONEST_S = 0.3


class Kills(NamedTuple):
    killed: int
    is_same: bool  # the package of the encode that was never killed
    left: int  # processes that outlived a kill


def kill_often(clip: Path, folder: Path, settings: EncoderSettings, times: int, seed: int = 1) -> Kills:
    """Kills an encode `times` times with SIGKILL, then lets it end. Raises BenchError if it fails by itself."""
    began = time.monotonic()
    undisturbed = folder / "undisturbed"
    argv = _argv(clip, undisturbed, settings)
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    wanted = _package(ended.returncode, ended.stderr, undisturbed)
    lasts_s = time.monotonic() - began
    chance, killed, left, is_same = random.Random(seed), 0, 0, True
    place = folder / "killed"
    argv = _argv(clip, place, settings)
    while killed < times:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=chance.uniform(_SOONEST_S, lasts_s))
        except subprocess.TimeoutExpired:
            below = [pid for pid in family(process.pid) if pid != process.pid]
            process.kill()
            process.communicate()
            killed += 1
            left += _outliving(below)
        else:
            # It came to its end between two kills; the next ones are for another.
            is_same &= _package(process.returncode, said, place) == wanted
            shutil.rmtree(place)
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    is_same &= _package(ended.returncode, ended.stderr, place) == wanted
    return Kills(killed, is_same, left)


def _package(code: int, said: str, place: Path) -> str:
    """The name of the package."""
    if code:
        raise BenchError(f"the encode that was killed cannot be resumed: {said.strip()[-300:]}")
    return next(path.name for path in (place / "out" / "clip").iterdir() if path.is_dir())


def _argv(clip: Path, place: Path, settings: EncoderSettings) -> list[str]:
    given = {
        "title": "clip", "out": place / "out", "work": place / "work",
        "ladder": settings.ladder, "preset": settings.preset,
        "segment-duration": f"{settings.segment_duration:g}s", "chunk-duration": f"{settings.chunk_duration:g}s",
    }  # fmt: skip
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "encoder", str(clip), *flags, "--quiet"]


def _outliving(pids: list[int]) -> int:
    """How many of them are there still when the kernel had the time to end them."""
    deadline = time.monotonic() + _WAIT_S
    while (alive := [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(alive)
