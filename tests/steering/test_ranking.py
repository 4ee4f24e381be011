"""The order of the fleet for one client, and its reasons."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.fleet import ORIGIN, Appliance, Health
from steering.ranking import Client, Content, Decision, Holding, Turn, rank
from steering.sites import By, Placement, Sites
from tests.steering.values import GIGABIT, NORTH, SOUTH, appliance

FILM = "film/0"
CONTENT = Content("film", "0", frozenset({"v.mp4", "a.mp4"}))
SITES = Sites([NORTH, SOUTH])
AT_NORTH = Placement("north", By.PREFIX, "in 127.0.0.0/9", point=SITES.point("north"))


def decide(*fleet: Appliance, **changes: Any) -> Decision:
    """The decision for a client at north; `listed` and `using` make it a session under way."""
    client = Client("127.0.0.1", changes.pop("session", "s"), changes.pop("listed", ()), changes.pop("using", ()))
    options: dict[str, Any] = {"origin_url": "http://origin.localhost:8070", "most": 3, **changes}
    return rank(client, CONTENT, AT_NORTH, fleet, SITES, **options)


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
    sites = Sites([NORTH, SOUTH, west])
    fleet = (appliance("nowhere", "unheard-of"), appliance("munich", "south"), appliance("bergen", "west"))
    decision = rank(Client("c", "s"), CONTENT, AT_NORTH, fleet, sites, origin_url="", most=3)
    assert decision.priority == ("bergen", "munich", "nowhere", ORIGIN)


@pytest.mark.parametrize(
    ("health", "turn"),
    [
        (Health.FULL, Turn.FULL),
        (Health.DRAINING, Turn.DRAINING),
        (Health.UNHEALTHY, Turn.UNHEALTHY),
        (Health.LOST, Turn.LOST),
    ],
)
def test_a_new_session_is_not_told_of_who_may_not_serve_it(health: Health, turn: Turn) -> None:
    decision = decide(appliance("bad", holds=FILM, health=health), appliance("good", "south"))
    assert decision.listed == ("good", ORIGIN)
    assert [candidate.name for candidate in decision.candidates] == ["good", ORIGIN, "bad"]
    assert decision.candidates[-1].turn is turn


@pytest.mark.parametrize("health", [Health.DRAINING, Health.UNHEALTHY, Health.LOST])
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


def test_each_step_has_its_reason() -> None:
    first = decide(appliance("n", holds=FILM)).first
    assert first.reasons == (
        "healthy: serves 0 of 10 Gbit/s",
        "stands at north, the client's site",
        "holds the package whole",
        "the session's draw among equals, weighted by 10 Gbit/s to spare",
    )


appliances = st.builds(
    appliance,
    st.sampled_from([f"a{number}" for number in range(8)]),
    st.sampled_from(["north", "south", "unheard-of"]),
    holds=st.sampled_from(["", FILM]),
    health=st.sampled_from(list(Health)),
    load_bps=st.integers(0, 20 * GIGABIT),
)
names = st.lists(st.sampled_from([f"a{number}" for number in range(10)]), unique=True, max_size=4).map(tuple)


@given(st.lists(appliances, unique_by=lambda one: one.name), names, names, st.booleans())
def test_a_priority_names_each_pathway_once_and_the_dead_last(
    fleet: list[Appliance], listed: tuple[str, ...], using: tuple[str, ...], is_young: bool
) -> None:
    decision = decide(*fleet, listed=listed, using=using, is_young=is_young)
    priority = decision.priority
    assert len(set(priority)) == len(priority)
    assert set(priority) == {*(listed or decision.listed), ORIGIN}
    usable = {candidate.name: candidate.is_usable for candidate in decision.candidates}
    assert sorted(priority, key=lambda name: not usable[name]) == list(priority)
    assert decision.listed[-1] == ORIGIN
