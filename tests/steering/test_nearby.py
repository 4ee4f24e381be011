from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from steering.fleet import Appliance, Health
from steering.geography import Point
from steering.nearby import nearby
from steering.ranking import Client, Content, rank
from steering.sites import By, Placement, Sites
from tests.steering.values import NORTH, appliance

CONTENT = Content("film", "0", frozenset({"v.mp4"}))
# Some at one place, some a kilometre apart, some whose place nobody said.
SITES = Sites(
    dataclasses.replace(NORTH, name=f"s{number}", prefixes=(), latitude=latitude, longitude=longitude)
    for number, (latitude, longitude) in enumerate(
        [(59.9, 10.7), (59.9, 10.7), (59.905, 10.7), (48.1, 11.6), (40.7, -74.0), (0.0, 0.0), (0.0, 0.0)]
    )
)
fleets = st.lists(
    st.tuples(
        st.sampled_from([*(f"s{number}" for number in range(7)), "undeclared"]),
        st.sampled_from([Health.HEALTHY, Health.HEALTHY, Health.FULL, Health.LOST, Health.DRAINING]),
        st.booleans(),
    ),
    max_size=24,
)


def at_sites(fleet: list[Appliance]) -> dict[str, dict[str, Appliance]]:
    found: dict[str, dict[str, Appliance]] = {}
    for one in fleet:
        found.setdefault(one.site, {})[one.name] = one
    return found


@given(fleets, st.sampled_from(["s0", "s3", "s5", ""]), st.integers(1, 4))
def test_a_manifest_lists_what_it_would_if_all_were_looked_at(
    drawn: list[tuple[str, Health, bool]], site: str, most: int
) -> None:
    fleet = [
        appliance(f"a{number}", at, health=health, holds="film/0" if holds else "")
        for number, (at, health, holds) in enumerate(drawn)
    ]
    placement = Placement(site, By.PREFIX, "", point=SITES.point(site))
    places = at_sites(fleet)
    near = nearby(
        placement, SITES.distances, lambda name: places.get(name, {}), places.keys(), most=most, session="s"
    )  # fmt: skip
    assert len({one.name for one in near}) == len(near)
    client = Client("192.0.2.1", "s")

    def listed(some: list[Appliance]) -> tuple[str, ...]:
        return rank(client, CONTENT, placement, some, SITES, origin_url="", most=most).listed

    assert listed(near) == listed(fleet)


def test_of_thousands_a_few_are_looked_at() -> None:
    sites = Sites(
        dataclasses.replace(NORTH, name=f"s{n}", prefixes=(), latitude=1 + n / 10, longitude=1 + n % 7)
        for n in range(800)
    )
    places = at_sites([appliance(f"a{number}", f"s{number % 800}") for number in range(2400)])
    looked: list[str] = []

    def at(site: str) -> dict[str, Appliance]:
        looked.append(site)
        return places.get(site, {})

    for point, most in ((sites.point("s400"), 12), (Point(33.3, 4.4), 12), (None, 80)):
        placement = Placement("s400" if point == sites.point("s400") else "", By.PREFIX, "", point=point)
        near = nearby(placement, sites.distances, at, places.keys(), most=3, session="s")
        assert 3 < len(near) <= most
    assert len(looked) < 60
