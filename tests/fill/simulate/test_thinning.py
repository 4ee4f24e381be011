from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.simulate.fleet import Box, Site
from fill.simulate.models import Shape, synthetic
from fill.simulate.replay import Plan, simulate
from fill.simulate.source import Model
from fill.simulate.thinning import choose, thin
from fill.simulate.traces import Asked, Trace, from_requests

MODEL = synthetic(Shape(titles=900), 6, ["de"], 1)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=300), st.integers(2, 50), st.integers(0, 9))
def test_those_that_are_kept_stand_for_all(watched: list[float], most: int, seed: int) -> None:
    standing = choose(np.array(watched), most, np.random.default_rng(seed))
    assert standing.number.sum() == len(watched)
    assert len(set(standing.titles.tolist())) == len(standing.titles) == len(standing.number)
    assert len(standing.titles) <= max(most, len(watched) // 2)


def test_the_most_watched_stand_for_themselves() -> None:
    standing = choose(np.arange(1000.0), 100, np.random.default_rng(0))
    assert standing.titles[0] == 999
    assert (np.diff(standing.number[:-1]) >= 0).all()
    assert standing.number[0] == 1


def test_a_thinner_catalogue_is_as_large_and_as_much_watched() -> None:
    thinner = thin(MODEL, 2000, 0)
    assert isinstance(thinner, Model)
    assert len(thinner.catalogue.size) <= 2000
    assert thinner.catalogue.total_bytes == pytest.approx(MODEL.catalogue.total_bytes, rel=0.1)
    bytes_of = [float((model.plays["de"] @ model.catalogue.size).sum()) for model in (MODEL, thinner)]
    assert bytes_of[1] == pytest.approx(bytes_of[0], rel=0.1)


def test_what_is_small_enough_stays_as_it_is() -> None:
    assert thin(MODEL, 10_000, 0) is MODEL


def test_policies_do_as_well_on_a_thinner_catalogue() -> None:
    plan = Plan(("lru", "ours", "clairvoyant"), 2)
    fleet = (Site("one", (Box(int(MODEL.catalogue.total_bytes * 0.2), 10**12),), viewers=5e9, region="de"),)
    whole, sampled = (simulate("base", fleet, model, plan) for model in (MODEL, thin(MODEL, 3000, 0)))
    for policy in plan.policies:
        assert sampled.of(policy).total.offload == pytest.approx(whole.of(policy).total.offload, abs=0.03)


def test_a_trace_keeps_the_requests_of_the_titles_that_are_kept() -> None:
    rng = np.random.default_rng(3)
    rows = [Asked(60.0 * n, f"t{rng.integers(40)}/v.mp4", 1000.0) for n in range(2000)]
    trace = from_requests(rows, 3, 10_000)
    thinner = thin(trace, 20, 0)
    assert isinstance(thinner, Trace)
    assert len(thinner.catalogue.size) <= 20
    assert thinner.catalogue.total_bytes == trace.catalogue.total_bytes
    asked = [sum(len(day.files) for day in one.by_site[""]) for one in (trace, thinner)]
    assert 0 < asked[1] < asked[0]
