"""What an operator decides about encoding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import BYTES, DURATION, INTEGER, PATH, choice, setting

# x264's own, but for "placebo", which costs many times the processor time for nothing that can be seen.
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_PRESET = choice(*PRESETS)


_LADDER = choice("per-title", "fixed")


@dataclass(frozen=True)
class EncoderSettings:
    ladder: str = setting("fixed", kind=_LADDER, help="Rungs by trial encodes of this film, or the same for all.")
    work: Path = setting("~/.cache/nearcast/encode", kind=PATH, help="Where finished steps of encodes are kept.")
    segment_duration: float = setting("4s", kind=DURATION, help="Longest video segment; one closed GOP each.")
    preset: str = setting("medium", kind=_PRESET, help="x264 preset: faster, or smaller.")
    jobs: int = setting("0", kind=INTEGER, help="Chunks encoded at once; 0 is one for each two cores.")
    chunk_duration: float = setting("48s", kind=DURATION, help="Film time that one chunk covers.")
    min_free_space: int = setting("512 MiB", kind=BYTES, help="Refuse to start a step with less free space than this.")
