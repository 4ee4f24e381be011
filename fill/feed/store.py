"""The folder in which what was watched is kept, and where in it everything is.

    EVENTS/
      arriving/MARK-START-END.parquet       lines of one log from byte START to END, not yet in their hours
      lines/2026-11-21T13/NAME.parquet      the lines of an hour; the same line may be in several files, and is one
      moved/2026-11-21T15/NAME.parquet      the times of lines that said they were of this hour, by a wrong clock
      hours/2026-11-21.parquet              bytes, answers and sessions of each file, by hour, region and site
      logs.json                             how far each log has been read
      places.json                           where appliances stood when steering was last asked
      networks.json                         the nearest site of each network that watches
      forecasts/REGION/SECONDS.parquet      what was expected from that moment on (scores.py)

Every file appears by rename, whole; none is ever changed. Names that begin with a dot are not finished; what has any
other name than these is somebody else's, and left alone. What was damaged is called NAME.damaged.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from fill.errors import FeedError
from fill.feed.lines import HOUR_S

_HOURS_OF_DAY = 24

_BATCH = re.compile(r"[0-9a-f]{16}-[0-9]+-[0-9]+\.parquet")
_LINES = re.compile(rf"{_BATCH.pattern}|packed-[0-9]+-[0-9]+\.parquet")
_LOST_LINES = re.compile(rf"({_LINES.pattern})\.damaged")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.parquet")
_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}")
_FORECAST = re.compile(r"[0-9]{1,12}\.parquet")

_Kept = TypeVar("_Kept")


class Store:
    def __init__(self, events: str) -> None:
        """`events` is a file:// URL. Raises FeedError, as everything here does for what the file system refuses."""
        parts = urlsplit(events)
        if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
            raise FeedError(f"events: found {events!r}, expected file:///DIRECTORY")
        self.folder = Path(unquote(parts.path))
        self.arriving = self.folder / "arriving"
        self.lines = self.folder / "lines"
        self.moved = self.folder / "moved"
        self.hours = self.folder / "hours"
        self.notes = self.folder / "logs.json"
        self.places = self.folder / "places.json"
        self.networks = self.folder / "networks.json"
        self.forecasts = self.folder / "forecasts"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process at a time adds to what is kept. Raises FeedError if another does."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise FeedError(f"{self.folder} cannot be written: {error.strerror}") from error
        try:
            _lock(lock, self.folder)
            yield
        finally:
            os.close(lock)

    def sweep(self) -> None:
        """Deletes what killed processes have not finished; only for the one that has the lock."""
        for folder in (self.arriving, self.hours, *_inside(self.lines), *_inside(self.moved)):
            for name in _names(folder):
                if name.startswith(".") and ".parquet." in name:
                    remove(folder / name)

    def lines_of(self, hour: int) -> list[Path]:
        """The files with lines of an hour (since the epoch)."""
        return _finished(self.lines / hour_name(hour), _LINES)

    def lost_lines(self, hour: int) -> list[Path]:
        """The files with lines of an hour that were damaged and moved aside."""
        return _finished(self.lines / hour_name(hour), _LOST_LINES)

    def moved_of(self, hour: int) -> list[Path]:
        """The files with the times of lines that said they were of this hour."""
        return _finished(self.moved / hour_name(hour), _BATCH)

    def hours_of(self, day: date) -> Path:
        return self.hours / f"{day.isoformat()}.parquet"

    def days(self) -> dict[date, Path]:
        """The files of hours, oldest first; dates that no calendar has are somebody else's."""
        found = {}
        for file in _finished(self.hours, _DAY):
            with suppress(ValueError):
                found[date.fromisoformat(file.stem)] = file
        return found

    def hours_between(self, first: int, end: int) -> list[Path]:
        """The files of the days of hours [first, end)."""
        begin, last = day_of(first), day_of(max(first, end - 1))
        return [file for day, file in self.days().items() if begin <= day <= last]

    def uncounted(self, first: int, end: int) -> list[int]:
        """The hours of [first, end) that have lines, but whose day has no file (any more)."""
        days = self.days()
        return [
            hour
            for hour in self.hours_with_lines()
            if first <= hour < end and day_of(hour) not in days and self.lines_of(hour)
        ]

    def forecasts_of(self, region: str) -> list[Path]:
        """Oldest first."""
        return sorted(_finished(self.forecasts / region, _FORECAST), key=lambda file: int(file.stem))

    def arrived(self) -> list[Path]:
        return _finished(self.arriving, _BATCH)

    def hours_with_lines(self) -> list[int]:
        """Oldest first."""
        return _hours(self.lines)

    def hours_with_moved(self) -> list[int]:
        return _hours(self.moved)


def appear(target: Path, write: Callable[[Path], None]) -> None:
    """Makes a file by `write`, whole and on disk before it has its name. Raises FeedError."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(unfinished)
        with unfinished.open("rb") as data:
            os.fsync(data.fileno())
        unfinished.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise FeedError(f"{target} cannot be written: {error.strerror}") from error


def appear_json(target: Path, value: object) -> None:
    """Raises FeedError."""
    appear(target, lambda path: _write_bytes(path, msgspec.json.encode(value)))


def read_json(file: Path, kind: type[_Kept], advice: str) -> _Kept | None:
    """What is kept in a file of JSON, None if it is not there; `advice` ends the sentence where that is damaged.

    Raises FeedError.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FeedError(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(f"{file} is damaged: {error}; {advice}") from error


def remove(file: Path) -> None:
    """Raises FeedError."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise FeedError(f"{file} cannot be deleted: {error.strerror}") from error


def remove_folder(folder: Path, files: Iterable[Path]) -> None:
    """Deletes these files of a folder, and the folder if nobody else has put anything there. Raises FeedError."""
    for file in files:
        remove(file)
    with suppress(OSError):
        folder.rmdir()


def hour_name(hour: int) -> str:
    return datetime.fromtimestamp(hour * HOUR_S, UTC).strftime("%Y-%m-%dT%H")


def hour_of(name: str) -> int:
    """Raises ValueError."""
    return int(datetime.strptime(name, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()) // HOUR_S


def day_of(hour: int) -> date:
    return datetime.fromtimestamp(hour * HOUR_S, UTC).date()


def hours_of_day(day: date) -> range:
    first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // HOUR_S
    return range(first, first + _HOURS_OF_DAY)


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FeedError(f"{folder} is in use by another `nearcast fill ingest`") from error
    except OSError as error:  # a file system without locks
        raise FeedError(f"{folder} cannot be locked: {error.strerror}") from error


def _hours(folder: Path) -> list[int]:
    """The hours that have a folder in this one, oldest first; 25 o'clock has none of ours."""
    found = []
    for name in _names(folder):
        if _HOUR.fullmatch(name):
            with suppress(ValueError):
                found.append(hour_of(name))
    return sorted(found)


def _inside(folder: Path) -> list[Path]:
    """The folders of hours."""
    return [folder / hour_name(hour) for hour in _hours(folder)]


def _finished(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    return [folder / name for name in _names(folder) if pattern.fullmatch(name)]


def _names(folder: Path) -> list[str]:
    """What is in a folder, in order; nothing where there is none. Raises FeedError."""
    try:
        return sorted(inside.name for inside in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FeedError(f"{folder} cannot be read: {error.strerror}") from error


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
