"""Arguments that are longer than Linux takes: keyframes of ten hours in one chunk are 200 kB, and one may have 128."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

# Well below, for all of a command's arguments share 2 MB, and each rung has its own list.
_LONGEST = 16_000


@contextmanager
def short_arguments(arguments: Sequence[str], folder: Path) -> Iterator[list[str]]:
    """ffmpeg's arguments with long values in files of `folder`: it reads an option written as `-/name` from a file."""
    short, files = list(arguments), []
    try:
        for at, (option, value) in enumerate(pairwise(arguments), 1):
            if len(value) > _LONGEST and option.startswith("-"):
                path = folder / f"argument-{at}.txt"
                files.append(path)
                path.write_text(value, encoding="utf-8")
                short[at - 1 : at + 1] = [f"-/{option[1:]}", path.name]
        yield short
    finally:
        for path in files:
            path.unlink(missing_ok=True)
