"""Finds logs and reads their lines from where they were left, whatever they are called by now.

A log is known by its *mark*: the digest of its beginning up to the first line that is a JSON object. A log keeps it
when it is moved away (access.log -> access.log.1), compressed, copied to another machine, or shipped twice; a new file
at an old place, or in the inode of a deleted one, has another. So how far a log has been read is remembered by mark.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from fill.errors import LogError
from fill.feed.records import LONGEST_LINE

# A beginning without a single line that is one of ours is marked as it is.
_LONGEST_BEGINNING = 64 * 1024
_GZIP_SIZES = 2**32


class Piece(NamedTuple):
    """A line without its line end, and where the next one begins (bytes of the log, not compressed)."""

    line: bytes
    end: int


class Log(NamedTuple):
    path: Path
    mark: str
    size: int  # bytes, not compressed; of a compressed one modulo 4 GiB
    written_at: float  # seconds since the epoch, the last time

    def is_read(self, end: int) -> bool:
        """Whether there is nothing behind byte `end`."""
        return end % _GZIP_SIZES == self.size if self.path.suffix == ".gz" else end >= self.size


def find_logs(patterns: Iterable[str]) -> list[Path]:
    """The files that the patterns (`*` and `**` allowed) name."""
    # Path.glob takes no absolute patterns.
    return sorted({Path(found) for pattern in patterns for found in glob.glob(pattern, recursive=True)})  # noqa: PTH207


def identify(path: Path) -> Log | None:
    """The log at this place; None while it has no line, or is gone. Raises LogError."""
    try:
        with _opened(path) as data:
            mark = _mark(data)
        return Log(path, mark, _size(path), path.stat().st_mtime) if mark else None
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def longest(logs: Iterable[Log]) -> list[Log]:
    """Each log once: of its copies the one that has most of it."""
    found: dict[str, Log] = {}
    for log in logs:
        if log.mark not in found or log.size > found[log.mark].size:
            found[log.mark] = log
    return list(found.values())


def read_lines(log: Path, start: int = 0, *, mark: str = "", with_open_end: bool = False) -> Iterator[Piece]:
    """The lines from byte `start` on; what has no line end yet is left for later, or with `with_open_end` a line too.

    Nothing where the log is gone, or where another log has its name now (`mark` is not its own). A line longer than
    any of ours comes cut; it is broken, and what it was is nobody's to know. Raises LogError.
    """
    try:
        with _opened(log) as data:
            if mark and _mark(data) != mark:  # moved since it was found: it is read under its other name
                return
            data.seek(start)
            yield from _lines(data, start, with_open_end)
    except FileNotFoundError:
        return
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(log, error) from error


def _lines(data: BinaryIO, start: int, with_open_end: bool) -> Iterator[Piece]:
    end = start
    while line := data.readline(LONGEST_LINE + 2):
        end += len(line)
        if line.endswith(b"\n"):
            yield Piece(line.rstrip(b"\r\n"), end)
            continue
        rest = line
        while len(rest) == LONGEST_LINE + 2 and not rest.endswith(b"\n"):
            rest = data.readline(LONGEST_LINE + 2)
            end += len(rest)
        if rest.endswith(b"\n") or with_open_end:
            yield Piece(line, end)


def _mark(data: BinaryIO) -> str:
    """Leaves `data` somewhere behind its beginning."""
    digest = hashlib.blake2b(digest_size=8)
    size = 0
    while size < _LONGEST_BEGINNING:
        line = data.readline(_LONGEST_BEGINNING - size)
        size += len(line)
        if not line.endswith(b"\n") and size < _LONGEST_BEGINNING:
            return ""  # the line that tells is not all written yet
        digest.update(line)
        if line.startswith(b'{"'):
            break
    return digest.hexdigest()


def _opened(log: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(log, "rb")) if log.suffix == ".gz" else log.open("rb")


def _size(path: Path) -> int:
    with path.open("rb") as data:
        size = data.seek(0, os.SEEK_END)
        if path.suffix == ".gz" and size >= 4:
            data.seek(-4, os.SEEK_END)
            size = int.from_bytes(data.read(4), "little")  # RFC 1952: ISIZE
    return size


def _unreadable(log: Path, error: Exception) -> LogError:
    return LogError(f"log {log} cannot be read: {getattr(error, 'strerror', None) or error}")
