"""The most memory that we and all processes below us held at once, looked at ten times a second."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_EVERY_S = 0.1


class PeakMemory:
    """As long as the `with` block lasts; `size` is resident bytes beyond what we held before it. 0 without /proc."""

    def __init__(self) -> None:
        self.size = 0
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._before = _resident(os.getpid())
        self._looking.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._ended.wait(_EVERY_S):
            held = sum(_resident(pid) for pid in family(os.getpid()))
            self.size = max(self.size, held - self._before)


def family(pid: int) -> Iterator[int]:
    """The process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ended since
            for child in task.read_text().split():
                yield from family(int(child))


def _resident(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
