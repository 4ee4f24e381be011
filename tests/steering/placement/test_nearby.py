"""The order of the sites for a place, kept while sites die and revive."""

from __future__ import annotations

from itertools import groupby, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.steering import SiteSettings
from steering.appliances.roll import Appliance, Cluster, Health, Roll
from steering.placement.geography import Point
from steering.placement.nearby import MOST_EQUAL, MOST_UNKNOWN, OTHER, UNKNOWN, Grade, Nearby, expected_ms, step
from steering.placement.sites import By, Placement, Sites
from tests.steering.values import appliance


def site(number: int, latitude: float = 0.0, longitude: float = 0.0, **changes: Any) -> SiteSettings:
    return SiteSettings(name=f"s{number}", latitude=latitude, longitude=longitude, **changes)


def at(sites: Sites, name: str, by: By = By.PREFIX) -> Placement:
    return Placement(name, by, "192.0.2.1", 24, sites.point(name))


def walked(nearby: Nearby, placement: Placement, seed: float = 0) -> list[tuple[Grade, list[str]]]:
    """The rungs of a walk, as far as somebody is healthy there."""
    alive = (
        (grade, [one.site for one in clusters if nearby.roll.is_healthy(one)])
        for grade, clusters in nearby.place(placement).rungs(seed)
    )
    return [(grade, sites) for grade, sites in alive if sites]


def met(nearby: Nearby, placement: Placement, seed: float = 0, most: int | None = None) -> list[list[str]]:
    """The sites of each rung, whoever is healthy there."""
    return [[one.site for one in clusters] for _, clusters in islice(nearby.place(placement).rungs(seed), most)]


def in_order(nearby: Nearby, placement: Placement) -> list[tuple[Grade, list[str]]]:
    """The same from all sites, by nothing but their grades."""
    names = {*(one.name for one in nearby.sites.declared), *nearby.roll.appeared}
    graded = sorted((nearby.place(placement).grade(name), name) for name in names if nearby.roll.healthy_at(name))
    return [(grade, [name for _, name in group]) for grade, group in groupby(graded, key=lambda one: one[0])]


# A few at one place, some in a row, some nowhere, of several peerings and costs.
DECLARED = [
    *(site(number, 59.9, 10.7) for number in range(3)),
    *(site(number, 50, number * 1.5) for number in range(3, 40)),
    *(site(number, 50, number * 1.5, peering="private", cost=number % 2) for number in range(40, 50)),
    *(site(number) for number in range(50, 54)),
]
WORLD = Sites(DECLARED)
everywhere = st.sampled_from([*(one.name for one in DECLARED), "undeclared", "unheard-of"])
changes = st.lists(st.tuples(everywhere, st.sampled_from([Health.HEALTHY, Health.FULL, Health.LOST])), max_size=60)


@settings(max_examples=150)
@given(st.lists(changes, max_size=6), st.sampled_from(["s0", "s5", "s39", "s52", "nowhere", "north sea"]))
def test_a_walk_meets_all_sites_where_somebody_is_healthy_by_grade(
    steps: list[list[tuple[str, Health]]], where: str
) -> None:
    roll = Roll()
    nearby = Nearby(WORLD, roll)
    placement = at(WORLD, where)
    if where == "nowhere":
        placement = Placement("", By.NOTHING, "192.0.2.1")
    elif where == "north sea":
        placement = Placement("s0", By.GEOGRAPHY, "192.0.2.1", point=Point(56.1, 3.2))
    for changed in steps:
        for name, health in changed:
            one = roll.by_name.get(f"at-{name}")
            if one is None:
                roll.add(appliance(f"at-{name}", name, health=health))
            else:
                one.health = health
                roll.refresh(name)
        found = [(grade, sorted(sites)) for grade, sites in walked(nearby, placement)]
        if where != "nowhere":
            assert found == in_order(nearby, placement)
        else:
            assert [name for _, names in found for name in names] == [
                name for _, names in in_order(nearby, placement) for name in names
            ]


def crowd(count: int, health: Health = Health.HEALTHY) -> list[Appliance]:
    return [appliance(f"a{number}", f"s{number}", health=health) for number in range(count)]


def test_of_thousands_of_sites_a_few_are_looked_at() -> None:
    sites = Sites(site(n, 1 + (n * 37 % 997) / 20, 1 + (n * 91 % 1009) / 10) for n in range(3000))
    nearby = Nearby(sites, Roll(crowd(3000)))
    own, others, *_ = met(nearby, at(sites, "s400"))
    assert own == ["s400"]
    assert len(others) < 8


