"""The unit that takes most of the time: a chunk of the film in all rungs, scored where a quality is promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from encoder import commands
from encoder.film.source import Source
from encoder.per_title.scoring import Scoring, promised
from encoder.running.process import OnSeconds, Tools
from encoder.running.work import FILM, demand_frames
from encoder.video.chunks import Chunk, Plan
from encoder.video.ladder import Rung

_SCORES = "scores.json"


@dataclass(frozen=True)
class ChunkEncode:
    """`{rung}.mp4` of each rung, and the VMAF of their frames (see `read_scores`).

    Made by `chunk_encode`, for it is to know of its own chunk and shot only.
    """

    source: Source
    plan: Plan
    rungs: tuple[Rung, ...]
    chunk: Chunk
    preset: str

    @property
    def name(self) -> str:
        return f"chunk-{self.chunk.number:05d}"

    @property
    def seconds(self) -> float:
        return float(self.chunk.frames / self.plan.frame_rate)

    def inputs(self) -> Sequence[str]:
        scoring = self._scoring()
        return [*self._arguments(FILM), *(scoring.arguments(FILM) if scoring.files else ())]

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        tools.ffmpeg(self._arguments(film), cwd=folder, on_seconds=on_seconds)
        for rung in self.rungs:
            demand_frames(_count_frames(tools, folder / f"{rung.name}.mp4"), self.plan, self.chunk)
        scoring = self._scoring()
        if scoring.files:
            scores = dict(zip(promised(self.rungs), scoring.run(tools, film, folder), strict=True))
            (folder / _SCORES).write_bytes(msgspec.json.encode(scores))

    def _arguments(self, film: str) -> list[str]:
        return commands.chunk_video(film, self.source, self.plan, self.rungs, self.chunk, self.preset)

    def _scoring(self) -> Scoring:
        files = tuple(f"{name}.mp4" for name in promised(self.rungs))
        return Scoring(self.source, self.plan, self.chunk, files)


def chunk_encode(source: Source, plan: Plan, rungs: Sequence[Rung], chunk: Chunk, preset: str) -> ChunkEncode:
    own = tuple(replace(rung, crf=rung.crf_of(chunk.shot), shot_crfs=()) for rung in rungs)
    return ChunkEncode(source, plan.only(chunk), own, chunk, preset)


def read_scores(folder: Path) -> dict[str, list[float]]:
    """The VMAF of each rung's scored frames, of those rungs that were scored."""
    path = folder / _SCORES
    return msgspec.json.decode(path.read_bytes(), type=dict[str, list[float]]) if path.exists() else {}


def _count_frames(tools: Tools, file: Path) -> int:
    entries = ["-v", "error", "-show_entries", "stream=nb_frames", "-of", "csv=p=0"]
    return int(tools.ffprobe([*entries, str(file)]).strip() or 0)
