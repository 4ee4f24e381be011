"""SubRip (.srt) as WebVTT.

SubRip has no standard. What everybody writes is taken: counters that are wrong or missing, a point for the comma,
blank lines within a cue, tags of HTML, places as `{\\an8}`. What cannot be a time is refused with its line: to skip it
would lose what is said, and nobody would know.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from encoder.errors import SourceError

_CLOCK = r"(\d{1,3}):(\d{1,2}):(\d{1,2})(?:[,.](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
# What is meant as a time and is none.
_LIKE_TIMING = re.compile(r"\d:\d+.*->|-->.*\d:\d|^\s*\d+:\d+:\d+.*\d+:\d+:\d+")
# Of a line as far as a time may be: each of these expressions looks at all that follows a digit.
_LONGEST_TIMING = 200
_LINE_END = re.compile(r"\r\n|\r|\n")
_COUNTER = re.compile(r"\s*\d+\s*")
_EXPECTED = "expected a time such as 00:01:02,500 --> 00:01:04,000"
_TAG = re.compile(r"<(/?)([a-z]+)(?![a-z])[^<>]*>", re.IGNORECASE)
_KEPT_TAGS = {"b", "i", "u"}
_OVERRIDE = re.compile(r"\{\\([^{}]*)\}")
_PLACE = re.compile(r"\\?an([1-9])|\\?a(\d{1,2})(?![a-z])")
# As a number block has them: 1 to 3 at the bottom, where cues stand anyway, 7 to 9 at the top, and left to right.
_LINES = {0: "", 1: " line:50%", 2: " line:0"}
_ALIGNS = {0: " align:left", 1: "", 2: " align:right"}
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|nbsp|lrm|rlm|#\d+|#x[0-9a-f]+);)", re.IGNORECASE)


class _Cue(NamedTuple):
    line: int
    start_ms: int
    end_ms: int
    text: list[str]


def webvtt_of(subrip: str, name: str) -> str:
    """The same captions. Raises SourceError naming the line of what is no SubRip."""
    blocks = ["WEBVTT"]
    for cue in _cues(_LINE_END.split(subrip), name):
        if cue.end_ms < cue.start_ms:
            raise SourceError(f"{name}, line {cue.line}: the cue ends before it begins, {_EXPECTED}")
        text, settings = _styled("\n".join(line for line in cue.text if line.strip()))
        if text and cue.end_ms > cue.start_ms:
            blocks.append(f"{_clock(cue.start_ms)} --> {_clock(cue.end_ms)}{settings}\n{text}")
    if len(blocks) == 1:
        raise SourceError(f"{name}: found no cue, {_EXPECTED} and then text")
    return "\n\n".join(blocks) + "\n"


def _cues(lines: list[str], name: str) -> Iterator[_Cue]:
    cue: _Cue | None = None
    after_blank = True
    for number, line in enumerate(lines, 1):
        timing = _TIMING.fullmatch(line)
        following = lines[number] if number < len(lines) else ""
        if timing:
            if cue is not None:
                yield cue
            cue = _Cue(number, _milliseconds(*timing.groups()[:4]), _milliseconds(*timing.groups()[4:]), [])
        elif _LIKE_TIMING.search(line[:_LONGEST_TIMING]):
            raise SourceError(f"{name}, line {number}: found {line.strip()[:60]!r}, {_EXPECTED}")
        elif after_blank and _COUNTER.fullmatch(line):
            # A text of nothing but digits has other text after it, or nothing.
            if following.strip() and not _TIMING.fullmatch(following):
                raise SourceError(f"{name}, line {number + 1}: found {following.strip()[:60]!r}, {_EXPECTED}")
            if cue is not None and not following.strip():
                cue.text.append(line)
        elif cue is not None:
            cue.text.append(line)
        elif line.strip():
            raise SourceError(f"{name}, line {number}: found {line.strip()[:60]!r}, {_EXPECTED}")
        after_blank = not line.strip()
    if cue is not None:
        yield cue


def _milliseconds(hours: str, minutes: str, seconds: str, fraction: str | None) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int((fraction or "0").ljust(3, "0"))


def _clock(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:03d}"


def _styled(text: str) -> tuple[str, str]:
    """The text with what WebVTT knows of its tags, and the settings of the cue."""
    place = 2
    for override in _OVERRIDE.finditer(text):
        for match in _PLACE.finditer(override[1]):
            # SSA's older numbers: 5 to 7 are the top, 9 to 11 the middle.
            place = int(match[1]) if match[1] else {5: 7, 6: 8, 7: 9, 9: 4, 10: 5, 11: 6}.get(int(match[2]), 2)
    row, column = divmod(place - 1, 3)
    pieces, at = [], 0
    bare = _OVERRIDE.sub("", text)
    for tag in _TAG.finditer(bare):
        pieces.append(_escaped(bare[at : tag.start()]))
        if tag[2].lower() in _KEPT_TAGS:
            pieces.append(f"<{tag[1]}{tag[2].lower()}>")
        elif tag[2].lower() != "font":
            pieces.append(_escaped(tag[0]))
        at = tag.end()
    pieces.append(_escaped(bare[at:]))
    lines = [line.strip() for line in "".join(pieces).split("\n")]
    return "\n".join(line for line in lines if line), _LINES[row] + _ALIGNS[column]


def _escaped(text: str) -> str:
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
