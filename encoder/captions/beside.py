"""What lies beside a film and belongs to it: captions and chapters, read before the encode begins.

A file that cannot be read ends the encode: who laid it there wants it published, and a package without it would look
finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from encoder.captions import chapters, subrip, ttml, webvtt
from encoder.captions.charsets import read_text
from encoder.captions.sidecars import find_captions, find_chapters, find_files
from encoder.errors import SourceError
from encoder.film.source import TextStream
from encoder.package import Chapter
from encoder.running.steps import key_of

# Captions of a long film are some hundred kilobytes.
_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class CaptionFile:
    """Captions from beside a film: their track, and as WebVTT with zero at the film's first picture."""

    track: TextStream
    webvtt: str

    @property
    def key(self) -> str:
        return key_of(str(self.track), self.webvtt)


@dataclass(frozen=True)
class Beside:
    """All that was found; of `chapters` the ends are not known yet."""

    captions: tuple[CaptionFile, ...] = ()
    chapters: tuple[Chapter, ...] = ()

    @property
    def key(self) -> str:
        return key_of(*(file.key for file in self.captions), str(self.chapters))


def read_beside(film: Path) -> Beside:
    """Of a film that is a file. Raises SourceError for the first file that cannot be read."""
    try:
        names = [path.name for path in film.parent.iterdir()]
    except OSError:  # the film may be read, its folder not: then there is nothing to be found
        names = []
    return parse_beside(film.name, {name: _read(film.parent / name) for name in find_files(film.name, names)})


def _read(path: Path) -> bytes:
    try:
        demand_small(path.name, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def demand_small(name: str, size: int) -> None:
    """Raises SourceError for a file that is too large to be read."""
    if size > _LARGEST:
        raise SourceError(f"{name} has {size} bytes, expected at most {_LARGEST}")


def parse_beside(film: str, files: Mapping[str, bytes]) -> Beside:
    """From what is in the files that belong to the film with the file name `film` (see sidecars.find_files).

    Raises SourceError saying where the first one that cannot be read is broken.
    """
    captions = (
        CaptionFile(sidecar.track, webvtt_of(files[sidecar.name], sidecar.track, sidecar.name))
        for sidecar in find_captions(film, files)
    )
    name = find_chapters(film, files)
    found = chapters.read_chapters(read_text(files[name], name, "und"), name) if name else ()
    return Beside(tuple(captions), found)


def webvtt_of(data: bytes, track: TextStream, name: str) -> str:
    """A caption file as WebVTT. Raises SourceError saying where it is broken."""
    if track.codec == "ttml":
        text = ttml.webvtt_of(data, name)
    elif track.codec == "webvtt":
        text = read_text(data, name, track.language)
    else:
        text = subrip.webvtt_of(read_text(data, name, track.language), name)
    webvtt.demand_cues(text, name)
    return text
