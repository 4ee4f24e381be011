"""The units of the search: how much the frames of a chunk differ, and trial encodes of a piece with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from encoder import commands
from encoder.film.source import Source
from encoder.per_title import quality, shots
from encoder.per_title.curves import Trial
from encoder.per_title.scoring import Scoring
from encoder.per_title.trials import bits_of
from encoder.running.process import OnSeconds, Tools
from encoder.running.work import FILM, demand_frames
from encoder.video.chunks import Chunk, Plan
from encoder.video.ladder import Rung

_SCORES, _TRIALS = "scores.txt", "trials.json"


@dataclass(frozen=True)
class SceneScores:
    """How much each frame of a chunk differs from the one before."""

    source: Source
    plan: Plan
    chunk: Chunk

    @property
    def name(self) -> str:
        return f"shots-{self.chunk.number:05d}"

    @property
    def seconds(self) -> float:
        return float(self.chunk.frames / self.plan.frame_rate)

    def inputs(self) -> Sequence[str]:
        return self._arguments(FILM)

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        tools.ffmpeg(self._arguments(film), cwd=folder, on_seconds=on_seconds)
        demand_frames(len(read_scene_scores(folder)), self.plan, self.chunk)

    def _arguments(self, film: str) -> list[str]:
        return commands.scene_scores(film, self.source, self.plan, self.chunk, _SCORES)


def read_scene_scores(folder: Path) -> list[float]:
    with (folder / _SCORES).open(encoding="utf-8") as lines:
        return shots.parse_scores(lines)


@dataclass(frozen=True)
class Trials:
    """A piece at each of some sizes and rate factors, all of one codec."""

    source: Source
    plan: Plan
    rungs: tuple[Rung, ...]
    piece: Chunk
    segment: int  # frames of the segment that the piece begins
    preset: str

    @property
    def name(self) -> str:
        return f"trial-{self.rungs[0].codec.name}-{self.piece.number:05d}"

    @property
    def seconds(self) -> float:
        return float(self.piece.frames / self.plan.frame_rate)

    def inputs(self) -> Sequence[str]:
        return [*self._arguments(FILM), *self._scoring().arguments(FILM), str(self.segment)]

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        tools.ffmpeg(self._arguments(film), cwd=folder, on_seconds=on_seconds)
        scoring = self._scoring()
        found = []
        for rung, file, scores in zip(self.rungs, scoring.files, scoring.run(tools, film, folder), strict=True):
            bits = bits_of(_picture_sizes(tools, folder / file), self.segment)
            found.append(Trial(rung.height, rung.crf, bits, round(quality.mean(scores), 2)))
            (folder / file).unlink()
        (folder / _TRIALS).write_bytes(msgspec.json.encode(found))

    def _arguments(self, film: str) -> list[str]:
        return commands.trial_encodes(film, self.source, self.plan, self.rungs, self.piece, self.preset)

    def _scoring(self) -> Scoring:
        files = tuple(f"{rung.name}.{rung.codec.suffix}" for rung in self.rungs)
        return Scoring(self.source, self.plan, self.piece, files)


def _picture_sizes(tools: Tools, file: Path) -> list[int]:
    """The bytes of each picture of a bare stream, in the order of decoding."""
    entries = ["-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0"]
    return [int(line.strip(",")) for line in tools.ffprobe([*entries, str(file)]).split()]


def read_trials(folder: Path) -> tuple[Trial, ...]:
    return msgspec.json.decode((folder / _TRIALS).read_bytes(), type=tuple[Trial, ...])
