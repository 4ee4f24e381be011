"""The worst moment of each rung, as a picture beside the film's own."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from encoder import commands
from encoder.errors import ToolError
from encoder.film.source import Source
from encoder.per_title.quality import RungQuality
from encoder.report.facts import Still
from encoder.running.process import Tools
from encoder.video.chunks import Plan
from encoder.video.ladder import Rung

# The longer side, in pixels: enough to see what is wrong, and some 20 kB a picture.
_SIDE = 560
# A film that cannot be sought is decoded up to the picture, once for each rung.
_LONGEST_UNSOUGHT_S = 600


def worst_still(
    tools: Tools, film: str, source: Source, plan: Plan, rung: Rung, quality: RungQuality, encode: Path
) -> Still | None:
    """None where it would take too long, or the picture cannot be had."""
    if not plan.by_seek and plan.duration > _LONGEST_UNSOUGHT_S:
        return None
    worst = quality.worst
    scale = _SIDE / max(rung.width, rung.height)
    shown = dataclasses.replace(rung, width=_even(rung.width * scale), height=_even(rung.height * scale))
    with tempfile.TemporaryDirectory(prefix="nearcast-report-") as name:
        folder = Path(name)
        try:
            tools.ffmpeg(
                commands.still(film, source, plan, shown, worst.worst_frame, str(encode.resolve())), cwd=folder
            )
            pictures = [(folder / file).read_bytes() for file in ("film.jpg", "encode.jpg")]
        except (ToolError, OSError):
            return None
    return Still(float(worst.worst_frame / plan.frame_rate), worst.worst, *pictures)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)
