"""The prefix table as a file: written by one process, mapped by all that look up.

    header | image: nobody's slab | record | record | ...            a record: header | slabs | patch

The first record is the whole table and the others are changes, each appended. A record counts when the first word of
its header, its size, is there: that is written last. So a reader sees each change whole or not at all, at whatever
instant the writer is killed; and as nothing that is there is ever overwritten, a look-up needs no lock. When a change
does not fit in any more, the whole table is written to a new file, which is renamed over the old one; readers have that
one mapped until they look. Nothing is synced to disk: who announces what is known anew after a crash of the machine,
and checksums tell what is broken.

Replace the file by renaming, never by writing into it: under a mapping that shrinks there is only SIGBUS.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from steering.errors import TableError
from steering.prefixes.addresses import Address, Prefix
from steering.prefixes.entries import Entries
from steering.prefixes.table import EMPTY, Match, Names, Patch, Table

MAGIC = b"NEARTABL"
VERSION = 1
# Magic, version, nothing, size of the file. What follows, from 32 on, is the image.
_HEADER = struct.Struct("<8sIIQ8x")
# Size of slabs and patch, which is the word that is written last; checksum of all that follows it; size of the slabs;
# generation; seconds since 1970.
_RECORD = struct.Struct("<QIIQd")
_CHECKED_FROM = 12
# A full table leaves room for as much again in changes. It is a hole in the file until it is written.
_ROOM = 2
_LEAST_BYTES = 2**20
# A writer that had nothing to change says so more often than this.
SILENT_AFTER_S = 30.0

logger = logging.getLogger(__name__)


class TableWriter:
    """The one process that writes the table at `path`. What is there already stays until the first change.

    Raises TableError if another process is the one.
    """

    def __init__(self, path: Path, epoch: Callable[[], float] = time.time) -> None:
        self._path, self._epoch = path, epoch
        self._entries = Entries()
        self._file: int | None = None
        self._end = self._size = 0
        self._lock = _lock(path)
        self.generation = _generation(path)

    def replace(self, entries: Mapping[Prefix, Names]) -> None:
        """The table is these prefixes and no other, each with its sites, best path first. Raises TableError."""
        fresh = Entries()
        fresh.change(entries)
        self._entries = fresh
        self._write_whole()

    def apply(self, changes: Mapping[Prefix, Names]) -> None:
        """These prefixes are now of these sites; of none, and they are withdrawn. Raises TableError.

        After an error of the disk the change is known, and comes into the file with the next.
        """
        self._entries.change(changes)
        if self._file is None:
            self._write_whole()
            return
        slabs, patch = self._entries.patch(self._end + _RECORD.size)
        if not patch.changes_anything:
            return
        record = _record(slabs, patch, self.generation + 1, self._epoch())
        if self._end + len(record) + _RECORD.size > self._size:
            self._write_whole()
            return
        try:
            self._append(self._file, record)
        except OSError as error:
            self._drop_file()
            raise TableError(f"routes: {self._path} could not be written: {error.strerror}") from error

    def beat(self) -> None:
        """Says that somebody still writes here, though nothing has changed; readers go by the file's time."""
        with contextlib.suppress(OSError):  # there may be no table yet
            os.utime(self._path)

    def close(self) -> None:
        """The file stays, and with it the last table."""
        self._drop_file()
        os.close(self._lock)

    def __len__(self) -> int:
        return len(self._entries)

    def _append(self, file: int, record: bytes) -> None:
        at = _HEADER.size + self._end
        _write(file, record[8:], at + 8)
        _write(file, record[:8], at)
        self._end += len(record)
        self.generation += 1

    def _write_whole(self) -> None:
        self._entries.forget()
        slabs, patch = self._entries.patch(len(EMPTY) + _RECORD.size)
        record = _record(slabs, patch, self.generation + 1, self._epoch())
        size = max(_LEAST_BYTES, _ROOM * len(record)) // 8 * 8
        new = self._path.with_name(f"{self._path.name}.new")
        self._drop_file()
        try:
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            self._file, self._end, self._size = file, len(EMPTY), size
            os.ftruncate(file, _HEADER.size + size)
            _write(file, _HEADER.pack(MAGIC, VERSION, 0, _HEADER.size + size), 0)
            self._append(file, record)
            new.rename(self._path)
        except OSError as error:
            self._drop_file()
            with contextlib.suppress(OSError):
                new.unlink()  # it may be what fills the disk
            raise TableError(f"routes: {self._path} could not be written: {error.strerror}") from error

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class TableReader:
    """The table at `path` as it was when `refresh` last looked; none, if there never was a good one.

    A file that vanishes, is damaged, of another version or no longer written costs nothing but a sentence in `trouble`:
    the last good table stays. `refresh` is for one thread, in which a new table may take 30 ms; look-ups go on in
    another.
    """

    def __init__(self, path: Path, epoch: Callable[[], float] = time.time) -> None:
        self.path, self._epoch = path, epoch
        self._open: _Open | None = None
        self._refused: tuple[int, ...] | None = None
        self.find: Callable[[Address], Match | None] = _find_nothing
        self.trouble = ""
        self.refresh()

    @property
    def generation(self) -> int:
        """Of the last change, counted since the first table was written; 0 without one."""
        return self._open.generation if self._open is not None else 0

    @property
    def changed_at(self) -> float:
        """When the last change was written, in seconds since 1970; 0 without one."""
        return self._open.changed_at if self._open is not None else 0.0

    @property
    def counts(self) -> tuple[int, int]:
        """How many prefixes of IPv4 and of IPv6 there are."""
        return self._open.table.counts if self._open is not None else (0, 0)

    def age_s(self, epoch: float) -> float:
        """How long ago the last change was written."""
        return max(0.0, epoch - self.changed_at)

    def refresh(self) -> bool:
        """Takes over what has been written since; whether anything had been. Some microseconds, if nothing was."""
        try:
            status = self.path.stat()
            if self._open is not None and self._open.file == (status.st_dev, status.st_ino):
                has_changed = self._open.take_changes()
                self._say(self._silence(status.st_mtime))
                return has_changed
            seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if seen == self._refused:
                return False
            try:
                self._open = _open(self.path)
            except TableError:
                self._refused = seen  # it is read again when it has changed
                raise
        except (OSError, TableError) as error:
            self._say(str(error) if isinstance(error, TableError) else f"routes: {self.path}: {error.strerror}")
            return False
        self._refused = None
        self.find = self._open.table.find
        self._say(self._silence(status.st_mtime))
        return True

    def _silence(self, written_at: float) -> str:
        """What there is to say of a writer that was not heard of for long; its table is good until it is back."""
        if self._epoch() - written_at <= SILENT_AFTER_S:
            return ""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(written_at))
        return f"routes: nobody has written {self.path} since {since}; is the routes process running?"

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            if trouble:
                logger.warning("the prefix table is not kept up, the last one stays", extra={"reason": trouble})
            self.trouble = trouble


