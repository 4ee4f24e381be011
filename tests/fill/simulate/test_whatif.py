from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from fill.simulate.fleet import Fleet, Site, read_fleet
from fill.simulate.replay import Plan, simulate
from fill.simulate.whatif import change
from tests.fill.simulate.fleets import GBIT, source, write_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return read_fleet(write_fleet(tmp_path))


def named(fleet: Fleet, name: str) -> Site:
    return next(site for site in fleet if site.name == name)


def peak(fleet: Fleet) -> float:
    return sum(site.viewers * site.count for site in fleet)


def test_one_of_several_that_are_alike_is_changed_alone(fleet: Fleet) -> None:
    changed = change(fleet, "disk x2 at north-2").fleet
    assert [(site.name, site.count, site.disk) for site in changed] == [
        ("north-2", 1, 800 * 10**9),
        ("north", 2, 400 * 10**9),
        ("east", 1, 100 * 10**9),
    ]


@pytest.mark.parametrize(
    ("sentence", "key", "value"),
    [
        ("disk x1.5 at east", "disk", 150 * 10**9),
        ("capacity x2 at east", "capacity", 4 * 10**9),
        ("window 22:00-06:00 at east", "window_h", 8.0),
        ("rate 2 Gbit/s at east", "rate", 2 * 10**9),
        ("add appliance at east", "disk", 200 * 10**9),
        ("demand x1.5 at east", "viewers", 1.5 * GBIT),
        ("demand x3", "viewers", 3 * GBIT),
        ("disk x2 at east and add appliance at east", "disk", 400 * 10**9),
    ],
)
def test_sentences_change_what_they_say(fleet: Fleet, sentence: str, key: str, value: float) -> None:
    assert getattr(named(change(fleet, sentence).fleet, "east"), key) == value


def test_a_site_that_fails_is_taken_over_by_its_own_isp_first(fleet: Fleet) -> None:
    changed = change(fleet, "site north-1 fails")
    assert named(changed.fleet, "north-1").is_lost
    assert named(changed.fleet, "north-1").viewers == pytest.approx(0)
    assert named(changed.fleet, "north").guests == pytest.approx(1 * GBIT)
    assert named(changed.fleet, "east").guests == 0
    assert peak(changed.fleet) == pytest.approx(peak(fleet))
    assert "each of the 2 sites north takes over 1 Gbit/s at peak: 33% of its capacity become 50%" in changed.notes
    assert changed.notes[-1] == "the other sites have room for all of it at peak"


def test_what_no_site_has_room_for_goes_to_the_origin(fleet: Fleet) -> None:
    changed = change(fleet, "site north fails")
    assert named(changed.fleet, "east").guests == pytest.approx(GBIT)
    assert named(changed.fleet, "north").viewers * 3 == pytest.approx(5 * GBIT)
    assert changed.notes[-1] == (
        "the other sites of region de are overwhelmed: 5 Gbit/s of 6 Gbit/s find no room there at peak and go to the "
        "origin"
    )


def test_two_that_fail_at_once_do_not_take_over_for_each_other(fleet: Fleet) -> None:
    changed = change(fleet, "site north-1 fails and site north-2 fails")
    assert sum(site.is_lost for site in changed.fleet) == 2
    assert peak(changed.fleet) == pytest.approx(peak(fleet))
    assert all(site.viewers <= site.capacity for site in changed.fleet if not site.is_lost)


def test_a_failure_costs_offload_and_what_others_serve_is_told_apart(fleet: Fleet) -> None:
    plan, demand = Plan(("ours", "lru"), 2), source(5)
    before = simulate("base", fleet, demand, plan)
    after = simulate("fails", change(fleet, "site north-3 fails").fleet, demand, plan)
    for policy in plan.policies:
        one, two = before.of(policy).total, after.of(policy).total
        assert two.offload < one.offload - 0.1
        assert two.elsewhere > 0
        assert two.served == pytest.approx(one.served, rel=0.1)
        assert two.served == pytest.approx(two.local + two.elsewhere + two.upstream)


def test_those_that_are_left_keep_their_numbers(fleet: Fleet) -> None:
    changed = change(fleet, "site north-1 fails and disk x2 at north-3").fleet
    assert [(site.names(), site.is_lost) for site in changed] == [
        (["north-1"], True),
        (["north-3"], False),
        (["north-2"], False),
        (["east"], False),
    ]
    assert named(changed, "north-3").disk == 800 * 10**9


def test_the_name_of_several_means_all_of_them(fleet: Fleet) -> None:
    changed = change(fleet, "disk x2 at north-2 and disk x2 at north").fleet
    assert [(site.name, site.disk) for site in changed][:2] == [("north-2", 1600 * 10**9), ("north", 800 * 10**9)]


def test_a_region_without_another_site_falls_back_on_the_origin(fleet: Fleet) -> None:
    changed = change(fleet, "site north fails and site east fails")
    assert changed.notes[-1] == "no other site serves region de: all of 2 Gbit/s goes to the origin"


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("north burns", "sentence: found 'north burns', expected \"site NAME fails\""),
        ("site south fails", "site: found 'south', expected one of north (north-1 ... north-3), east"),
        ("disk x0 at north", "factor: found x0, expected more than 0"),
        ("disk x9999 at north", "factor: found x9999"),
        ("window 25:00-26:00 at north", "window: found '25:00-26:00'"),
        ("rate fast at north", "rate: found 'fast'"),
        ("remove appliance at east", "appliance: found the only one of east"),
        ("site north-4 fails", "site: found 'north-4'"),
        ("site east fails and site east fails", "site: found east, expected a site that has not failed before"),
    ],
)
def test_what_cannot_be_is_told(fleet: Fleet, sentence: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        change(fleet, sentence)
    assert told in str(raised.value)


@given(st.text(max_size=40))
def test_any_text_is_a_sentence_or_a_clear_error(text: str) -> None:
    fleet = (Site("a", (), viewers=1.0),)
    try:
        changed = change(fleet, text)
    except ConfigError as error:
        assert "expected" in str(error)
    else:
        assert changed.fleet
