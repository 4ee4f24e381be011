from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.placement import order

NAMES = st.lists(st.text("abcdefgh123", min_size=1, max_size=4), min_size=1, max_size=8, unique=True)
KEYS = [f"title-{number}/package" for number in range(300)]


@given(NAMES, st.text(max_size=20))
def test_every_appliance_is_in_the_order_once(names: list[str], key: str) -> None:
    assert sorted(order(key, dict.fromkeys(names, 1.0))) == sorted(names)


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
    after = {key: order(key, {**dict.fromkeys(names, 1.0), "added": weight})[0] for key in KEYS[:50]}
    assert all(after[key] in (before[key], "added") for key in before)


def test_shares_follow_the_weights() -> None:
    keys = [f"title-{number}" for number in range(20_000)]
    firsts = Counter(order(key, {"small": 1.0, "large": 3.0})[0] for key in keys)
    assert firsts["large"] / len(keys) == pytest.approx(0.75, abs=0.015)
