"""VMAF of encodes beside the film they were made of, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from encoder import commands
from encoder.errors import ToolError
from encoder.film.source import Source
from encoder.per_title import quality
from encoder.running.process import Tools
from encoder.video.chunks import Chunk, Plan
from encoder.video.ladder import Rung, candidate_sizes, rung_of


@dataclass(frozen=True)
class Scoring:
    """Encodes of one chunk, scored at the largest size that the film is offered in."""

    source: Source
    plan: Plan
    chunk: Chunk
    files: tuple[str, ...]

    def arguments(self, film: str) -> list[str]:
        every = quality.every(self.chunk.frames)
        return commands.vmaf(film, self.source, self.plan, shown(self.source), self.chunk, self.files, every)

    def run(self, tools: Tools, film: str, folder: Path) -> list[list[float]]:
        """The scores of each file in `folder`. Raises ToolError."""
        tools.ffmpeg(self.arguments(film), cwd=folder)
        return [self._read(folder / f"{file}.json") for file in self.files]

    def _read(self, log: Path) -> list[float]:
        try:
            frames = json.loads(log.read_bytes())["frames"]
            # Rounded, for the last digits differ between processors, and what follows from them must not.
            scores = [round(float(frame["metrics"]["vmaf"]), 2) for frame in frames]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolError(f"ffmpeg's VMAF log {log.name} cannot be read: {error}") from error
        log.unlink()
        found, wanted = quality.counted(scores, self.chunk.frames), quality.how_many(self.chunk.frames)
        if len(found) != wanted:
            raise ToolError(f"ffmpeg's VMAF log {log.name} has {len(found)} scores, expected {wanted}")
        return found


def shown(source: Source) -> Rung:
    """What encodes are scored at: the largest size that there is, as the largest screen shows every rung."""
    return rung_of(source, candidate_sizes(source)[0], 0, name="shown")


def demand_vmaf(tools: Tools) -> None:
    """Raises ToolError if this ffmpeg cannot score."""
    if " libvmaf " not in tools.ffmpeg_bytes(["-filters"], cwd=Path.cwd()).decode(errors="replace"):
        raise ToolError(
            "this ffmpeg has no filter libvmaf, which finds a title's own ladder: install imageio-ffmpeg >= 0.8 and "
            "unset IMAGEIO_FFMPEG_EXE, or encode with --ladder fixed"
        )


def promised(rungs: Sequence[Rung]) -> tuple[str, ...]:
    """Those rungs that a quality is promised of: VMAF v0.6.1 knows no HDR, and a fixed ladder promises none."""
    return tuple(rung.name for rung in rungs if rung.vmaf and not rung.is_hdr)
