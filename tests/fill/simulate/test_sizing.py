from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import pytest

from fill.simulate.fleet import Site
from fill.simulate.models import Shape, synthetic
from fill.simulate.sizing import Sizing, appliances_needed, size


@lru_cache
def sizing(viewers: float = 30e9) -> Sizing:
    source = synthetic(Shape(titles=2000), 4, ["default"], 1)
    return size(source, Site("new", (), viewers=viewers, rate=10**9), 2)


def test_more_disk_serves_no_less_and_the_next_tb_brings_less_and_less() -> None:
    options = [option for option in sizing().options if option.capacity == 100 * 10**9]
    assert all(one.offload <= two.offload + 0.01 for one, two in pairwise(options))
    assert options[0].next_tb_bps > options[-1].next_tb_bps == 0


def test_fill_is_counted_in_bytes_and_hours_of_the_window() -> None:
    for option in sizing().options:
        assert option.fill_hours * 3600 * 10**9 * option.appliances / 8 == pytest.approx(option.fill_night)
        assert option.first_fill_nights > 0


def test_appliances_are_as_many_as_the_peak_needs() -> None:
    assert [appliances_needed(30e9, capacity * 10**9) for capacity in (20, 40, 100)] == [2, 1, 1]
    assert appliances_needed(33e9, 40 * 10**9) == 2


def test_the_recommended_one_is_of_the_fewest_and_its_double_is_hardly_better() -> None:
    found = sizing()
    assert found.recommended.appliances == min(option.appliances for option in found.options)
    double = next(o for o in found.options if o.disk == 2 * found.recommended.disk and o.capacity == 100 * 10**9)
    assert double.offload_after_fill - found.recommended.offload_after_fill < 0.02


def test_a_site_of_another_time_or_reserve_is_as_large() -> None:
    source = synthetic(Shape(titles=500), 4, ["default"], 1)
    site = Site("new", (), viewers=5e9)
    one, two = (size(source, each, 2).recommended.disk for each in (site, replace(site, offset_h=3)))
    assert one == two


def test_the_reasons_tell_fill_by_night_and_month_and_the_first_nights() -> None:
    found = sizing()
    assert found.reasons[0].startswith("Recommended: 1 appliance of ")
    assert " a night and " in found.reasons[3]
    assert "The first fill takes" in found.reasons[3]
    assert found.reasons[-1].startswith("If it fails, everything comes from upstream")


def test_many_appliances_are_spoken_of_in_plural() -> None:
    source = synthetic(Shape(titles=300), 3, ["default"], 1)
    reasons = size(source, Site("new", (), viewers=500e9, rate=10**9), 1).reasons
    assert reasons[0].startswith("Recommended: 7 appliances of 10 TB and 100 Gbit/s each.")
    assert reasons[-1] == "If one fails, the others can serve the whole peak."
    assert any(reason.endswith("more disk would serve nothing more.") for reason in reasons)
