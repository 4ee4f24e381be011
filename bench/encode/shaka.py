"""The peer: shaka-streamer, as its users run it, but with segments that are as short as ours.

It encodes to fixed bitrates with x264's preset slow and no cap, whatever is asked for. A keyframe stands where x264
sees a cut and after at most its segment size, and its packager cuts at the first keyframe after that: segments get up
to twice as long as was asked for. So it is asked for 4 s, and where they turn out longer for 3 and then for 2, which
cannot.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import deque
from pathlib import Path

from bench.encode.memory import PeakMemory
from bench.encode.subjects import Made, Rung
from bench.errors import BenchError
from encoder.errors import ToolError
from encoder.film.probe import read_film
from encoder.film.source import Source
from encoder.packages.renditions import read_index
from encoder.report.costs import cpu_s
from encoder.running.process import Tools

SUBJECT = "shaka-streamer"
_LONGEST_S = 4.0
_ASKED_S = (4, 3, 2)


def shaka(clip: Path, source: Source, folder: Path, tools: Tools) -> Made:
    """Its ladder of the clip's pictures. Raises BenchError where it is not installed, or fails."""
    command = shutil.which("shaka-streamer", path=str(Path(sys.executable).parent)) or shutil.which("shaka-streamer")
    if command is None:
        raise BenchError("shaka-streamer is not here; pip install 'nearcast[bench]'")
    for asked_s in _ASKED_S:
        made = _run(command, clip, source, folder / f"shaka-{asked_s}", tools, asked_s)
        if made.longest_segment_s <= _LONGEST_S + 0.05:
            return made
    raise BenchError(f"shaka-streamer made segments of {made.longest_segment_s:.2f} s where 2 s were asked for")


def _run(command: str, clip: Path, source: Source, folder: Path, tools: Tools, asked_s: int) -> Made:
    folder.mkdir(parents=True)
    # Its configuration is YAML, and JSON is YAML.
    (folder / "input.json").write_text(json.dumps({"inputs": [{"name": str(clip.resolve()), "media_type": "video"}]}))
    pipeline = {
        "streaming_mode": "vod",
        "video_codecs": ["h264"],
        "manifest_format": ["dash"],
        "segment_size": asked_s,
        "segment_per_file": False,
        "quiet": True,
    }
    (folder / "pipeline.json").write_text(json.dumps(pipeline))
    argv = [sys.executable, command, "-i", "input.json", "-p", "pipeline.json", "-o", "out", "--skip-deps-check"]
    before = cpu_s()
    with PeakMemory() as memory:
        try:
            tools.run(argv, lambda lines: deque(lines, maxlen=0), cwd=folder)
        except ToolError as error:
            raise BenchError(f"shaka-streamer failed: {error.reason}") from error
    spent_s = cpu_s() - before
    files = sorted((folder / "out").glob("*.mp4"))
    if not files:
        raise BenchError("shaka-streamer ended without a file")
    rungs, longest_s = [], 0.0
    for file in files:
        index, video = read_index(file), read_film(tools, file).video
        longest_s = max(longest_s, max(index.durations) / index.timescale)
        bps = sum(index.sizes) * 8 / float(source.duration)
        rungs.append(Rung(f"{video.height}", file, video.width, video.height, bps, 0.0))
    rungs.sort(key=lambda rung: rung.bps, reverse=True)
    return Made(
        SUBJECT, tuple(rungs), spent_s, 0.0, f"at cuts and at most {asked_s} s", longest_s, (), memory.size
    )  # fmt: skip
