"""Progress a person can watch: a bar on a terminal, a plain line now and then elsewhere, nothing with --quiet.

All of it goes to standard error, so that standard output stays what a script reads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from config.units import show_duration

# A log is read by people: one line each five seconds is enough to see that something moves.
PLAIN_LINE_EVERY_S = 5.0


class Bar(Protocol):
    """What a step reports to: how much of its total is done, and a word on what it is doing."""

    def update(self, done: float, note: str = "") -> None: ...


class _Silent:
    def update(self, done: float, note: str = "") -> None:
        pass


class _RichBar:
    def __init__(self, progress: Progress, label: str, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total, note="")

    def update(self, done: float, note: str = "") -> None:
        self._progress.update(self._task, completed=done, note=note)


class _PlainBar:
    def __init__(self, label: str, total: float, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._label, self._total, self._write, self._clock = label, total, write, clock
        self._started = self._last = clock()

    def update(self, done: float, note: str = "") -> None:
        now = self._clock()
        if now - self._last < PLAIN_LINE_EVERY_S or not self._total:
            return
        self._last = now
        share = min(1.0, done / self._total)
        left = f", {show_duration((now - self._started) * (1 - share) / share)} left" if share > 0 else ""
        self._write(f"{self._label}: {share:.0%}{left}{' ' + note if note else ''}")


class Reporter:
    """Where a command tells what it does. `quiet` keeps everything but errors to itself."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet

    def say(self, text: str) -> None:
        """A line about what is going on now; not the command's result."""
        if not self._quiet:
            self._console.print(text, markup=False)

    @contextmanager
    def bar(self, label: str, total: float) -> Iterator[Bar]:
        """A step of `total` units of anything (seconds of film, bytes); the bar is gone when the step is."""
        if self._quiet:
            yield _Silent()
        elif self._console.is_terminal:
            columns = (
                TextColumn("{task.description:<18}"), BarColumn(), TaskProgressColumn(),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
            )  # fmt: skip
            with Progress(*columns, console=self._console, transient=True) as progress:
                yield _RichBar(progress, label, total)
        else:
            yield _PlainBar(label, total, self.say, time.monotonic)


def is_terminal() -> bool:
    """True if a person is likely to be reading standard output."""
    return sys.stdout.isatty()
