"""Runs ffprobe on a film: once for what it claims, once for the times of all its packets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from encoder.errors import SourceError, ToolError
from encoder.film.colour import RANGES
from encoder.film.hdr import read_side_data
from encoder.film.source import Source, choose_video, parse_scan, read_source
from encoder.running.process import Tools


def film_url(film: Path) -> str:
    """The film as an ffmpeg URL: with `file:`, a name that looks like an option or a protocol stays a name."""
    return f"file:{film.absolute()}"


def with_plain_name(film: Path, folder: Path) -> Path:
    """The film by a name that is text, which it need not have: if it has none, a link to it in `folder`."""
    try:
        str(film.absolute()).encode()
    except UnicodeEncodeError:
        link = folder / "film"
        link.unlink(missing_ok=True)
        link.symlink_to(film.absolute())
        return link
    return film


def demand_film(film: Path) -> None:
    """Raises SourceError for what cannot be a film at first sight."""
    if not film.exists():
        raise SourceError(f"{film}: no such file")
    if not film.is_file():
        raise SourceError(f"{film} is not a file, expected a film")
    if film.stat().st_size == 0:
        raise SourceError(f"{film} is empty (0 bytes), expected a film")
    try:
        film.open("rb").close()
    except OSError as error:
        raise SourceError(f"{film} cannot be read: {error.strerror}") from error


def read_film(tools: Tools, film: Path, on_bytes: Callable[[int], None] | None = None) -> Source:
    """Reads a film whole, without decoding it; `on_bytes` gets how far. Raises SourceError."""
    demand_film(film)
    # Only files: a list of URLs that is named like a film must not make us fetch them.
    arguments = ["-v", "error", "-protocol_whitelist", "file", "-i", film_url(film)]
    try:
        shown = ["-show_format", "-show_streams", "-show_chapters"]
        described = json.loads(tools.ffprobe([*arguments, "-of", "json", *shown]))
        stream = choose_video(str(film), described)
        video = stream["index"]
        if stream.get("color_transfer") in RANGES:
            # What HDR was graded on: where the container does not say, the first picture may.
            stream["side_data_list"] = [
                *stream.get("side_data_list", []),
                *read_side_data(tools, film_url(film), stream),
            ]
        entries = ["-of", "csv=p=0", "-show_entries", "packet=stream_index,pts,dts,duration,pos,flags"]
        scan = tools.ffprobe_lines([*arguments, *entries], lambda lines: parse_scan(lines, video, on_bytes))
    except ToolError as error:
        raise SourceError(f"{film} is not a film that ffmpeg can read: {error.reason}") from error
    return read_source(str(film), described, scan)
