"""The chapters of a film: as files that people write, and as what players read.

    film.chapters.txt   CHAPTER01=00:01:00.000 and CHAPTER01NAME=Morning, as mkvmerge writes them; or 1:00 Morning
    film.chapters.vtt   a cue for each
    chapters.vtt        in the package: WebVTT of the kind "chapters", for <track> and pages
    chapters.json       Apple's, which the multivariant playlist names (com.apple.hls.chapters)

Pure.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence

from encoder.errors import SourceError
from encoder.package import Chapter

_CLOCK = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)(?:[.,](\d{1,9}))?"
_CUE = re.compile(rf"{_CLOCK}[ \t]+-->.*")
_START = re.compile(rf"CHAPTER(\d+)={_CLOCK}\s*")
_NAME = re.compile(r"CHAPTER(\d+)NAME=(.*)")
_LINE = re.compile(rf"{_CLOCK}\s+(?:[-–]\s+)?(\S.*)")
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_EXPECTED = 'expected "CHAPTER01=00:00:00.000" with "CHAPTER01NAME=...", or "00:00:00 Name"'


def read_chapters(text: str, name: str) -> tuple[Chapter, ...]:
    """The chapters of a file, their ends left open. Raises SourceError naming the line that is none."""
    lines = [line.strip() for line in text.splitlines()]
    found = _read_webvtt(lines, name) if lines[:1] and lines[0].startswith("WEBVTT") else _read_lines(lines, name)
    if not found:
        raise SourceError(f"{name}: found no chapter, {_EXPECTED}")
    return found


def _read_webvtt(lines: Sequence[str], name: str) -> tuple[Chapter, ...]:
    found = []
    for number, line in enumerate(lines, 1):
        if match := _CUE.fullmatch(line):
            title = lines[number] if number < len(lines) else ""
            found.append(Chapter(_seconds(*match.groups()), 0.0, html.unescape(re.sub(r"<[^<>]*>", "", title))))
        elif "-->" in line:
            expected = "expected a time such as 00:01:02.500 --> 00:01:04.000"
            raise SourceError(f"{name}, line {number}: found {line[:60]!r}, {expected}")
    return tuple(found)


def _read_lines(lines: Sequence[str], name: str) -> tuple[Chapter, ...]:
    found: dict[str, Chapter] = {}
    for number, line in enumerate(lines, 1):
        if match := _START.fullmatch(line):
            found[match[1]] = Chapter(_seconds(*match.groups()[1:]), 0.0, "")
        elif (match := _NAME.fullmatch(line)) and match[1] in found:
            found[match[1]] = Chapter(found[match[1]].start, 0.0, match[2].strip())
        elif match := _LINE.fullmatch(line):
            found[f"line {number}"] = Chapter(_seconds(*match.groups()[:4]), 0.0, match[5])
        elif line:
            raise SourceError(f"{name}, line {number}: found {line[:60]!r}, {_EXPECTED}")
    return tuple(found.values())


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def within(chapters: Sequence[Chapter], shift_s: float, duration_s: float) -> tuple[Chapter, ...]:
    """The chapters `shift_s` later, cut to the film, each until the next one; what has no name gets its number."""
    last = round(duration_s, 3)
    starts = sorted({max(0.0, round(c.start + shift_s, 3)): _plain(c.title) for c in _by_start(chapters)}.items())
    starts = [(start, title) for start, title in starts if start < last]
    ends = [start for start, _ in starts[1:]] + [last]
    return tuple(
        Chapter(start, end, title or f"Chapter {number}")
        for number, ((start, title), end) in enumerate(zip(starts, ends, strict=False), 1)
    )


def _by_start(chapters: Sequence[Chapter]) -> list[Chapter]:
    return sorted(chapters, key=lambda chapter: chapter.start)


def _plain(title: str) -> str:
    """On one line: a blank one would end its cue."""
    return _UNSEEN.sub(" ", title).strip()


def webvtt(chapters: Sequence[Chapter]) -> str:
    cues = (f"{_clock(one.start)} --> {_clock(one.end)}\n{_escaped(one.title)}" for one in chapters)
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def apple_json(chapters: Sequence[Chapter]) -> str:
    """Apple, "Providing JavaScript Object Notation (JSON) chapters"."""
    entries = [
        {
            "chapter": number,
            "start-time": one.start,
            "duration": round(one.end - one.start, 3),
            "titles": [{"language": "und", "title": one.title}],
        }
        for number, one in enumerate(chapters, 1)
    ]
    return json.dumps(entries, ensure_ascii=False, indent=1) + "\n"


def _clock(seconds: float) -> str:
    whole, fraction = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{fraction:03d}"


def _escaped(title: str) -> str:
    return title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
