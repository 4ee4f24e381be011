from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from fill.simulate.outcome import Outcome
from fill.simulate.replay import POLICIES, Plan, simulate
from fill.simulate.source import Model
from fill.simulate.traces import Trace
from tests.fill.simulate.fleets import GBIT, one, site, source


@lru_cache
def outcome(seed: int = 1, disk: float = 0.3e12) -> Outcome:
    return simulate("base", one(disk), source(8, seed), Plan(POLICIES, 3))


def after_fill(seed: int, policy: str, disk: float = 0.3e12) -> float:
    return outcome(seed, disk).of(policy).total.offload_after_fill


SEEDS = (1, 2, 3)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("disk", [0.05e12, 0.3e12, 5e12])
def test_shares_are_shares_and_every_byte_is_counted_once(policy: str, disk: float) -> None:
    result = outcome(1, disk).of(policy)
    assert len(result.days) == 5
    for day in result.days:
        assert 0 <= day.offload <= 1
        assert day.offload_after_fill <= day.offload
        assert day.served == pytest.approx(day.local + day.elsewhere + day.upstream)
        assert day.written >= day.fill * 0.999


@pytest.mark.parametrize("disk", [0.05e12, 0.3e12, 5e12])
@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_exceeds_the_clairvoyant_after_fill(seed: int, disk: float) -> None:
    assert max(after_fill(seed, policy, disk) for policy in POLICIES) == after_fill(seed, "clairvoyant", disk)


def test_ours_is_no_worse_than_the_others_on_average() -> None:
    mean = {policy: np.mean([after_fill(seed, policy) for seed in SEEDS]) for policy in POLICIES}
    others = max(mean[policy] for policy in ("no-fill", "lru", "s3-fifo", "sieve", "yesterday", "title-level"))
    assert mean["ours"] >= others
    assert mean["ours"] >= mean["ours-by-night"]
    assert mean["yesterday"] >= mean["title-level"]


def test_without_fill_everything_comes_from_upstream() -> None:
    total = outcome().of("no-fill").total
    assert (total.local, total.upstream) == (0, total.served)


def test_the_same_seed_gives_the_same_result_and_another_does_not() -> None:
    again = simulate("base", one(), source(8, 1), Plan(POLICIES, 3))
    assert again == outcome(1)
    assert again != outcome(2)


def test_what_comes_later_does_not_change_earlier_days() -> None:
    """The last two days are dealt out anew: a policy that looked ahead would have planned for what was there."""
    policies = [policy for policy in POLICIES if policy not in ("oracle-by-night", "clairvoyant")]
    recorded = drawn(source(8))
    rng = np.random.default_rng(9)
    days = recorded.by_site["one"]
    files = rng.permutation(len(recorded.catalogue.size))
    other = replace(recorded, by_site={"one": (*days[:6], *(day._replace(files=files[day.files]) for day in days[6:]))})
    before, after = (simulate("base", one(), trace, Plan(policies, 2)) for trace in (recorded, other))
    for policy in policies:
        assert after.of(policy).days[:4] == before.of(policy).days[:4]
        if policy != "no-fill":
            assert after.of(policy).days[4:] != before.of(policy).days[4:]


def drawn(model: Model) -> Trace:
    """A model's requests, as if they had been recorded."""
    days = tuple(model.requests("one", "de", GBIT, day) for day in range(model.days))
    return Trace(model.catalogue, model.days, {"one": days})


def test_an_appliance_never_serves_more_than_it_can() -> None:
    busy = replace(one(5e12)[0], boxes=(replace(one(5e12)[0].boxes[0], capacity=int(0.3 * GBIT)),))
    found = simulate("base", (busy,), source(6), Plan(POLICIES, 2))
    for result in found.results:
        assert result.sites[0].peak_served_bps <= 0.3 * GBIT * 1.001
    assert found.of("clairvoyant").total.offload < 0.7


def test_the_night_brings_no_more_than_the_window() -> None:
    slow = replace(one()[0], rate=10**6, window_h=4.0)
    found = simulate("base", (slow,), source(6), Plan(("yesterday", "ours"), 2))
    for result in found.results:
        assert all(day.fill <= 4 * 3600 * 10**6 / 8 for day in result.days)
    assert found.of("yesterday").total.put_off > 0


def test_sites_that_are_alike_count_as_many_as_they_are() -> None:
    single, three = (
        simulate("base", (replace(site(), count=count),), source(6), Plan(("ours", "lru"), 2)) for count in (1, 3)
    )
    for policy in ("ours", "lru"):
        assert three.of(policy).total.served == pytest.approx(3 * single.of(policy).total.served)
        assert three.of(policy).total.offload == pytest.approx(single.of(policy).total.offload, abs=0.02)


def test_peaks_of_other_time_zones_do_not_add_up() -> None:
    def peak(offset: int) -> float:
        fleet = (site("a"), replace(site("a2"), pattern="a", offset_h=offset))
        return simulate("base", fleet, source(6), Plan(("no-fill",), 2)).of("no-fill").total.peak_bps

    assert peak(8) < 0.85 * peak(0)