class _Open:
    """A file that is mapped, and how far it has been read."""

    def __init__(self, path: Path, file: tuple[int, int], image: memoryview) -> None:
        self.file = file
        self.table = Table(image)
        self.generation, self.changed_at = 0, 0.0
        self._path, self._image, self._end = path, image, len(EMPTY)

    def take_changes(self) -> bool:
        """Whether there were any. Raises TableError at one that is damaged; what came before it counts."""
        patches = []
        try:
            while (found := _read(self._path, self._image, self._end)) is not None:
                patches.append(found.patch)
                self.generation, self.changed_at, self._end = found.generation, found.changed_at, found.end
        finally:
            if patches:
                self.table.take(patches)
        return bool(patches)


class _Record(NamedTuple):
    patch: Patch
    generation: int
    changed_at: float
    end: int


def _open(path: Path) -> _Open:
    """Raises TableError, OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(MAGIC):
            raise TableError(f"routes: {path} is no prefix table")
        _, version, _, size = _HEADER.unpack(header)
        if version != VERSION:
            raise TableError(f"routes: found {path} of version {version}, expected version {VERSION}")
        if size > status.st_size or size < _HEADER.size + len(EMPTY) or size % 8:
            raise TableError(f"routes: found {path} of {status.st_size} bytes, expected {size} as it says itself")
        image = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))[_HEADER.size :]
    found = _Open(path, (status.st_dev, status.st_ino), image)
    if not found.take_changes():
        raise TableError(f"routes: {path} has no table in it")
    return found


def _read(path: Path, image: memoryview, at: int) -> _Record | None:
    """The record there, if one has been written. Raises TableError."""
    if at + _RECORD.size > len(image):
        return None
    size, checksum, slabs_bytes, generation, changed_at = _RECORD.unpack_from(image, at)
    if not size:
        return None
    begin = at + _RECORD.size
    body = image[begin : begin + size]
    if len(body) != size or zlib.crc32(body, zlib.crc32(image[at + _CHECKED_FROM : begin])) != checksum:
        raise TableError(f"routes: {path} is damaged at byte {_HEADER.size + at}")
    try:
        patch = msgspec.msgpack.decode(body[slabs_bytes:], type=Patch)
    except msgspec.MsgspecError as error:
        raise TableError(f"routes: {path} is damaged at byte {_HEADER.size + at}: {error}") from error
    return _Record(patch, generation, changed_at, begin + size + -size % 8)


def _record(slabs: bytes, patch: Patch, generation: int, changed_at: float) -> bytes:
    body = slabs + msgspec.msgpack.encode(patch)
    checked = struct.pack("<IQd", len(slabs), generation, changed_at)
    head = struct.pack("<QI", len(body), zlib.crc32(body, zlib.crc32(checked)))
    return head + checked + body + bytes(-len(body) % 8)  # each begins at a multiple of 8, as double words must


def _write(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _lock(path: Path) -> int:
    """Held until the process ends, however it ends. Raises TableError."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise TableError(f"routes: {lock} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise TableError(f"routes: another process writes {path}, expected one") from error
    return file


def _generation(path: Path) -> int:
    """Of the table that is there: numbers go on over a restart."""
    try:
        return _open(path).generation
    except (OSError, TableError):
        return 0


def _find_nothing(address: Address) -> Match | None:
    return None
