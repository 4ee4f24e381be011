"""What the fixed ladder would be, and what ours saves beside it."""

from __future__ import annotations

import math

import pytest

from encoder.per_title.curves import whole
from encoder.report.estimate import Point, fixed_points, saving
from tests.encoder.report.conftest import pieces, rung

OURS = (Point("a", 2e6, 94), Point("b", 1e6, 84), Point("c", 5e5, 72))


def test_a_fixed_rung_is_what_the_trials_say_at_its_size_and_factor() -> None:
    (found,) = fixed_points(pieces(), [rung("v270", 270, 24, vmaf=0)], 24.0)
    expected = whole(pieces(), 270, 24)
    assert (found.bps, found.vmaf) == (expected.bits * 24, expected.vmaf)


def test_a_cap_holds_the_bits_of_a_fixed_rung_and_its_quality() -> None:
    (free,) = fixed_points(pieces(), [rung("v360", 360, 14, vmaf=0)], 24.0)
    assert free.bps == pytest.approx(2_000_000)
    assert free.vmaf < whole(pieces(), 360, 14).vmaf


def test_without_trials_nothing_is_estimated() -> None:
    assert fixed_points((), [rung("v360", 360, 21, vmaf=0)], 24.0) == ()
    assert saving(OURS, ()) is None


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3])
def test_the_same_quality_for_a_part_of_the_bits_is_that_saving(factor: float) -> None:
    found = saving([one._replace(bps=one.bps * factor) for one in OURS], OURS)
    assert found is not None
    assert found.storage == pytest.approx(factor - 1)
    assert found.at_equal_quality == pytest.approx(factor - 1)
    assert (found.low_vmaf, found.high_vmaf) == (72, 94)


def test_ladders_that_share_no_quality_are_compared_by_storage_alone() -> None:
    found = saving(OURS, [Point("x", 1e5, 30), Point("y", 2e5, 50)])
    assert found is not None and math.isnan(found.at_equal_quality) and found.storage > 0
