"""BD-rate and sessions on curves whose difference is known."""

from __future__ import annotations

import math

import pytest

from bench.encode.curves import Point, bd_rate, rising, session

LADDER = [Point(200e3, 45), Point(500e3, 65), Point(1e6, 78), Point(2e6, 88), Point(4e6, 94)]


def scaled(factor: float) -> list[Point]:
    return [Point(point.bps * factor, point.vmaf) for point in LADDER]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.3])
def test_a_curve_of_the_same_quality_for_a_part_of_the_bits_differs_by_that_part(factor: float) -> None:
    found = bd_rate(scaled(factor), LADDER)
    assert found.pchip == pytest.approx(factor - 1)
    assert found.makima == pytest.approx(factor - 1)
    assert (found.low_vmaf, found.high_vmaf, found.points, found.is_sound) == (45, 94, 5, True)


def test_curves_that_share_no_quality_cannot_be_compared() -> None:
    found = bd_rate([Point(1e5, 20), Point(2e5, 40)], LADDER)
    assert math.isnan(found.pchip) and not found.is_sound


def test_a_few_points_are_no_sound_curve() -> None:
    assert not bd_rate(LADDER[:4], scaled(0.9)[:4]).is_sound


def test_a_rung_that_costs_more_and_looks_no_better_does_not_count() -> None:
    assert rising([*LADDER, Point(3e6, 85)]) == LADDER


def test_a_session_gets_the_best_rung_that_its_link_carries() -> None:
    one = session([Point(1e6, 80)])
    assert (one.vmaf, one.bps) == (80, 1e6)
    two = session([Point(100e3, 40), Point(5e6, 95)])
    # Links from 6.25 Mbit/s on carry the second: ln(15/6.25) of ln(75).
    share = math.log(15 / 6.25) / math.log(75)
    assert two.vmaf == pytest.approx(40 + 55 * share, abs=0.2)
