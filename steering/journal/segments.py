"""The journal's files: segments of an hour, compressed as they are written, read up to where they end or are damaged.

What is written is flushed through the compressor each time, so a process that is killed loses only what it had not
handed over. A segment is never gone on with: its end may be torn. Whoever comes back begins another.

Several processes may share a folder; the one that holds the lock on `.lock` in it writes. The kernel gives the lock
back when its holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from steering.errors import JournalError
from steering.journal.moments import show_moment
from steering.journal.records import FORMAT, Begins, Record, Whole, decode, encode

SEGMENT_S = 3600.0
# After a failure, a new segment is tried again: it costs the state of the whole fleet each time.
_RETRY_AFTER_S = 60.0
# It packs the state of 18,000 appliances in 0.2 s; 6 takes 0.6 s, for a tenth less.
_LEVEL = 3
_GZIP = 31  # zlib's wbits for a gzip header (zlib.h)
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{3})Z\.jsonl\.gz")
_TIME = "%Y%m%dT%H%M%S.%f"
_PIECE = 64 * 1024
# Of a line: a fleet's loads are half a megabyte, a catalog's packages one; more is no line of ours.
_LONGEST_LINE = 64 * 1024 * 1024


@dataclass(frozen=True)
class Segment:
    path: Path
    begins_at: float  # seconds since the epoch


class SegmentWriter:
    """Every method blocks. What cannot be written is counted in `lost` (lines), the reason is `trouble`."""

    def __init__(self, folder: Path, keep_s: float) -> None:
        self._folder, self._keep_s = folder, keep_s
        self._lock: int | None = None
        self._file: int | None = None
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._began_at = self._ends_at = self._retry_at = 0.0
        self.lost = 0
        self.trouble = ""

    def is_ours(self) -> bool:
        """Whether this process is the one that writes; it becomes that when nobody else is."""
        if self._lock is not None:
            return True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
        except OSError as error:
            self.trouble = _reason(error)
            return False
        self._lock = lock
        return True

    def wants_segment(self, now: float) -> bool:
        """After an hour, or a while after a failure; and where the clock was set back, for a segment goes forward."""
        return now < self._began_at or now >= (self._ends_at if self._file is not None else self._retry_at)

    def begin(self, now: float) -> None:
        """A new segment; those that are too old go."""
        self._end()
        self._began_at, self._retry_at, self._ends_at = now, now + _RETRY_AFTER_S, now + SEGMENT_S
        path = self._folder / f"{datetime.fromtimestamp(now, UTC).strftime(_TIME)[:-3]}Z.jsonl.gz"
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            for segment in _segments(self._folder):
                if segment.begins_at + SEGMENT_S < now - self._keep_s:
                    segment.path.unlink(missing_ok=True)
        except OSError as error:
            self._fail(error, 0)
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, records: Sequence[Record]) -> None:
        if self._file is None:
            self.lost += len(records)
            return
        data = self._packer.compress(b"".join(encode(record) + b"\n" for record in records))
        data += self._packer.flush(zlib.Z_SYNC_FLUSH)
        try:
            _write(self._file, data)
        except OSError as error:
            self._fail(error, len(records))
        else:
            self.trouble = ""

    def close(self) -> None:
        self._end()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _end(self) -> None:
        if self._file is not None:
            try:
                _write(self._file, self._packer.flush())
            except OSError as error:
                self.trouble = _reason(error)
            os.close(self._file)
            self._file = None

    def _fail(self, error: OSError, lines: int) -> None:
        """A torn segment is left as it is: what is in it can be read, and the next one says everything again."""
        self.lost += lines
        self.trouble = _reason(error)
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Journal:
    """A folder of segments, to be read. `damage` says what could not be."""

    def __init__(self, folder: Path) -> None:
        """Raises JournalError if there is none."""
        self._folder = folder
        try:
            self.segments = _segments(folder)
        except OSError as error:
            raise JournalError(f"journal {folder} cannot be read: {_reason(error)}") from error
        if not self.segments:
            raise JournalError(
                f"journal {folder}: found no segment, expected files such as 20261121T190000.000Z.jsonl.gz"
            )
        self.damage: list[str] = []

    @property
    def begins_at(self) -> float:
        return self.segments[0].begins_at

    def records(self, since: float) -> Iterator[Record]:
        """The lines from the segment on in which `since` lies. Raises JournalError if it lies before the first."""
        for segment in self.segments[self._first(since) :]:
            yield from self._lines(segment)

    def _first(self, since: float) -> int:
        before = [number for number, segment in enumerate(self.segments) if segment.begins_at <= since]
        for number in reversed(before):
            # Killed while it began, a segment does not say everything.
            if any(isinstance(record, Whole) for record in self._lines(self.segments[number], only_beginning=True)):
                return number
        if before:
            why = f": {self.damage[0]}" if self.damage else ""
            raise JournalError(
                f"journal {self._folder}: no segment before {show_moment(since)} has a whole beginning{why}"
            )
        raise JournalError(
            f"journal {self._folder}: found nothing before {show_moment(self.begins_at)}, expected what was known at "
            f"{show_moment(since)}"
        )

    def _lines(self, segment: Segment, *, only_beginning: bool = False) -> Iterator[Record]:
        at = segment.begins_at
        try:
            for number, line in enumerate(_unpacked(segment.path), start=1):
                record = decode(line)
                if number == 1 and not (isinstance(record, Begins) and record.format == FORMAT):
                    raise _DamagedError(f"found {line[:80]!r}, expected the beginning of a journal of format {FORMAT}")
                at = max(at, record.time)
                yield record
                if only_beginning and isinstance(record, Whole):
                    return
        except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, OSError, _DamagedError) as error:
            damage = f"{segment.path} is damaged after {show_moment(at)}: {_reason(error)}"
            if damage not in self.damage:
                self.damage.append(damage)


class _DamagedError(Exception):
    pass


def _segments(folder: Path) -> list[Segment]:
    """In the order of their times, whatever else is in the folder."""
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            try:
                begins = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
            except ValueError:
                continue
            found.append(Segment(path, begins.timestamp()))
    return sorted(found, key=lambda segment: segment.begins_at)


def _unpacked(path: Path) -> Iterator[bytes]:
    """The whole lines. An end that is missing is no damage: the segment is being written, or its writer was killed."""
    rest = b""
    for data in _pieces(path):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
        if len(rest) > _LONGEST_LINE:
            raise _DamagedError(f"found a line of more than {_LONGEST_LINE} bytes")


def _pieces(path: Path) -> Iterator[bytes]:
    """What a segment unpacks to, at most a piece at a time: nonsense may unpack to a thousand times its size."""
    unpacker = zlib.decompressobj(_GZIP)
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            before = unpacker.copy()
            try:
                while unpacked := unpacker.decompress(data, 16 * _PIECE):
                    yield unpacked
                    before, data = unpacker.copy(), unpacker.unconsumed_tail
            except zlib.error:
                # All that is before the damage: a failing call gives nothing of what it had unpacked.
                for byte in data:
                    yield before.decompress(bytes((byte,)))
                raise


def _write(file: int, data: bytes) -> None:
    position = 0
    while position < len(data):
        position += os.write(file, data[position:])


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
