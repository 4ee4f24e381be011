from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.placement.paths import FORGOTTEN_AFTER_S, MOST_SITES, Paths, comparable, network_key, wider

NEAR, FAR = network_key("192.0.2.7"), network_key("198.51.100.7")


def learn(paths: Paths, address: str, site: str, rtt_ms: float, *, samples: int = 5, now: float = 0.0) -> None:
    paths.learn(network_key(address), site, rtt_ms, 10e6, samples, now)


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("192.0.2.1", "192.0.2.255", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("192.0.2.1", "::ffff:192.0.2.9", True),
        ("2001:db8:1:2::1", "2001:db8:1:ffff::2", True),
        ("2001:db8:1::", "2001:db8:2::", False),
        ("0.0.1.0", "::1", False),
    ],
)
def test_a_network_is_24_bits_of_ipv4_and_48_of_ipv6(one: str, other: str, are_same: bool) -> None:
    assert (network_key(one) == network_key(other)) is are_same


def test_what_is_no_address_has_no_network_and_nothing_is_learned_of_it() -> None:
    paths = Paths()
    for text in ("", "nonsense", "192.0.2", "192.0.2.256", "2001:db8", "\0"):
        assert network_key(text) == 0
    learn(paths, "nonsense", "north", 10)
    assert len(paths) == 0 and paths.rtt_ms(0, "north") is None and not paths.rtts(0)


def test_wider_networks_are_16_and_32_bits() -> None:
    assert wider(network_key("10.1.2.3")) == wider(network_key("10.1.9.9")) != wider(network_key("10.2.2.3"))
    assert wider(network_key("2001:db8:1::")) == wider(network_key("2001:db8:2::")) != wider(network_key("2001:db9::"))
    assert wider(network_key("10.1.2.3")) != wider(network_key("::a01:0:0:0:0:0"))


def test_a_way_is_known_from_three_samples_on() -> None:
    paths = Paths()
    learn(paths, "192.0.2.7", "north", 20, samples=2)
    assert paths.rtt_ms(NEAR, "north") is None and not paths.rtts(NEAR)
    learn(paths, "192.0.2.9", "north", 20, samples=1)
    assert paths.rtt_ms(NEAR, "north") == 20 and paths.rtts(NEAR) == {"north": 20}
    assert paths.rtt_ms(NEAR, "south") is paths.rtt_ms(FAR, "north") is None


def test_neighbours_are_answered_by_what_their_wider_network_knows() -> None:
    paths = Paths()
    learn(paths, "192.0.2.7", "north", 20, samples=9)
    neighbour = network_key("192.0.77.1")
    assert paths.rtt_ms(neighbour, "north") is None
    learn(paths, "192.0.3.7", "north", 30, samples=9)
    learn(paths, "192.0.3.7", "south", 99, samples=3)
    assert paths.rtt_ms(neighbour, "north") == 25 and paths.rtts(neighbour) == {"north": 25}
    assert paths.rtt_ms(NEAR, "north") == 20  # who is known better is answered by it
    assert paths.rtts(network_key("192.0.3.1")) == {"north": 30, "south": 99}


def test_an_estimate_is_smooth_and_follows_what_changes() -> None:
    paths, chance = Paths(), Random(3)
    for second in range(0, 3600, 60):
        learn(paths, "192.0.2.7", "north", 20 * chance.lognormvariate(0, 0.3), now=float(second))
    assert paths.rtt_ms(NEAR, "north") == pytest.approx(20, rel=0.12)
    for second in range(3600, 5400, 60):
        learn(paths, "192.0.2.7", "north", 50, now=float(second))
    assert paths.rtt_ms(NEAR, "north") == pytest.approx(50, rel=0.12)


def test_what_is_old_weighs_less_and_after_a_day_nothing() -> None:
    paths = Paths()
    for _ in range(10):
        learn(paths, "192.0.2.7", "north", 20, samples=9, now=0.0)
    learn(paths, "192.0.2.7", "north", 50, samples=9, now=6 * 3600.0)
    assert paths.rtt_ms(NEAR, "north") == pytest.approx(47, abs=1.5)
    learn(paths, "198.51.100.7", "north", 9, now=6 * 3600.0 + FORGOTTEN_AFTER_S)
    assert paths.rtt_ms(NEAR, "north") is None and not paths.rtts(NEAR)
    assert paths.rtt_ms(FAR, "north") == 9


@pytest.mark.parametrize("rtt_ms", [0.0, -5.0, 1e9, math.nan, math.inf])
def test_nonsense_is_not_learned(rtt_ms: float) -> None:
    paths = Paths()
    learn(paths, "192.0.2.7", "north", rtt_ms)
    assert not paths.ways(NEAR)


def test_rates_are_kept_beside_where_they_are_known() -> None:
    paths = Paths()
    paths.learn_throughput(NEAR, "north", 5e6)
    assert not paths.ways(NEAR)
    paths.learn(NEAR, "north", 20, 0, 3, 0.0)
    assert paths.ways(NEAR)["north"].rate_bps == 0
    paths.learn(NEAR, "north", 20, 8e6, 3, 0.0)
    paths.learn_throughput(NEAR, "north", 4e6)
    paths.learn(NEAR, "north", 20, 0, 3, 0.0)
    way = paths.ways(NEAR)["north"]
    assert (way.rtt_ms, way.rate_bps, way.player_bps) == (20, 8e6, 4e6)


