"""How much processor time each stage of an encode takes: of all tools that it runs, and of ourselves.

Stages are told apart by the bar that the encoder shows for each, for they come one after the other.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from config.progress import Bar, Reporter


class Metered(Reporter):
    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self.cpu_s: dict[str, float] = {}  # by label

    @contextmanager
    def bar(self, label: str, total: float) -> Iterator[Bar]:
        before = cpu_s()
        try:
            with super().bar(label, total) as bar:
                yield bar
        finally:
            self.cpu_s[label] = self.cpu_s.get(label, 0.0) + cpu_s() - before


def cpu_s() -> float:
    """Seconds of processor time so far, of this process and of its children that ended."""
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    here = os.times()
    return of_children.ru_utime + of_children.ru_stime + here.user + here.system
