"""The sessions that began, from steering's logs of decisions, in the order of their times.

Several workers write one log and flush it each second, so its lines are out of order by about that. Logs of several
steering servers, and those that were moved away, compressed or not, are read side by side.
"""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from steering.errors import ReplayError
from steering.placement.sites import By

# A worker flushes its lines each second; one that is busy comes later.
_LATENESS_S = 5.0
_LINES_BETWEEN_NOTES = 1000


class Play(msgspec.Struct, frozen=True):
    """A session that began, as far as a replay reads of `steering.decisions.Decided`."""

    time: float
    kind: str
    session: str
    client: str
    title: str
    package: str
    site: str
    by: By
    first: str
    first_site: str
    alternates: tuple[str, ...] = ()


@dataclass
class Seen:
    """What was read of the logs."""

    plays: int = 0  # in the time that is asked for
    others: int = 0  # polls, and what is outside of it
    broken: int = 0
    unreadable: dict[Path, str] = field(default_factory=dict)  # the rest of these


class PlayLogs:
    def __init__(self, paths: Sequence[Path], since: float, until: float) -> None:
        """Raises ReplayError if one of them is not there."""
        self._since, self._until = since, until
        try:
            # What was written last before `since` has nothing after it.
            self._paths = [path for path in paths if path.stat().st_mtime >= since]
            self.size_bytes = sum(path.stat().st_size for path in self._paths)
        except OSError as error:
            raise ReplayError(f"log of decisions {error.filename}: {error.strerror}") from error
        self.seen = Seen()

    def read(self, note: Callable[[int], None] | None = None) -> Iterator[Play]:
        """`note` is told now and then how many bytes of the files were read."""
        self.seen = Seen()
        done = dict.fromkeys(self._paths, 0)

        def read_to(path: Path, position: int) -> None:
            done[path] = position
            if note is not None:
                note(sum(done.values()))

        logs = [_in_order(self._plays(path, read_to)) for path in self._paths]
        return heapq.merge(*logs, key=lambda play: play.time)

    def _plays(self, path: Path, read_to: Callable[[Path, int], None]) -> Iterator[Play]:
        decoder, seen = msgspec.json.Decoder(Play), self.seen
        try:
            with path.open("rb") as raw, _unpacked(path, raw) as data:
                for number, line in enumerate(data):
                    if number % _LINES_BETWEEN_NOTES == 0:
                        read_to(path, raw.tell())
                    try:
                        play = decoder.decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        seen.broken += bool(line.strip())
                        continue
                    if play.kind == "play" and self._since <= play.time <= self._until:
                        seen.plays += 1
                        yield play
                    else:
                        seen.others += 1
        except (OSError, EOFError, zlib.error) as error:
            seen.unreadable[path] = getattr(error, "strerror", None) or str(error)


def _unpacked(path: Path, raw: BinaryIO) -> AbstractContextManager[BinaryIO]:
    return cast(BinaryIO, gzip.open(raw)) if path.suffix == ".gz" else nullcontext(raw)


def _in_order(plays: Iterator[Play]) -> Iterator[Play]:
    ahead: list[tuple[float, int, Play]] = []
    for number, play in enumerate(plays):
        heapq.heappush(ahead, (play.time, number, play))
        while ahead[0][0] <= play.time - _LATENESS_S:
            yield heapq.heappop(ahead)[2]
    while ahead:
        yield heapq.heappop(ahead)[2]