def test_a_way_that_carries_much_less_than_another_counts_as_longer() -> None:
    paths = Paths()
    for site, rate_bps in (("good", 20e6), ("fair", 11e6), ("poor", 5e6), ("awful", 1e3), ("unknown", 0.0)):
        paths.learn(NEAR, site, 10, rate_bps, 5, 0.0)
    assert paths.rtts(NEAR) == {"good": 10, "fair": 10, "poor": 20, "awful": 40, "unknown": 10}
    assert paths.rtt_ms(NEAR, "awful") == 10
    for rate_bps in (8e6, 500_000):  # the second is what hls.js says when it does not know
        paths.learn_throughput(NEAR, "good", rate_bps)
    paths.learn_throughput(NEAR, "fair", 2e6)
    assert paths.rtts(NEAR)["fair"] == 20


@pytest.mark.parametrize("nonsense", [-1, -5e6, 1e15, pytest.param(10**400, id="huge"), math.inf, math.nan])
def test_rates_that_cannot_be_make_no_way_longer(nonsense: float) -> None:
    paths = Paths()
    for site, rate_bps in (("liar", nonsense), ("fair", 0), ("good", 5e6)):
        paths.learn(NEAR, site, 10, rate_bps, 5, 0.0)
    paths.learn_throughput(NEAR, "good", 5e6)
    paths.learn_throughput(NEAR, "liar", nonsense)
    assert paths.rtts(NEAR) == {"liar": 10, "fair": 10, "good": 10}


def test_memory_is_bounded_in_networks_and_sites() -> None:
    paths = Paths(most_networks=100)
    for number in range(1000):
        learn(paths, f"10.{number >> 8}.{number & 255}.1", "north", 20, now=float(number))
    assert 100 <= len(paths) <= 200
    assert paths.rtt_ms(network_key("10.3.231.9"), "north") == 20
    for number in range(100):
        learn(paths, "192.0.2.7", f"site-{number}", 20, now=1000.0 + number)
    assert set(paths.ways(NEAR)) == {f"site-{number}" for number in range(100 - MOST_SITES, 100)}


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.floats(0.1, 500), st.floats(5, 300))))
def test_what_is_comparable_is_in_the_same_order_and_never_longer(ways: dict[str, tuple[float, float]]) -> None:
    rtts = {site: measured for site, (measured, _) in ways.items()}
    less = comparable(rtts, lambda site: ways[site][1])
    assert sorted(rtts, key=rtts.__getitem__) == sorted(less, key=lambda site: (less[site], rtts[site]))
    assert all(less[site] <= rtts[site] + 1e-9 for site in rtts)


def test_a_slow_line_is_not_taken_for_a_long_way() -> None:
    rtts = {"near": 45.0, "far": 60.0}
    expected = {"near": 5.0, "far": 12.0}
    assert comparable(rtts, expected.__getitem__) == {"near": 15.0, "far": 30.0}
    assert comparable({"near": 4.0}, expected.__getitem__) == {"near": 4.0}


class Learned(NamedTuple):
    """Round trips in the mean over all networks: of what was chosen at first, over all rounds and in the end."""

    by_distance: float
    on_the_way: float
    in_the_end: float
    best: float


def learned_world(seed: int, rounds: int = 40, networks: int = 200, sites: int = 40) -> Learned:
    """Networks and sites on 4,000 km squared. Ways are 1.8 times as long as a cable would be, give or take half.

    Each round every network has a session at the site that seems the nearest, and two connections are measured.
    """
    chance, paths = Random(seed), Paths()
    places = [(chance.uniform(0, 4000), chance.uniform(0, 4000)) for _ in range(sites)]
    keys = [network_key(f"10.{number}.0.0") for number in range(networks)]
    true: list[dict[str, float]] = []
    expected: list[dict[str, float]] = []
    for _ in keys:
        here, line_ms = (chance.uniform(0, 4000), chance.uniform(0, 4000)), chance.uniform(3, 20)
        km = {f"site-{number}": math.dist(here, there) for number, there in enumerate(places)}
        stretch = {site: max(1.05, chance.lognormvariate(math.log(1.8), 0.45)) for site in km}
        true.append({site: line_ms + 2 + km[site] / 100 * stretch[site] for site in km})
        expected.append({site: 5 + 1.7 * km[site] / 100 for site in km})
    means = []
    for round in range(rounds):
        total = 0.0
        for key, truth, guess in zip(keys, true, expected, strict=True):
            seeming = {**guess, **comparable(paths.rtts(key), guess.__getitem__)}
            site = min(seeming, key=seeming.__getitem__)
            total += truth[site]
            paths.learn(key, site, truth[site] * chance.lognormvariate(0, 0.1), 0, 2, 60.0 * round)
        means.append(total / networks)
    best = sum(min(truth.values()) for truth in true) / networks
    return Learned(means[0], sum(means) / rounds, means[-1], best)


def test_what_is_learned_beats_distance_and_comes_near_the_truth() -> None:
    worlds = [learned_world(seed) for seed in range(4)]
    for world in worlds:
        assert world.in_the_end < world.by_distance
    regret = sum(world.in_the_end - world.best for world in worlds)
    regret_of_distance = sum(world.by_distance - world.best for world in worlds)
    assert regret < 0.35 * regret_of_distance
    assert sum(world.on_the_way - world.best for world in worlds) < 0.6 * regret_of_distance
