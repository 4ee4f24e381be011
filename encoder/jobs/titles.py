"""A film's title, from the name of its file.

The rule: the name without its suffix, letters without their accents and in lower case, everything that is neither a
letter a-z, a digit nor one of . _ as a hyphen, no two hyphens in a row, none at an end, 64 characters at most. "Big
Buck Bunny (2008).mkv" is `big-buck-bunny-2008`. People see the name as it was written.

Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from encoder.errors import JobError
from encoder.jobs.states import Request
from encoder.package import TITLE_PATTERN

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 64
# What accents are taken off of does not help with these.
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"})
_OTHERS = re.compile(r"[^a-z0-9._]+")


def title_of(film: Path) -> str:
    """Raises JobError if nothing of the name can stand in a title."""
    lower = unicodedata.normalize("NFKD", film.stem.lower()).translate(_LETTERS)
    letters = "".join(letter for letter in lower if not unicodedata.combining(letter))
    title = _OTHERS.sub("-", letters).lstrip("-._")[:_LONGEST].rstrip("-._")
    if not TITLE_PATTERN.fullmatch(title):
        raise JobError(f"{shown(film)}: no title can be made of this name; give one by --title, or in a list (--list)")
    return title


def name_of(film: Path) -> str:
    """What people call it; "" if nothing of it can be printed."""
    name = "".join(letter if letter.isprintable() else " " for letter in film.stem)
    return " ".join(name.split())


def demand_distinct(requests: Iterable[Request]) -> None:
    """Raises JobError if two films would have one title: the second would take the place of the first."""
    films: dict[str, Path] = {}
    for request in requests:
        other = films.setdefault(request.title, request.film)
        if other != request.film:
            raise JobError(
                f"{shown(other)} and {shown(request.film)} would both have the title {request.title!r}; "
                "give them titles in a list (--list)"
            )


def shown(path: Path | str) -> str:
    """A path as it may be printed: names need be neither text nor on one line."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
