"""What `nearcast bench encode` says: rows with what they must reach, and the document of them.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.encode.curves import BdRate
from bench.rows import OURS, Row

# (must, aim): parts of the bits, of the final ladder's processor time, or points of VMAF.
BD_APPLE, BD_SAME_GOP, BD_WORST = (-0.20, -0.35), (-0.08, -0.20), (0.02, 0.0)
STORAGE, SESSION_GAIN = (-0.20, -0.45), (3.0, 5.0)
SEARCH, MISS = (1.4, 0.3), (0.8, 0.3)


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
    """A metric of all clips: its mean and its range."""
    must, aim = goals if goals is not None else (None, None)
    return Row(
        subject=subject, case=case, metric=metric, median=sum(values) / len(values), min=min(values), max=max(values),
        must=must, aim=aim, more_is_better=more_is_better, note=note,
    )  # fmt: skip


def describe(found: BdRate) -> str:
    """What a BD-rate rests on."""
    sound = "" if found.is_sound else "; NOT SOUND: few points, or its two cubics disagree"
    return f"VMAF {found.low_vmaf:.0f}-{found.high_vmaf:.0f}, {found.points} points, makima {found.makima:+.1%}{sound}"
