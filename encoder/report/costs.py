"""Processor time of each stage of an encode: of all tools that it runs here, and of ourselves.

Stages are told apart by the bar that each shows, for they come one after the other. Kept beside the finished steps, or
a report of an encode that was killed and resumed would tell only of its end; what a killed stage had spent is lost.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.progress import Bar, Reporter
from encoder.report.facts import Cost

_FILE = "costs.json"


class Metered(Reporter):
    """Says and shows what `inner` does."""

    def __init__(self, inner: Reporter) -> None:
        super().__init__(quiet=True)
        self._inner = inner
        self.cpu_s: dict[str, float] = {}  # by label
        self._folder: Path | None = None

    def keep_in(self, folder: Path) -> None:
        """Goes on from what an earlier run left in `folder`, and leaves there what this one adds."""
        self._folder = folder
        with suppress(OSError, ValueError):
            for label, cpu_s in json.loads((folder / _FILE).read_text()).items():
                self._add(label, cpu_s)

    def say(self, text: str) -> None:
        self._inner.say(text)

    @contextmanager
    def bar(self, label: str, total: float) -> Iterator[Bar]:
        before = cpu_s()
        try:
            with self._inner.bar(label, total) as bar:
                yield bar
        finally:
            self._add(label, cpu_s() - before)
            if self._folder is not None:
                # A number for people: an encode does not end for it.
                with suppress(OSError):
                    (self._folder / _FILE).write_text(json.dumps(self.cpu_s))

    def _add(self, label: str, spent_s: float) -> None:
        self.cpu_s[label] = self.cpu_s.get(label, 0.0) + spent_s

    def costs(self) -> tuple[Cost, ...]:
        return tuple(Cost(label, round(spent_s, 2)) for label, spent_s in self.cpu_s.items())


def cpu_s() -> float:
    """Seconds of processor time so far, of this process and of its children that ended."""
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    here = os.times()
    return of_children.ru_utime + of_children.ru_stime + here.user + here.system
