"""The order of the fleet for one client, and its reasons."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.steering import CdnSettings, SiteSettings
from steering.appliances.fleet import ORIGIN
from steering.appliances.roll import Appliance, Health, Roll
from steering.choice.cdns import Cdns
from steering.choice.cohorts import Policy
from steering.choice.explain import Explained, explain
from steering.choice.ranking import Beyond, Candidate, Client, Content, Decision, Holding, Turn, begin, choose, follow
from steering.placement.geography import Point
from steering.placement.nearby import Nearby
from steering.placement.sites import By, Placement, Sites
from tests.steering.values import GIGABIT, NORTH, SOUTH, appliance

FILM = "film/0"
CONTENT = Content("film", "0", frozenset({"v.mp4", "a.mp4"}))
SITES = Sites([NORTH, SOUTH])
AT_NORTH = Placement("north", By.PREFIX, "127.0.0.1", 9, SITES.point("north"))
BEYOND = Beyond("http://origin.localhost:8070", Cdns())


def decided(
    *fleet: Appliance,
    sites: Sites = SITES,
    placement: Placement = AT_NORTH,
    session: str = "s",
    listed: tuple[str, ...] = (),
    using: tuple[str, ...] = (),
    most: int = 3,
    policy: Policy | None = None,
    beyond: Beyond = BEYOND,
    rtts: Mapping[str, float] | None = None,
    is_young: bool = False,
) -> Explained:
    """The decision and all that was compared; `listed` makes it a session under way."""
    client, nearby = Client("127.0.0.1", session, listed, using), Nearby(sites, Roll(fleet))
    chosen, measured = policy or Policy(most), rtts or {}
    if listed:
        decision = follow(client, CONTENT, placement, nearby, chosen, beyond, is_young=is_young)
    else:
        decision = begin(client, CONTENT, placement, nearby, chosen, beyond, rtts=measured)
    return explain(decision, nearby, beyond, rtts=measured, is_young=is_young, among=fleet)


def decide(*fleet: Appliance, **changes: Any) -> Decision:
    return decided(*fleet, **changes).decision


def compared(*fleet: Appliance, **changes: Any) -> list[Candidate]:
    """All of the fleet in its order."""
    return [step.candidate for step in decided(*fleet, **changes).steps]


def test_without_appliances_there_is_the_origin() -> None:
    assert decide().priority == (ORIGIN,)
    assert decide().listed == (ORIGIN,)


def test_the_clients_site_comes_before_a_nearer_holder() -> None:
    decision = decide(appliance("far", "south", holds=FILM), appliance("near"))
    assert decision.priority == ("near", "far", ORIGIN)


def test_within_a_site_the_holder_of_the_whole_comes_before_one_of_a_part() -> None:
    part = appliance("a-part", held={FILM: ("v.mp4",)})
    decision = decide(appliance("a-nothing"), part, appliance("z-whole", holds=FILM))
    assert decision.priority[:2] == ("z-whole", "a-part")
    assert [candidate.holding for candidate in decision.candidates[:3]] == list(Holding)


def test_all_files_by_name_are_the_whole() -> None:
    decision = decide(appliance("named", held={FILM: ("v.mp4", "a.mp4")}))
    assert decision.first.holding is Holding.WHOLE


def test_other_sites_come_by_distance_and_unknown_ones_last() -> None:
    west = dataclasses.replace(NORTH, name="west", prefixes=(), latitude=60.4, longitude=5.3)
    fleet = (appliance("nowhere", "unheard-of"), appliance("munich", "south"), appliance("bergen", "west"))
    assert decide(*fleet, sites=Sites([NORTH, SOUTH, west])).priority == ("bergen", "munich", "nowhere", ORIGIN)


@pytest.mark.parametrize(
    ("health", "turn"),
    [
        (Health.FULL, Turn.FULL),
        (Health.STALLING, Turn.STALLING),
        (Health.DRAINING, Turn.DRAINING),
        (Health.UNHEALTHY, Turn.UNHEALTHY),
        (Health.LOST, Turn.LOST),
    ],
)
def test_a_new_session_is_not_told_of_who_may_not_serve_it(health: Health, turn: Turn) -> None:
    fleet = appliance("bad", holds=FILM, health=health), appliance("good", "south")
    assert decide(*fleet).listed == ("good", ORIGIN)
    assert [candidate.name for candidate in compared(*fleet)] == ["good", ORIGIN, "bad"]
    assert compared(*fleet)[-1].turn is turn


@pytest.mark.parametrize("health", [Health.STALLING, Health.DRAINING, Health.UNHEALTHY, Health.LOST])
def test_a_session_moves_away_from_who_may_not_serve_it(health: Health) -> None:
    fleet = appliance("one", health=health), appliance("two")
    decision = decide(*fleet, listed=("one", "two"), using=("one",))
    assert decision.priority == ("two", ORIGIN, "one")


def test_a_full_appliance_keeps_its_sessions() -> None:
    fleet = appliance("one", health=Health.FULL), appliance("two")
    assert decide(*fleet, listed=("one", "two"), using=("one",)).priority == ("one", "two", ORIGIN)
    assert decide(*fleet, listed=("one", "two")).priority == ("one", "two", ORIGIN)  # it does not say: the first


def test_a_full_appliance_gets_no_session_back() -> None:
    fleet = appliance("one", health=Health.FULL), appliance("two")
    assert decide(*fleet, listed=("one", "two"), using=("two",)).priority == ("two", ORIGIN, "one")


def test_a_session_hears_only_of_the_pathways_of_its_manifest() -> None:
    fleet = [appliance(name, holds=FILM) for name in ("one", "two", "new")]
    assert set(decide(*fleet, listed=("two", "one")).priority) == {"one", "two", ORIGIN}


def test_a_session_keeps_its_order_among_equals() -> None:
    fleet = [appliance(name, holds=FILM) for name in ("one", "two", "three")]
    for order in (("one", "two", "three"), ("three", "two", "one")):
        assert decide(*fleet, listed=order).priority == (*order, ORIGIN)


def test_a_pathway_that_the_fleet_does_not_know_comes_last() -> None:
    assert decide(appliance("one"), listed=("gone", "one")).priority == ("one", ORIGIN, "gone")


def test_a_young_steering_believes_the_sessions_list() -> None:
    assert decide(listed=("one", "two"), is_young=True).priority == ("one", "two", ORIGIN)


def test_one_pathway_stands_at_another_site() -> None:
    locals_ = [appliance(f"n{number}", holds=FILM) for number in range(5)]
    decision = decide(*locals_, appliance("elsewhere", "south"))
    assert decision.listed[2:] == ("elsewhere", ORIGIN)
    assert len(set(decision.listed)) == 4


def test_a_single_pathway_is_the_best_one() -> None:
    assert decide(appliance("n"), appliance("s", "south"), most=1).listed == ("n", ORIGIN)


def test_sessions_spread_by_spare_capacity() -> None:
    small = appliance("small", holds=FILM, capacity_bps=10 * GIGABIT)
    large = appliance("large", holds=FILM, capacity_bps=40 * GIGABIT, load_bps=10 * GIGABIT)
    firsts = Counter(decide(small, large, session=f"s{n}").first.name for n in range(2000))
    assert firsts["large"] / 2000 == pytest.approx(0.75, abs=0.04)


def test_a_session_is_told_the_same_wherever_it_asks() -> None:
    fleet = [appliance(f"n{number}", holds=FILM) for number in range(5)]
    assert decide(*fleet).listed == decide(*reversed(fleet)).listed


def test_losing_one_appliance_moves_only_its_sessions() -> None:
    fleet = [appliance(f"n{number}", holds=FILM) for number in range(5)]
    for session in (f"s{n}" for n in range(200)):
        before, after = decide(*fleet, session=session), decide(*fleet[1:], session=session)
        assert before.first.name == after.first.name or before.first.name == "n0"


def test_players_of_a_film_that_nobody_holds_meet_at_one_appliance() -> None:
    fleet = [appliance(f"n{number}") for number in range(5)]
    assert len({decide(*fleet, session=f"s{n}").first.name for n in range(50)}) == 1


def reasons(*fleet: Appliance, of: str, **changes: Any) -> tuple[str, ...]:
    return next(step.reasons for step in decided(*fleet, **changes).steps if step.candidate.name == of)


def test_each_step_has_its_reason() -> None:
    assert reasons(appliance("n", holds=FILM), of="n") == (
        "healthy: serves 0 bit/s of 10 Gbit/s",
        "stands at north, the client's site",
        "holds the package whole",
        "the session's draw among equals, weighted by 10 Gbit/s to spare",
    )


# Route, peering, cost and way


def site(name: str, latitude: float = 0.0, longitude: float = 0.0, **changes: Any) -> SiteSettings:
    return SiteSettings(name=name, latitude=latitude, longitude=longitude, **changes)


def test_a_site_that_announced_the_prefix_comes_before_a_nearer_one() -> None:
    sites = Sites([site("own", 50, 1), site("near", 50, 2), site("far", -30, 100), site("farther", -40, 150)])
    placement = Placement("own", By.ROUTE, "192.0.2.1", 24, sites.point("own"), ("farther", "far"))
    fleet = [appliance(name, name) for name in ("own", "near", "far", "farther")]
    options: dict[str, Any] = {"sites": sites, "placement": placement, "most": 4}
    assert decide(*fleet, **options).listed == ("own", "farther", "far", "near", ORIGIN)
    words = "stands at farther, which announced the client's prefix too; its path is number 2"
    assert reasons(*fleet, of="farther", **options)[1] == words


def test_sites_that_are_not_the_clients_come_by_peering_and_then_by_cost() -> None:
    sites = Sites(
        [
            site("own", 50, 1, peering="public", cost=9),
            site("exchange", 50, 2, peering="public"),
            site("dear", 50, 2, peering="private", cost=2),
            site("cheap", 20, 90, peering="private", cost=1),
            site("embedded", -30, 100),
        ]
    )
    placement = Placement("own", By.PREFIX, "192.0.2.1", 24, sites.point("own"))
    fleet = [appliance(name, name) for name in ("own", "exchange", "dear", "cheap", "embedded")]
    options: dict[str, Any] = {"sites": sites, "placement": placement, "most": 5}
    assert decide(*fleet, **options).listed[:5] == ("own", "embedded", "cheap", "dear", "exchange")
    assert "dear is reached by private peering, at a cost of 2" in reasons(*fleet, of="dear", **options)


def test_a_measured_way_corrects_the_distance() -> None:
    sites = Sites([site("near", 50, 1), site("far", 55, 9)])
    placement = Placement("near", By.GEOGRAPHY, "192.0.2.1", point=Point(50, 1))
    fleet = [appliance(name, name, holds=FILM) for name in ("near", "far")]
    options: dict[str, Any] = {"sites": sites, "placement": placement}
    assert decide(*fleet, **options).listed[:2] == ("near", "far")
    measured = {**options, "rtts": {"near": 80.0, "far": 9.0}}
    assert decide(*fleet, **measured).listed[:2] == ("far", "near")
    assert "stands at far, 9.0 ms away as measured" in reasons(*fleet, of="far", **measured)
    by_distance = Policy(by_distance=True)
    assert decide(*fleet, **measured, policy=by_distance).listed[:2] == ("near", "far")


def test_a_measured_way_is_no_substitute_for_a_route() -> None:
    fleet = [appliance("n"), appliance("s", "south", holds=FILM)]
    assert decide(*fleet, rtts={"north": 200.0, "south": 1.0}).listed[:2] == ("n", "s")


def test_ways_that_differ_by_little_are_equal() -> None:
    sites = Sites([site("a", 50, 1), site("b", 50, 1.2)])
    placement = Placement("a", By.GEOGRAPHY, "192.0.2.1", point=Point(50, 1))
    holder = appliance("b", "b", holds=FILM)
    assert decide(appliance("a", "a"), holder, sites=sites, placement=placement).first.name == "b"
    held = appliance("a", "a", holds=FILM)
    assert {decide(held, holder, sites=sites, placement=placement, session=f"s{n}").first.name for n in range(9)} == {
        "a"
    }


def test_a_session_under_way_keeps_the_order_of_sites_that_have_no_route() -> None:
    sites = Sites([site("a", 50, 1), site("b", 60, 20), site("c", 30, 40)])
    placement = Placement("a", By.SESSION, "192.0.2.1", point=Point(50, 1))
    fleet = [appliance(name, name, holds=FILM if name == "c" else "") for name in "abc"]
    # The first need not be the nearest: it may have been measured to be nearer.
    for order in (("a", "c", "b"), ("a", "b", "c"), ("b", "a", "c")):
        assert decide(*fleet, sites=sites, placement=placement, listed=order).priority == (*order, ORIGIN)


# Facilities


def test_two_sites_of_one_building_are_not_two_places() -> None:
    sites = Sites([site("a", 50, 1, facility="tower"), site("b", 50, 1, facility="tower"), site("c", -30, 100)])
    placement = Placement("a", By.PREFIX, "192.0.2.1", 24, sites.point("a"))
    fleet = [*(appliance(f"{name}{n}", name, holds=FILM) for name in "ab" for n in range(2)), appliance("c", "c")]
    listed = decide(*fleet, sites=sites, placement=placement).listed
    assert listed[2] == "c"
    words = "stands in another facility than the others that are listed, c"
    assert words in reasons(*fleet, of="c", sites=sites, placement=placement)


# Shares


def test_who_takes_a_part_of_the_sessions_is_first_for_that_part() -> None:
    returning = appliance("returning", holds=FILM, share=0.25, share_cause="it returns")
    other = appliance("other", "south", holds=FILM)
    firsts = Counter(decide(returning, other, session=f"s{n}").first.name for n in range(2000))
    assert firsts["returning"] / 2000 == pytest.approx(0.25, abs=0.04)


def test_who_takes_a_part_of_the_sessions_is_asked_before_the_origin() -> None:
    decision = decide(appliance("returning", share=0.0))
    assert decision.listed == ("returning", ORIGIN)
    assert decision.first.turn is Turn.SPARED


def test_as_a_share_grows_sessions_come_and_none_goes() -> None:
    def takes(share: float) -> set[int]:
        fleet = appliance("returning", share=share), appliance("other", "south")
        listed = ("returning", "other")
        return {n for n in range(300) if decide(*fleet, session=f"s{n}", listed=listed).first.name == "returning"}

    shares = [takes(share) for share in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)]
    assert all(fewer < more for fewer, more in pairwise(shares))


def test_a_session_that_stayed_is_not_sent_away_from_who_returns() -> None:
    fleet = appliance("returning", share=0.0, share_cause="it returns"), appliance("other", "south")
    listed = ("returning", "other")
    assert decide(*fleet, listed=listed, using=("returning",)).first.name == "returning"
    assert decide(*fleet, listed=listed, using=("other",)).first.name == "other"
    assert reasons(*fleet, of="returning", listed=listed)[1] == "takes 0 % of the sessions, not this one: it returns"


# CDNs and the origin

CDNS = Cdns(
    [
        CdnSettings(name="dear", url="https://dear.example/", price=2),
        CdnSettings(name="small", url="https://small.example", price=1, weight=1),
        CdnSettings(name="large", url="https://large.example", price=1, weight=3),
        CdnSettings(name="off", url="https://off.example", price=0, weight=0),
    ],
    most=2,
)


def test_cdns_stand_between_the_appliances_and_the_origin_the_cheapest_first() -> None:
    decision = decide(appliance("n"), beyond=dataclasses.replace(BEYOND, cdns=CDNS))
    assert decision.listed[0] == "n"
    assert set(decision.listed[1:3]) == {"small", "large"}
    assert decision.listed[3:] == (ORIGIN,)
    assert {candidate.name: candidate.url for candidate in decision.candidates}["large"] == "https://large.example"
    words = ("another CDN, at a price of 2 and with a weight of 1 among those of its price",)
    assert reasons(of="dear", beyond=dataclasses.replace(BEYOND, cdns=CDNS)) == words


def test_sessions_spread_over_cdns_of_a_price_by_weight() -> None:
    beyond = dataclasses.replace(BEYOND, cdns=CDNS)
    firsts = Counter(decide(session=f"s{n}", beyond=beyond).first.name for n in range(2000))
    assert firsts["large"] / 2000 == pytest.approx(0.75, abs=0.04)


def test_a_session_under_way_knows_its_cdn() -> None:
    beyond = dataclasses.replace(BEYOND, cdns=CDNS)
    fleet = appliance("n", health=Health.LOST)
    assert decide(fleet, listed=("n", "small"), beyond=beyond).priority == ("small", ORIGIN, "n")


def test_an_origin_that_serves_no_players_is_listed_only_where_nobody_else_is() -> None:
    beyond = dataclasses.replace(BEYOND, origin_serves_players=False)
    assert decide(appliance("n"), beyond=beyond).listed == ("n",)
    assert decide(beyond=beyond).listed == (ORIGIN,)
    assert decide(beyond=dataclasses.replace(beyond, cdns=CDNS)).listed[-1] in {"small", "large"}
    assert decide(appliance("n", health=Health.LOST), listed=("n",), beyond=beyond).priority == ("n",)


# Policies


def test_a_policy_may_weigh_by_capacity() -> None:
    busy = appliance("busy", holds=FILM, capacity_bps=30 * GIGABIT, load_bps=20 * GIGABIT)
    idle = appliance("idle", holds=FILM, capacity_bps=10 * GIGABIT)
    policy = Policy(weighs_capacity=True)
    firsts = Counter(decide(busy, idle, session=f"s{n}", policy=policy).first.name for n in range(2000))
    assert firsts["busy"] / 2000 == pytest.approx(0.75, abs=0.04)
    words = "the session's draw among equals, weighted by 30 Gbit/s of capacity"
    assert reasons(busy, idle, of="busy", policy=policy)[-1] == words


# All rules at once

WORLD = Sites(
    [
        site("s0", 59.9, 10.7),
        site("s1", 59.905, 10.7),
        site("s2", 59.9, 10.7, facility="tower"),
        site("s3", 48.1, 11.6, facility="tower"),
        site("s4", 40.7, -74.0, peering="private"),
        site("s5", 48.2, 11.7, cost=-1),
        site("s6"),
        site("s7", peering="public", cost=2),
    ]
)
PLACES = [f"s{number}" for number in range(8)]
appliances = st.builds(
    appliance,
    st.sampled_from([f"a{number}" for number in range(16)]),
    st.sampled_from([*PLACES, "undeclared"]),
    held=st.sampled_from([{}, {FILM: ("v.mp4",)}, {FILM: ("*",)}]),
    health=st.sampled_from([Health.HEALTHY, Health.HEALTHY, *Health]),
    load_bps=st.integers(0, 20 * GIGABIT),
    share=st.sampled_from([1.0, 1.0, 0.5, 0.0]),
)
fleets = st.lists(appliances, unique_by=lambda one: one.name, max_size=16)
names = st.lists(st.sampled_from([f"a{number}" for number in range(18)] + ["small"]), unique=True, max_size=4).map(
    tuple
)
placements = st.builds(
    lambda own, by, alternates: Placement(
        own if by is not By.NOTHING else "", by, "192.0.2.1", 24, WORLD.point(own), alternates
    ),
    st.sampled_from(PLACES),
    st.sampled_from(list(By)),
    st.lists(st.sampled_from(PLACES), unique=True, max_size=2).map(tuple),
)
beyonds = st.builds(Beyond, st.just("http://origin"), st.sampled_from([Cdns(), CDNS]), st.booleans())
measurements = st.dictionaries(st.sampled_from(PLACES), st.floats(0.1, 300), max_size=3)
policies = st.builds(Policy, st.integers(1, 4), weighs_capacity=st.booleans(), by_distance=st.booleans())


@given(fleets, placements, policies, beyonds, measurements, st.integers(0, 99))
def test_a_new_session_is_told_what_comes_first_of_all_that_could_be_compared(
    fleet: list[Appliance],
    placement: Placement,
    policy: Policy,
    beyond: Beyond,
    rtts: dict[str, float],
    number: int,
) -> None:
    explained = decided(
        *fleet, sites=WORLD, placement=placement, policy=policy, beyond=beyond, rtts=rtts, session=f"s{number}"
    )
    nearby = Nearby(WORLD, Roll(fleet))
    ordered = [step.candidate for step in explained.steps]
    usable = [one for one in ordered if one.turn <= Turn.SPARED]
    chosen = choose(usable, policy.most, nearby)
    assert [one for one in explained.decision.candidates if one.name in explained.decision.listed][
        : len(chosen)
    ] == chosen
    others = [one.name for one in ordered if one.turn is Turn.CDN][: beyond.cdns.most]
    others += [ORIGIN] if beyond.origin_serves_players or not (chosen or others) else []
    assert explained.decision.listed == (*(one.name for one in chosen), *others)
    assert explained.decision.priority == explained.decision.listed
    facilities = {nearby.facility(one.site) for one in usable}
    assert policy.most == 1 or len({nearby.facility(one.site) for one in chosen}) >= min(2, len(facilities))


@given(fleets, placements, beyonds, names, names, st.booleans())
def test_a_session_under_way_is_told_its_pathways_in_the_order_that_is_explained(
    fleet: list[Appliance],
    placement: Placement,
    beyond: Beyond,
    listed: tuple[str, ...],
    using: tuple[str, ...],
    is_young: bool,
) -> None:
    options: dict[str, Any] = {"sites": WORLD, "placement": placement, "beyond": beyond}
    explained = decided(*fleet, **options, listed=listed or ("a0",), using=using, is_young=is_young)
    decision = explained.decision
    priority = decision.priority
    assert [step.candidate.name for step in explained.steps if step.candidate.name in priority] == list(priority)
    assert len(set(priority)) == len(priority)
    assert set(priority) - {ORIGIN} == set(listed or ("a0",))
    assert (ORIGIN in priority) is beyond.origin_serves_players
    usable = {candidate.name: candidate.is_usable for candidate in decision.candidates}
    assert sorted(priority, key=lambda name: not usable[name]) == list(priority)


@given(fleets, placements)
def test_of_the_clients_own_site_the_best_of_those_passed_over_are_named(
    fleet: list[Appliance], placement: Placement
) -> None:
    decision = decide(*fleet, sites=WORLD, placement=placement)
    untold = [one for one in decision.candidates if one.name not in decision.listed]
    here = [one for one in fleet if one.site == placement.site and one.name not in decision.listed]
    assert {one.name for one in untold} <= {one.name for one in here}
    if not decision.first.is_local:
        assert len(untold) == min(8, len(here))
