"""What is told apart of an encode's processor time."""

from __future__ import annotations

import logging
import sys

import pytest

from bench.encode.metered import Metered
from encoder.running.process import Tools

# A tenth of a second and more.
BUSY = "sum(range(5_000_000))"


def test_what_scoring_takes_stands_beside_its_stage(tools: Tools) -> None:
    meter = Metered(quiet=True)
    with meter.bar("video", 1.0):
        tools.run([sys.executable, "-c", BUSY, "libvmaf"], "".join)
        tools.run([sys.executable, "-c", BUSY], "".join)
    scoring, rest = meter.cpu_s["video VMAF"], meter.cpu_s["video"]
    assert scoring > 0.02
    assert 0.2 < rest / scoring < 5
    with meter.bar("shots", 1.0):
        tools.run([sys.executable, "-c", BUSY], "".join)
    assert "shots VMAF" not in meter.cpu_s


def test_lines_that_only_the_meter_asked_for_are_seen_by_nobody_else(
    tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    with Metered(quiet=True).bar("video", 1.0):
        tools.run([sys.executable, "-c", ""], "".join)
    assert not caplog.records
    assert logging.getLogger("encoder.running.process").propagate
