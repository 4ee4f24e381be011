"""What cutting a film into chunks costs: the same ladder in one piece and in several, processor time and bytes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from bench.encode.subjects import Made, ours
from config.encoder import EncoderSettings

_CHUNKS = 4
# The cheaper of so many encodes of a kind counts: what else a machine does only adds to processor time.
_ROUNDS = 2


class Chunking(NamedTuple):
    """In chunks, as parts of what it is in one piece: 0.01 is a hundredth more."""

    chunks: int
    cpu: float
    size: float


def chunking(clip: Path, duration_s: float, folder: Path, settings: EncoderSettings) -> Chunking | None:
    """None for a film that is too short to be cut. Raises what the encoder does."""
    piece_s = max(duration_s / _CHUNKS, settings.segment_duration)
    if piece_s > duration_s / 2:
        return None
    # The fixed ladder: the same rungs on both sides, whatever trials would say. One job at a time on both, for two that
    # share a cache cost more, cut or not.
    fixed = dataclasses.replace(settings, ladder="fixed", codecs=("h264",), workers="1")
    lengths_s = {"cut": piece_s, "whole": 2 * duration_s}
    made: dict[str, list[Made]] = {name: [] for name in lengths_s}
    for at in range(_ROUNDS):
        for name, length_s in lengths_s.items():
            place, one = folder / f"{name}-{at}", dataclasses.replace(fixed, chunk_duration=length_s)
            made[name] += ours(clip, place, one, quiet=True)
    cut, whole = (min(those, key=lambda one: one.cpu_s) for those in made.values())
    sizes = [sum(rung.bps for rung in one.rungs) for one in (cut, whole)]
    return Chunking(math.ceil(duration_s / piece_s), cut.cpu_s / whole.cpu_s - 1, sizes[0] / sizes[1] - 1)
