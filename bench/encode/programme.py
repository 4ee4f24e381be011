"""Unlike clips one after the other, as a channel sends them: what a factor for each shot is for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.encode.master import LOSSLESS
from encoder.film.probe import film_url, read_film
from encoder.running.process import Tools
from encoder.video.ladder import display_size

# Of each clip: enough for a shot or two, and few enough that a programme is soon encoded.
_EACH_S = 6


def programme(tools: Tools, clips: Sequence[Path], folder: Path, lines: int = 0) -> Path:
    """The clips' first seconds at the size and frame rate of the smallest, without loss and without sound."""
    sources = [read_film(tools, clip) for clip in clips]
    least = min(sources, key=lambda one: min(display_size(one.video)))
    width, height = (side - side % 2 for side in display_size(least.video))
    if lines and min(width, height) > lines:
        scale = lines / min(width, height)
        width, height = int(width * scale / 2) * 2, int(height * scale / 2) * 2
    inputs = [word for clip in clips for word in ("-t", str(_EACH_S), "-i", film_url(clip))]
    even = (
        f"setpts=PTS-STARTPTS,fps={least.video.frame_rate},scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2"
        f":flags=lanczos+accurate_rnd,pad={width}:{height}:-1:-1,setsar=1,format=yuv420p"
    )
    parts = [f"[{at}:{source.video.index}]{even}[v{at}]" for at, source in enumerate(sources)]
    joined = "".join(f"[v{at}]" for at in range(len(clips)))
    graph = ";".join([*parts, f"{joined}concat=n={len(clips)}:v=1:a=0[v]"])
    file = folder / "programme.mkv"
    tools.ffmpeg(
        [*inputs, "-filter_complex", graph, "-map", "[v]", "-c:v", LOSSLESS, "-map_metadata", "-1",
         "-f", "matroska", file.name],
        cwd=folder,
    )  # fmt: skip
    return file
