"""Files, folders and lists, as films with titles."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from encoder.errors import JobError
from encoder.film.source import SUFFIXES
from encoder.jobs.titles import name_of, shown, title_of
from encoder.package import MANIFEST_NAME, TITLE_PATTERN


class NamedFilm(NamedTuple):
    film: Path  # absolute, or s3:/BUCKET/KEY
    title: str
    name: str


def find_films(paths: Iterable[Path], lists: Iterable[Path] = ()) -> list[NamedFilm]:
    """The films that are meant, each with its title. Raises JobError."""
    found = [named for path in paths for named in _of_path(path)]
    found += [named for path in lists for named in _of_list(path)]
    return list(dict.fromkeys(found))


def _of_path(path: Path) -> Iterator[NamedFilm]:
    if not path.is_dir():
        yield _named(path)
        return
    films = sorted(_films_below(path))
    if not films:
        raise JobError(f"{shown(path)} holds no films (files named {', '.join(sorted(SUFFIXES))})")
    for film in films:
        yield _named(film)


def _films_below(folder: Path) -> Iterator[Path]:
    """All films in a folder and in those below it, but for hidden ones. Links to folders are not followed.

    Nor are packages looked into, for who writes them below the films: a rendition is no film.
    """

    def refuse(error: OSError) -> None:
        raise JobError(f"{shown(Path(error.filename or folder))} cannot be read: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if MANIFEST_NAME in files:
            continue
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _named(film: Path, title: str = "", name: str = "") -> NamedFilm:
    title = title or title_of(film)
    return NamedFilm(film if _is_url(film) else film.absolute(), title, name or name_of(film) or title)


def _is_url(film: Path) -> bool:
    return film.parts[:1] == ("s3:",)


def _of_list(path: Path) -> Iterator[NamedFilm]:
    """One film a line: its path, and behind tabs, if wanted, its title and its name. "#" begins a comment.

    Relative paths are relative to the list.
    """
    try:
        # A path need not be UTF-8; what is none is kept as it is.
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise JobError(f"the list {shown(path)} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        film, title, name = (part.strip() for part in (line + "\t\t").split("\t", 2))
        if not film or name.rstrip("\t").count("\t"):
            raise JobError(f"{shown(path)}, line {number}: expected a film, and behind tabs its title and its name")
        if title and not TITLE_PATTERN.fullmatch(title):
            raise JobError(
                f"{shown(path)}, line {number}: title {title!r}, expected 1 to 64 of a-z 0-9 . _ - "
                "and a letter or digit first"
            )
        yield _named(Path(film) if _is_url(Path(film)) else path.parent / film, title, name)
