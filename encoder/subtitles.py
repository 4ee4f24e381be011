"""WebVTT as ffmpeg writes it, moved to the package's clock: cues shifted, and cut to the film.

Pure. The format is W3C WebVTT; only timing lines are touched, so styling and positions stay.
"""

from __future__ import annotations

import re

_CLOCK = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"{_CLOCK}[ \t]+-->[ \t]+{_CLOCK}(.*)")


def shift_cues(webvtt: str, shift_s: float, duration_s: float) -> tuple[str, int]:
    """The same captions `shift_s` later and how many cues are left; those outside [0, duration_s) are dropped."""
    first, *blocks = re.split(r"\n{2,}", webvtt.replace("\r\n", "\n").strip("\n"))
    kept, cues = [first], 0
    for block in blocks:
        lines = block.split("\n")
        timing = next((at for at, line in enumerate(lines[:2]) if _TIMING.fullmatch(line)), None)
        if timing is None:
            kept.append(block)  # NOTE, STYLE and REGION blocks
            continue
        moved = _shift(lines[timing], shift_s, duration_s)
        if moved is not None and any(line.strip() for line in lines[timing + 1 :]):
            kept.append("\n".join([*lines[:timing], moved, *lines[timing + 1 :]]))
            cues += 1
    return "\n\n".join(kept) + "\n", cues


def _shift(line: str, shift_s: float, duration_s: float) -> str | None:
    match = _TIMING.fullmatch(line)
    assert match is not None
    limit = round(duration_s * 1000)
    start, end = (_milliseconds(*match.groups()[at : at + 4]) + round(shift_s * 1000) for at in (0, 4))
    start, end = max(0, start), min(end, limit)
    return f"{_clock(start)} --> {_clock(end)}{match[9]}" if start < end else None


def _milliseconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction)


def _clock(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:03d}"
