"""Captions and chapters that lie beside a film, found by their names as Plex, Jellyfin and mpv find them.

    film.mkv
    film.en.srt            English
    film.pt-BR.forced.vtt  only what is not in the film's language: signs, a song
    film.en.sdh.srt        for the deaf; "cc" and "hi" are the same
    film.de.Kommentar.srt  German, labelled "Kommentar"
    film.chapters.txt      (or .vtt) its chapters

Pure: names in, what they mean out. encoder/captions/beside.py reads the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from encoder.film.languages import language_tag
from encoder.film.source import SUFFIXES, TextStream

# Endings, and the codec that ffmpeg would call it.
CAPTIONS = {".srt": "subrip", ".vtt": "webvtt", ".ttml": "ttml", ".dfxp": "ttml"}
_CHAPTERS = ("chapters.txt", "chapters.vtt")
_FORCED = {"forced", "foreign"}
_DEAF = {"sdh", "cc", "hi"}
_COMMENTARY = {"commentary"}
_DEFAULT = {"default"}
# "hi" is Hindi, unless a language is named already; three letters are a language only if they are one that we know.
_LONGEST_CODE = 3


@dataclass(frozen=True)
class Sidecar:
    """A file of captions; `track` says of it what a film says of its own (its index is that of no stream)."""

    name: str
    track: TextStream


def find_files(film: str, names: Iterable[str]) -> list[str]:
    """All files that belong to the film with the file name `film` among the names in its folder."""
    names = sorted(names)
    return [*(caption.name for caption in find_captions(film, names)), *filter(None, [find_chapters(film, names)])]


def find_captions(film: str, names: Iterable[str]) -> list[Sidecar]:
    """The captions of the film with the file name `film` among the names in its folder, in their order."""
    names = sorted(names)
    found = []
    for name in names:
        words = _words(film, name, names)
        suffix = "." + words[-1].lower() if words else ""
        if suffix in CAPTIONS and ".".join(words).lower() not in _CHAPTERS:
            found.append(Sidecar(name, _track(words[:-1], CAPTIONS[suffix])))
    return found


def find_chapters(film: str, names: Iterable[str]) -> str:
    """The file of the film's chapters among the names in its folder, or ""."""
    names = sorted(names)
    return next((name for name in names if ".".join(_words(film, name, names)).lower() in _CHAPTERS), "")


def stem_of(film: str) -> str:
    """What the name of the film and of all files that belong to it begins with."""
    return film.rpartition(".")[0] or film


def _words(film: str, name: str, names: list[str]) -> list[str]:
    """What stands between the film's name and the end: ["en", "forced", "srt"]; nothing if it is another film's."""
    stem = stem_of(film)
    if not name.startswith(f"{stem}.") or name == film:
        return []
    for other in names:
        # "film.2.mkv" has "film.2.en.srt" to itself.
        longer, _, suffix = other.rpartition(".")
        if f".{suffix.lower()}" in SUFFIXES and longer.startswith(f"{stem}.") and name.startswith(f"{longer}."):
            return []
    return name[len(stem) + 1 :].split(".")


def _track(words: list[str], codec: str) -> TextStream:
    language, flags, title = "", set[str](), []
    for word in words:
        lower = word.lower()
        if lower in _FORCED | _DEFAULT | _COMMENTARY or (lower in _DEAF and (language or lower != "hi")):
            flags.add(lower)
        elif not language and _is_language(word):
            language = word
        else:
            title.append(word)
    roles = [role for role, marks in (("caption", _DEAF), ("commentary", _COMMENTARY)) if flags & marks]
    return TextStream(
        index=-1,
        codec=codec,
        language=language_tag(language),
        # A name may have bytes that are no letters; a package may not.
        title=" ".join(title).encode(errors="replace").decode(),
        default=bool(flags & _DEFAULT),
        forced=bool(flags & _FORCED),
        roles=tuple(roles),
    )


def _is_language(word: str) -> bool:
    primary = word.replace("_", "-").partition("-")[0]
    tag = language_tag(word)
    if tag == "und":
        return False
    # Three letters that name no language with two stay three (RFC 5646): as like "dir", "ext", "cut" as a language.
    return len(primary) < _LONGEST_CODE or len(tag.partition("-")[0]) < _LONGEST_CODE
