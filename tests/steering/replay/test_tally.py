from __future__ import annotations

import math

import pytest

from steering.replay.tally import Sent, Tally


def test_offload_is_the_part_of_the_bits_that_stay_near() -> None:
    tally = Tally()
    tally.add(Sent("a1", "north", "", 0.0), 300.0)
    tally.add(Sent("s1", "south", "capacity", 400.0), 100.0)
    assert tally.offload == 0.75
    assert dict(tally.bits_away) == {"capacity": 100.0}


def test_who_is_sent_to_no_appliance_has_no_way() -> None:
    tally = Tally()
    tally.add(Sent("origin", "", "route", math.inf), 1.0)
    tally.add(Sent("x1", "unheard-of", "health", math.inf), 1.0)
    assert dict(tally.far) == {"origin": 1}
    assert tally.unknown_way == 1
    assert (tally.mean_km(), tally.percentile_km(0.5)) == (0.0, 0)


def test_distances_have_a_mean_and_percentiles() -> None:
    tally = Tally()
    for kilometres in range(100):
        tally.add(Sent("a1", "north", "", float(kilometres)), 1.0)
    assert tally.mean_km() == pytest.approx(49.5)
    assert [tally.percentile_km(part) for part in (0.5, 0.9, 0.99, 1.0)] == [49, 89, 98, 99]
