from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.planner.spread import EXTRA_BYTES, hashed, homes, order, place, split, weights

NAMES = st.lists(st.text("abcdefgh123", min_size=1, max_size=4), min_size=1, max_size=8, unique=True)
KEYS = [f"title-{number}/package" for number in range(300)]


@given(NAMES, st.text(max_size=20))
def test_every_appliance_is_in_the_order_once(names: list[str], key: str) -> None:
    assert sorted(order(key, dict.fromkeys(names, 1.0))) == sorted(names)


def test_nobody_is_home_in_an_empty_cluster() -> None:
    assert order("a", {}) == []


@given(NAMES, st.text(max_size=20))
def test_the_order_does_not_depend_on_how_the_fleet_is_listed(names: list[str], key: str) -> None:
    weights = {name: float(position + 1) for position, name in enumerate(names)}
    assert order(key, weights) == order(key, dict(reversed(weights.items())))


@given(NAMES)
def test_losing_an_appliance_moves_only_what_it_was_home_to(names: list[str]) -> None:
    lost, *left = names
    for key in KEYS[:50]:
        before = order(key, dict.fromkeys(names, 1.0))
        if left:
            assert order(key, dict.fromkeys(left, 1.0)) == [name for name in before if name != lost]


@given(NAMES, st.floats(0.1, 10))
def test_an_added_appliance_takes_its_share_and_moves_nothing_else(names: list[str], weight: float) -> None:
    before = {key: order(key, dict.fromkeys(names, 1.0))[0] for key in KEYS[:50]}
    after = {key: order(key, {**dict.fromkeys(names, 1.0), "new": weight})[0] for key in KEYS[:50]}
    assert all(after[key] in (before[key], "new") for key in before)


def test_a_weight_is_a_share() -> None:
    keys = hashed([f"title-{number}" for number in range(30_000)])
    first = Counter(homes(keys, ["a", "b", "c"], np.array([1.0, 2.0, 4.0]), 1)[:, 0].tolist())
    shares = [first[position] / len(keys) for position in range(3)]
    assert shares == pytest.approx([1 / 7, 2 / 7, 4 / 7], abs=0.01)


def test_many_keys_at_once_have_the_homes_of_each_alone() -> None:
    named = {"a": 1.0, "b": 2.0, "c": 0.5}
    rows = homes(hashed(KEYS[:20]), list(named), np.array(list(named.values())))
    assert [[list(named)[place] for place in row] for row in rows] == [order(key, named) for key in KEYS[:20]]


@pytest.mark.parametrize(("appliances", "limit"), [(10, 1.01), (30, 1.02)])
def test_one_percent_of_copies_evens_the_load_of_a_cluster(appliances: int, limit: float) -> None:
    load, size = 1 / np.arange(1.0, 20_001), np.full(20_000, 2**30)
    keys = hashed([f"title-{number}" for number in range(20_000)])
    rates = np.ones(appliances)
    ordered = homes(keys, [f"box-{number}" for number in range(appliances)], rates)
    places = place(load, size, ordered, rates)
    assert (places >= 0).sum() <= 20_000 * (1 + EXTRA_BYTES)
    _, loads = split(load, places, rates)
    assert loads.max() / loads.mean() <= limit


@given(
    st.lists(st.tuples(st.floats(0, 100, allow_subnormal=False), st.integers(1, 100)), min_size=1, max_size=12),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=5),
    st.floats(0, 1),
)
def test_a_split_serves_everything_and_copies_stay_within_their_bytes(
    packages: list[tuple[float, int]], rates: list[float], extra: float
) -> None:
    load = np.array([amount for amount, _ in packages])
    size = np.array([one for _, one in packages], dtype=np.int64)
    ordered = homes(hashed(KEYS[: len(load)]), [f"box-{n}" for n in range(len(rates))], np.array(rates))
    places = place(load, size, ordered, np.array(rates), extra=extra)
    held = [[int(one) for one in row if one >= 0] for row in places]
    assert all(len(row) == len(set(row)) >= 1 for row in held)
    assert sum((len(row) - 1) * one for row, one in zip(held, size, strict=True)) <= size.sum() * extra
    share, loads = split(load, places, np.array(rates))
    assert share[load > 0].sum(axis=1) == pytest.approx(1.0)
    assert loads.sum() == pytest.approx(load.sum())
    assert not share[places < 0].any()


def test_as_many_copies_as_are_demanded_are_made_whatever_they_cost() -> None:
    ordered = homes(hashed(KEYS[:3]), ["a", "b", "c"], np.ones(3))
    least = np.array([3, 1, 2])
    places = place(np.ones(3), np.ones(3, dtype=np.int64), ordered, np.ones(3), least=least, extra=0.0)
    assert (places >= 0).sum(axis=1).tolist() == [3, 1, 2]


def test_alike_appliances_weigh_alike_and_unlike_ones_store_or_serve() -> None:
    load, size = 1 / np.arange(1.0, 1001), np.ones(1000, dtype=np.int64)
    alike, head = weights(np.ones(4), np.ones(4), load, size)
    assert head == 0
    assert len(set(alike.tail)) == 1
    disks, rates = np.array([200.0, 40.0]), np.array([1.0, 4.0])
    drawn, head = weights(disks, rates, load, size)
    used = drawn.head * size[:head].sum() + drawn.tail * size[head:].sum()
    served = drawn.head * load[:head].sum() + drawn.tail * load[head:].sum()
    assert used / used.sum() == pytest.approx(disks / disks.sum(), abs=0.05)
    assert served / served.sum() == pytest.approx(rates / rates.sum(), abs=0.05)


def test_weights_of_nothing_are_weights() -> None:
    for disks in (np.zeros(3), np.array([np.nan, 1.0, 0.0])):
        drawn, _ = weights(disks, np.ones(3), np.empty(0), np.empty(0, dtype=np.int64))
        assert (drawn.head > 0).all()
