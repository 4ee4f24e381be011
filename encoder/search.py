"""Finds a film's shots and, from trial encodes of them, the ladder of its own.

    scores of all frames -> cuts -> plan
    a segment of each shot, at three sizes and three rate factors -> bits, VMAF -> hull -> rungs -> each shot's factors

A trial has what the final encode has: the same frames, preset and keyframes, so what it says of bits and VMAF holds.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from encoder import commands, hull, shots, trials
from encoder.allotment import allot
from encoder.chunks import Chunk, Plan, plan_chunks
from encoder.curves import Piece, Trial
from encoder.errors import ToolError
from encoder.ladder import Rung, candidate_sizes, highest_bps, rung_of
from encoder.process import OnSeconds
from encoder.work import FILM, Work, demand_frames

_SCORES, _TRIALS = "scores.txt", "trials.json"


def divide(work: Work) -> Plan:
    """The film in segments that begin where its shots do."""
    lengths = work.settings.segment_duration, work.settings.chunk_duration
    plan = plan_chunks(work.source, *lengths)
    return plan_chunks(work.source, *lengths, work.chunked(plan, lambda plan: _cuts(work, plan)))


def find_ladder(work: Work, plan: Plan) -> tuple[Rung, ...]:
    """The title's own rungs, best first, with a rate factor for each shot that was tried."""
    sizes = candidate_sizes(work.source)
    samples = trials.sample(plan)
    tried = [
        rung_of(work.source, size, crf, name=f"{size[1]}-{crf}")
        for size in trials.trial_sizes(sizes)
        for crf in trials.CRFS
    ]
    found = work.chunked(plan, lambda plan: _try(work, plan, [sample.piece for sample in samples], tried))
    pieces = [Piece(sample.frames, one) for sample, one in zip(samples, found, strict=True)]
    by_height = {height: (width, height) for width, height in sizes}
    rate = float(plan.frame_rate)
    choices = hull.choose_rungs(pieces, list(by_height), rate, highest_bps(sizes[0], plan.frame_rate))
    names = trials.names([choice.height for choice in choices])
    rungs = []
    for name, choice in zip(names, choices, strict=True):
        factors = allot(pieces, choice.height, choice.vmaf)
        rung = rung_of(
            work.source,
            by_height[choice.height],
            choice.crf,
            name=name,
            average_bps=choice.bits * rate,
            vmaf=choice.vmaf,
        )
        rungs.append(dataclasses.replace(rung, shot_crfs=trials.for_all_shots(plan, samples, rung.crf, factors)))
    return tuple(rungs)


def _cuts(work: Work, plan: Plan) -> list[int]:
    """The frames that begin a shot."""
    # Each but the first begins a frame early, for a score says what changed since the frame before.
    looked_at = [chunk if not chunk.first else chunk.after_one_more() for chunk in plan.chunks]

    def look(chunk: Chunk, report: OnSeconds) -> list[int]:
        def make(folder: Path) -> None:
            arguments = commands.scene_scores(work.film, work.source, plan, chunk, _SCORES)
            work.tools.ffmpeg(arguments, cwd=folder, on_seconds=report)
            demand_frames(len(_scores(folder)), plan, chunk)

        inputs = commands.scene_scores(FILM, work.source, plan, chunk, _SCORES)
        folder = work.run(f"shots-{chunk.number:05d}", inputs, make)
        return [chunk.first + cut for cut in shots.find_cuts(_scores(folder))]

    return [cut for cuts in work.each("shots", plan, looked_at, look) for cut in cuts]


def _scores(folder: Path) -> list[float]:
    with (folder / _SCORES).open(encoding="utf-8") as lines:
        return shots.parse_scores(lines)


def _try(work: Work, plan: Plan, pieces: Sequence[Chunk], rungs: Sequence[Rung]) -> list[tuple[Trial, ...]]:
    """The trials of each piece."""
    preset, shown = work.settings.preset, rungs[0]

    def try_one(piece: Chunk, report: OnSeconds) -> tuple[Trial, ...]:
        encodes = commands.trial_encodes(FILM, work.source, plan, rungs, piece, preset)
        every = trials.every(piece.frames)

        def make(folder: Path) -> None:
            arguments = commands.trial_encodes(work.film, work.source, plan, rungs, piece, preset)
            work.tools.ffmpeg(arguments, cwd=folder, on_seconds=report)
            files = [f"{rung.name}.h264" for rung in rungs]
            measures = commands.vmaf(work.film, work.source, plan, shown, piece, files, every)
            work.tools.ffmpeg(measures, cwd=folder)
            found = [_trial(folder, rung, piece) for rung in rungs]
            (folder / _TRIALS).write_bytes(msgspec.json.encode(found))
            for rung in rungs:
                (folder / f"{rung.name}.h264").unlink()
                (folder / f"{rung.name}.h264.json").unlink()

        folder = work.run(f"trial-{piece.number:05d}", [*encodes, str(every)], make)
        return msgspec.json.decode((folder / _TRIALS).read_bytes(), type=tuple[Trial, ...])

    return work.each("trials", plan, pieces, try_one)


def _trial(folder: Path, rung: Rung, piece: Chunk) -> Trial:
    file = folder / f"{rung.name}.h264"
    log = file.with_name(f"{file.name}.json")
    try:
        scores = [frame["metrics"]["vmaf"] for frame in json.loads(log.read_text())["frames"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"ffmpeg's VMAF log {log.name} cannot be read: {error}") from error
    # Rounded, for the last digits differ between processors, and the ladder must not.
    return Trial(
        rung.height, rung.crf, file.stat().st_size * 8 / piece.frames, round(trials.mean(scores, piece.frames), 2)
    )
