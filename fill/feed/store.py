"""The folder in which what was watched is kept, and where in it everything is.

    EVENTS/
      arriving/MARK-START-END.parquet       lines of one log from byte START to END, not yet in their hours
      lines/2026-11-21T13/NAME.parquet      the lines of an hour; the same line may be in several files, and is one
      hours/2026-11-21.parquet              bytes, answers and sessions of each file, by hour, region and site
      logs.json                             how far each log has been read
      places.json                           where appliances stood when steering was last asked
      networks.json                         the nearest site of each network that watches
      forecasts/REGION/SECONDS.parquet      what was expected from that moment on (scores.py)

Every file appears by rename, whole; none is ever changed. Names that begin with a dot are not finished.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from fill.errors import FeedError
from fill.feed.lines import HOUR_S

_HOURS_OF_DAY = 24


class Store:
    def __init__(self, events: str) -> None:
        """`events` is a file:// URL. Raises FeedError."""
        parts = urlsplit(events)
        if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
            raise FeedError(f"events: found {events!r}, expected file:///DIRECTORY")
        self.folder = Path(unquote(parts.path))
        self.arriving = self.folder / "arriving"
        self.lines = self.folder / "lines"
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
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise FeedError(f"{self.folder} is in use by another `nearcast fill ingest`") from error
        finally:
            os.close(lock)

    def sweep(self) -> None:
        """Deletes what killed processes have not finished; only for the one that has the lock."""
        for folder in (self.arriving, self.hours, *self.lines.glob("*")):
            for unfinished in folder.glob(".*"):
                unfinished.unlink(missing_ok=True)

    def lines_of(self, hour: int) -> list[Path]:
        """The files with lines of an hour (since the epoch)."""
        return _finished(self.lines / hour_name(hour))

    def hours_of(self, day: date) -> Path:
        return self.hours / f"{day.isoformat()}.parquet"

    def hours_between(self, first: int, end: int) -> list[Path]:
        """The files of the days of hours [first, end)."""
        days = {day_of(hour) for hour in (first, max(first, end - 1))}
        return [file for file in _finished(self.hours) if min(days) <= date.fromisoformat(file.stem) <= max(days)]

    def forecasts_of(self, region: str) -> list[Path]:
        """Oldest first."""
        kept = [file for file in _finished(self.forecasts / region) if file.stem.isdigit()]
        return sorted(kept, key=lambda file: int(file.stem))

    def arrived(self) -> list[Path]:
        return _finished(self.arriving)

    def hours_with_lines(self) -> list[int]:
        """Oldest first."""
        if not self.lines.is_dir():
            return []
        return sorted(hour_of(folder.name) for folder in self.lines.iterdir() if not folder.name.startswith("."))


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


def hour_name(hour: int) -> str:
    return datetime.fromtimestamp(hour * HOUR_S, UTC).strftime("%Y-%m-%dT%H")


def hour_of(name: str) -> int:
    return int(datetime.strptime(name, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()) // HOUR_S


def day_of(hour: int) -> date:
    return datetime.fromtimestamp(hour * HOUR_S, UTC).date()


def hours_of_day(day: date) -> range:
    first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // HOUR_S
    return range(first, first + _HOURS_OF_DAY)


def _finished(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".parquet" and not file.name.startswith("."))
    except FileNotFoundError:
        return []


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