def test_where_a_region_died_the_next_one_is_not_searched_for_by_each_session(monkeypatch: pytest.MonkeyPatch) -> None:
    sites = Sites(site(n, 40, 1 + n / 50) for n in range(2000))
    roll = Roll(crowd(2000))
    nearby = Nearby(sites, roll)
    placement = at(sites, "s0")
    for number in range(1000):
        roll.by_name[f"a{number}"].health = Health.LOST
        roll.refresh(f"s{number}")
    walked(nearby, placement)
    looked: list[Cluster] = []
    is_healthy = Roll.is_healthy

    def counted(self: Roll, cluster: Cluster) -> bool:
        looked.append(cluster)
        return is_healthy(self, cluster)

    monkeypatch.setattr(Roll, "is_healthy", counted)
    own, *others = met(nearby, placement, most=3)
    assert own == ["s0"]
    assert "s1000" in [name for names in others for name in names]
    assert len(looked) < 100
    roll.by_name["a500"].health = Health.HEALTHY
    roll.refresh("s500")
    assert "s500" in [name for names in met(nearby, placement, most=3) for name in names]


def test_appliances_that_come_and_go_nearby_are_no_reason_to_look_at_all_sites_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sites = Sites(site(n, 40, 1 + n / 4) for n in range(500))
    roll = Roll(crowd(500))
    nearby = Nearby(sites, roll)
    placement = at(sites, "s0")
    first, revivals = met(nearby, placement, most=5), roll.revivals
    monkeypatch.setattr("steering.placement.nearby.Distances.to_all", None)
    for health in (Health.FULL, Health.HEALTHY):
        for number in range(200):
            roll.by_name[f"a{number}"].health = health
            roll.refresh(f"s{number}")
    assert roll.revivals == revivals + 200
    assert met(nearby, placement, most=5) == first


def test_of_many_sites_as_near_sessions_look_at_different_ones() -> None:
    sites = Sites(site(n, 40, 1) for n in range(100))
    nearby = Nearby(sites, Roll(crowd(100)))
    placement = Placement("s0", By.GEOGRAPHY, "192.0.2.1", point=Point(40, 1))
    found = [{name for names in met(nearby, placement, seed / 100) for name in names} for seed in range(100)]
    assert {len(names) for names in found} == {MOST_EQUAL}
    assert len(set.union(*found)) == 100


def test_of_many_sites_an_unknown_way_off_sessions_look_at_different_ones() -> None:
    sites = Sites(site(n) for n in range(200))
    nearby = Nearby(sites, Roll(crowd(200)))
    nowhere = Placement("", By.NOTHING)
    found = [{name for names in met(nearby, nowhere, seed / 200) for name in names} for seed in range(200)]
    assert {len(names) for names in found} == {MOST_UNKNOWN}
    assert len(set.union(*found)) == 200


def test_measured_ways_put_sites_where_they_belong() -> None:
    sites = Sites([site(0, 50, 1), site(1, 50, 3), site(2, 50, 20), site(3)])
    nearby = Nearby(sites, Roll(crowd(4)))
    placement = Placement("s0", By.GEOGRAPHY, "192.0.2.1", point=Point(50, 1))

    def order(rtts: dict[str, float]) -> list[str]:
        return [one.site for _, clusters in nearby.place(placement).rungs(0, rtts) for one in clusters]

    assert order({}) == ["s0", "s1", "s2", "s3"]
    assert order({"s2": 1.0}) == ["s2", "s0", "s1", "s3"]
    assert order({"s3": 1.0, "s0": 90.0}) == ["s3", "s1", "s2", "s0"]
    assert order({"s1": expected_ms(0)}) == ["s0", "s1", "s2", "s3"]  # as near as the other, of one rung with it
    # A line that is slow to all sites makes none of them far.
    assert order({"s0": 45.0, "s1": 47.0}) == ["s0", "s1", "s2", "s3"]
    assert expected_ms(1360) < 45.0
    assert nearby.place(placement).grade("s0", {"s0": 45.0, "s1": 47.0}).way < step(expected_ms(1360))


def test_steps_of_round_trips_grow_with_them() -> None:
    steps = [step(number / 10) for number in range(1, 4000)]
    assert steps == sorted(steps)
    assert step(10.1) == step(11.9) != step(12.1)
    assert step(100) == step(105) != step(120)
    assert len(set(steps)) == steps[-1] + 1


def test_a_site_whose_place_is_not_known_is_farther_than_any() -> None:
    nearby = Nearby(WORLD, Roll())
    assert nearby.place(at(WORLD, "s0")).grade("s50") == (OTHER, 0, 0.0, UNKNOWN)
    assert nearby.place(at(WORLD, "s0")).grade("s39").way < UNKNOWN
