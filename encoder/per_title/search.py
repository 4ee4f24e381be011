"""Finds a film's shots and, from trial encodes of them, the ladder of its own.

    scores of all frames -> cuts -> plan
    some of each shot, at three sizes and two rate factors -> bits, VMAF -> hull -> rungs -> each shot's factors

A trial has what the final encode has: the same frames, preset and keyframes, so what it says of bits and VMAF holds.
Each codec has trials and a hull of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from encoder.per_title import hull, shots, trials
from encoder.per_title.allotment import allot
from encoder.per_title.curves import Piece, Trial, bend_of
from encoder.per_title.trials import Sample
from encoder.per_title.units import SceneScores, Trials, read_scene_scores, read_trials
from encoder.running.work import Work
from encoder.video.chunks import Plan, plan_chunks
from encoder.video.codec import Codec
from encoder.video.ladder import Rung, candidate_sizes, highest_bps, rung_of


class Found(NamedTuple):
    """A codec's own rungs, best first, and the trials that they follow from."""

    codec: Codec
    rungs: tuple[Rung, ...]
    pieces: tuple[Piece, ...]
    samples: tuple[Sample, ...]


def divide(work: Work, keyframes: Sequence[int]) -> Plan:
    """The film in segments that begin where its shots do. `keyframes` are pictures that its decoding may begin with."""
    lengths = work.settings.segment_duration, work.settings.chunk_duration
    plan = plan_chunks(work.source, *lengths, keyframes=keyframes)
    cuts = work.chunked(plan, lambda plan: _cuts(work, plan))
    return plan_chunks(work.source, *lengths, cuts, keyframes)


def find_ladder(work: Work, plan: Plan, codec: Codec) -> Found:
    """The title's own rungs, with a rate factor for each shot that was tried."""
    sizes = [size for size in candidate_sizes(work.source) if min(size) >= codec.smallest_side]
    samples = trials.sample(plan)
    found = work.chunked(plan, lambda plan: _try(work, plan, samples, sizes, codec))
    bend = bend_of(codec.trial_crfs[0], codec.trial_crfs[-1])
    pieces = tuple(Piece(sample.frames, one, bend) for sample, one in zip(samples, found, strict=True))
    by_height = {height: (width, height) for width, height in sizes}
    rate = float(plan.frame_rate)
    highest = highest_bps(sizes[0], plan.frame_rate)
    choices = hull.choose_rungs(pieces, list(by_height), rate, highest, codec, work.settings.least_rungs)
    names = trials.names([choice.height for choice in choices])
    rungs = []
    for name, choice in zip(names, choices, strict=True):
        factors = allot(pieces, choice.height, choice.vmaf, codec)
        rung = rung_of(
            work.source,
            by_height[choice.height],
            choice.crf,
            name=codec.rung_name(name),
            average_bps=choice.bits * rate,
            vmaf=choice.vmaf,
            codec=codec,
        )
        rungs.append(dataclasses.replace(rung, shot_crfs=trials.for_all_shots(plan, samples, rung.crf, factors)))
    return Found(codec, tuple(rungs), pieces, tuple(samples))


def _cuts(work: Work, plan: Plan) -> list[int]:
    """The frames that begin a shot."""
    # Each but the first begins a frame early, for a score says what changed since the frame before.
    looked_at = [chunk if not chunk.first else chunk.after_one_more() for chunk in plan.chunks]
    folders = work.units("shots", [SceneScores(work.source, plan.only(chunk), chunk) for chunk in looked_at])
    return [
        chunk.first + cut
        for chunk, folder in zip(looked_at, folders, strict=True)
        for cut in shots.find_cuts(read_scene_scores(folder))
    ]


def _try(
    work: Work, plan: Plan, samples: list[Sample], sizes: list[tuple[int, int]], codec: Codec
) -> list[tuple[Trial, ...]]:
    """The trials of each sample."""
    rungs = tuple(
        rung_of(work.source, size, crf, name=f"{size[1]}-{crf}", codec=codec)
        for size in trials.trial_sizes(sizes)
        for crf in codec.trial_crfs
    )
    preset = work.settings.preset
    units = [Trials(work.source, plan.only(one.piece), rungs, one.piece, one.segment, preset) for one in samples]
    return [read_trials(folder) for folder in work.units("trials", units)]
