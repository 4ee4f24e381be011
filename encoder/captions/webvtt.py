"""WebVTT moved to the package's clock: cues shifted, and cut to the film.

Pure. The format is W3C WebVTT; only timing lines are touched, so styling and positions stay.
"""

from __future__ import annotations

import re

from encoder.errors import SourceError

EMPTY = "WEBVTT\n"

_CLOCK = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"{_CLOCK}[ \t]+-->[ \t]+{_CLOCK}(.*)")
_LINE_END = re.compile(r"\r\n|\r|\n")
# HLS's header that ties cues to a transport stream's clock: our segments have none.
_STREAM_CLOCK = re.compile(r"\nX-TIMESTAMP-MAP[^\n]*")


def demand_cues(webvtt: str, name: str) -> None:
    """Raises SourceError naming the first line that is wrong; players would drop what follows it, and say nothing."""
    lines = _LINE_END.split(webvtt)
    if not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise SourceError(f"{name}, line 1: found {lines[0][:60]!r}, expected WEBVTT")
    cues = 0
    for number, line in enumerate(lines, 1):
        if "-->" not in line:
            continue
        match = _TIMING.fullmatch(line.strip())
        if match is None:
            expected = "expected a time such as 00:01:02.500 --> 00:01:04.000"
            raise SourceError(f"{name}, line {number}: found {line.strip()[:60]!r}, {expected}")
        start, end = _times(match)
        if end < start:
            raise SourceError(f"{name}, line {number}: the cue ends before it begins")
        cues += 1
    if not cues:
        raise SourceError(f"{name}: found no cue, expected captions")


def shift_cues(webvtt: str, shift_s: float, duration_s: float) -> tuple[str, int]:
    """The same captions `shift_s` later and how many cues are left; those outside [0, duration_s) are dropped."""
    first, *blocks = _blocks(webvtt)
    kept, cues = [_STREAM_CLOCK.sub("", "\n".join(first))], 0
    for lines in blocks:
        timing = next((at for at, line in enumerate(lines[:2]) if _TIMING.fullmatch(line)), None)
        if timing is None:
            kept.append("\n".join(lines))  # NOTE, STYLE and REGION blocks
            continue
        moved = _shift(lines[timing], shift_s, duration_s)
        if moved is not None and any(line.strip() for line in lines[timing + 1 :]):
            # An arrow in what is said would end the cue.
            said = [line.replace("-->", "--&gt;") for line in lines[timing + 1 :]]
            kept.append("\n".join([*lines[:timing], moved, *said]))
            cues += 1
    return "\n\n".join(kept) + "\n", cues


def _blocks(webvtt: str) -> list[list[str]]:
    """The lines of the header, then of each block, as players find them (WebVTT section 6.1).

    A line of times begins a cue wherever it stands, after no blank line as well; a single line above it is its name.
    """
    blocks: list[list[str]] = [[]]
    for line in _LINE_END.split(webvtt):
        block, is_timing = blocks[-1], _TIMING.fullmatch(line.strip()) is not None
        if is_timing and (len(blocks) == 1 or len(block) > 1 or (block and _TIMING.fullmatch(block[0]))):
            blocks.append([line.strip()])
        elif line:
            block.append(line.strip() if is_timing else line)
        elif block:
            blocks.append([])
    return [blocks[0], *filter(None, blocks[1:])]


def _shift(line: str, shift_s: float, duration_s: float) -> str | None:
    match = _TIMING.fullmatch(line)
    assert match is not None
    limit = round(duration_s * 1000)
    start, end = (time + round(shift_s * 1000) for time in _times(match))
    start, end = max(0, start), min(end, limit)
    return f"{_clock(start)} --> {_clock(end)}{match[9]}" if start < end else None


def _times(match: re.Match[str]) -> tuple[int, int]:
    start, end = (_milliseconds(*match.groups()[at : at + 4]) for at in (0, 4))
    return start, end


def _milliseconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction)


def _clock(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:03d}"
