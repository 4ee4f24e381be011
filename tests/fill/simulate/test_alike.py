from __future__ import annotations

from dataclasses import replace

import pytest

from fill.simulate.alike import group
from fill.simulate.fleet import Fleet
from fill.simulate.replay import Plan, simulate
from tests.fill.simulate.fleets import GBIT, site, source


def fleet(count: int = 300) -> Fleet:
    return tuple(
        site(f"s{number}", viewers=(1 + number % 90 / 100) * GBIT, disk=(0.2 + number % 7 / 100) * 1e12)
        for number in range(count)
    )


def test_a_small_fleet_is_simulated_site_by_site() -> None:
    found = group(fleet(50), 100)
    assert found.within == 1
    assert [kind.members for kind in found.kinds] == [(one,) for one in fleet(50)]


def test_every_site_is_in_one_kind_that_serves_as_many_viewers() -> None:
    found = group(fleet(), 40)
    assert len(found.kinds) <= 40
    assert 1 < found.within <= 2
    assert sorted(one.name for kind in found.kinds for one in kind.members) == sorted(one.name for one in fleet())
    for key in ("viewers", "disk"):
        assert sum(getattr(kind.site, key) * kind.site.count for kind in found.kinds) == pytest.approx(
            sum(getattr(one, key) for one in fleet()), rel=1e-6
        )


def test_a_kind_has_the_mean_night_of_its_sites() -> None:
    slow, fast = (replace(site(str(rate), disk=1e12), rate=rate, window_h=10.0) for rate in (10**6, 10**6 + 10**4))
    other = replace(site("other", disk=1e12), rate=10**8)
    kinds = group((slow, fast, other), 2).kinds
    assert [[one.name for one in kind.members] for kind in kinds] == [[slow.name, fast.name], ["other"]]
    assert kinds[0].site.night_bytes == pytest.approx((slow.night_bytes + fast.night_bytes) / 2, rel=1e-5)


def test_what_is_asked_about_stays_by_itself() -> None:
    sites = (replace(fleet()[0], is_lost=True), *fleet()[1:])
    found = group(sites, 10, apart={"s7"})
    alone = {kind.site.name for kind in found.kinds if len(kind.members) == 1}
    assert {"s0", "s7"} <= alone


def test_regions_are_never_taken_together() -> None:
    sites = tuple(replace(one, region=f"r{number % 30}") for number, one in enumerate(fleet()))
    assert all(len({one.region for one in kind.members}) == 1 for kind in group(sites, 10).kinds)


def test_a_site_in_a_kind_is_told_of_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fill.simulate.replay.MOST_KINDS", 10)
    found = simulate("base", fleet(100), source(4), Plan(("no-fill",), 2)).of("no-fill")
    by_name = {one.name: one for one in found.sites}
    assert len(by_name) == 100
    assert by_name["s89"].peak_demand_bps == pytest.approx(1.89 * by_name["s0"].peak_demand_bps, rel=0.2)
    assert by_name["s89"].capacity_bps == 2 * GBIT
