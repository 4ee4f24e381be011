"""How much processor time each stage of an encode takes: of all tools that it runs, and of ourselves.

Stages are told apart by the bar that the encoder shows for each, for they come one after the other. What scoring takes
within one stands beside it, under "{label} VMAF": the log says of each tool that ended how much it took.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from config.progress import Bar, Reporter
from encoder.report import costs

_TOOLS = logging.getLogger("encoder.running.process")


class Metered(costs.Metered):
    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(Reporter(quiet=quiet))

    @contextmanager
    def bar(self, label: str, total: float) -> Iterator[Bar]:
        with _scoring() as scoring:
            try:
                with super().bar(label, total) as bar:
                    yield bar
            finally:
                if scoring.cpu_s:
                    self._add(label, -scoring.cpu_s)
                    self._add(f"{label} VMAF", scoring.cpu_s)


class _Scoring(logging.Handler):
    """Adds up what the tools that score took."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.cpu_s = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "ended" and "libvmaf" in record.__dict__["argv"]:
            self.cpu_s += record.__dict__["cpu_s"]


@contextmanager
def _scoring() -> Iterator[_Scoring]:
    handler, level, propagate = _Scoring(), _TOOLS.level, _TOOLS.propagate
    _TOOLS.addHandler(handler)
    _TOOLS.setLevel(logging.DEBUG)
    _TOOLS.propagate = False  # nobody else asked for these lines
    try:
        yield handler
    finally:
        _TOOLS.removeHandler(handler)
        _TOOLS.setLevel(level)
        _TOOLS.propagate = propagate
