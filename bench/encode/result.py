"""What `nearcast bench encode` says: rows with what they must reach, and the document of them.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bench.encode.curves import BdRate
from bench.rows import OURS, Row

# (must, aim): parts of the bits or of the processor time, points of VMAF, or counts.
BD_APPLE, BD_SAME_GOP, BD_WORST, BD_PEER = (-0.20, -0.35), (-0.08, -0.20), (0.02, 0.0), (-0.10, -0.25)
BD_AV1, BD_MIXED, WORST_SHOT = (-0.40, -0.55), (-0.04, -0.10), (0.0, 0.0)
STORAGE, SESSION_GAIN, SESSION_GAIN_AV1 = (-0.20, -0.45), (3.0, 5.0), (3.0, 8.0)
SEARCH, BD_LOST, MISS = (1.4, 0.3), (0.025, 0.01), (0.8, 0.3)
CHUNK_CPU, CHUNK_SIZE = (0.05, 0.0), (0.01, 0.003)
WALL, KILLS = (1.1, 1.0), (1.0, 1.0)


class EncodeResult(msgspec.Struct, frozen=True, kw_only=True):
    benchmark: str = "encode"
    machine: dict[str, str | int]
    commit: str
    preset: str
    results: list[Row]
    notes: list[str]


def row(
    case: str, metric: str, values: Sequence[float], *, goals: tuple[float, float] | None = None,
    more_is_better: bool = True, note: str = "", subject: str = OURS,
) -> Row:  # fmt: skip
    """A metric of all clips: its mean and its range. Clips that it says nothing of (NaN) are left out, and counted."""
    must, aim = goals if goals is not None else (None, None)
    known = [value for value in values if math.isfinite(value)]
    if 0 < len(known) < len(values):
        note = "; ".join(part for part in (note, f"{len(known)} of {len(values)} clips") if part)
    if not known:
        must, aim, known = None, None, [math.nan]
    return Row(
        subject=subject, case=case, metric=metric, median=sum(known) / len(known), min=min(known), max=max(known),
        must=must, aim=aim, more_is_better=more_is_better, note=note,
    )  # fmt: skip


def describe(found: BdRate) -> str:
    """What a BD-rate rests on."""
    if math.isnan(found.pchip):
        return "the two share no quality, or have too few rungs"
    sound = "" if found.is_sound else "; NOT SOUND: few points, or its two cubics disagree"
    return f"VMAF {found.low_vmaf:.0f}-{found.high_vmaf:.0f}, {found.points} points, makima {found.makima:+.1%}{sound}"
