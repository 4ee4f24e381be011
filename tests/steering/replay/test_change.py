from __future__ import annotations

import dataclasses

import pytest

from config.steering import SteeringSettings
from steering.errors import ReplayError
from steering.replay.change import Change, read_policy
from tests.steering.values import NORTH, SOUTH

SETTINGS = SteeringSettings(sites=(NORTH,), pathways=3)


def test_no_change_changes_nothing() -> None:
    assert Change().apply(SETTINGS) is SETTINGS
    assert not Change()


def test_settings_are_changed_as_the_configuration_writes_them() -> None:
    settings, experiment = read_policy(["pathways=2", "lost_after=20s"])
    assert Change(settings=settings).apply(SETTINGS) == dataclasses.replace(SETTINGS, pathways=2, lost_after=20.0)
    assert not experiment


def test_what_an_experiment_changes_is_changed_for_everybody() -> None:
    settings, experiment = read_policy(["weigh=capacity"])
    assert not settings
    (everybody,) = Change(experiment=experiment).apply(SETTINGS).experiments
    assert (everybody.share, everybody.weigh) == (1.0, "capacity")


def test_sites_are_changed_whole() -> None:
    changed = Change(sites=(SOUTH,), default_site="south").apply(SETTINGS)
    assert (changed.sites, changed.default_site) == ((SOUTH,), "south")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("speed=9", "--policy speed=9: found the key 'speed', expected one of "),
        ("pathways=many", "--policy pathways=many: found 'many', expected a whole number"),
        ("weigh=luck", "found 'luck', expected one of spare, capacity"),
        ("pathways", "found '', expected a whole number"),
    ],
)
def test_a_policy_that_is_none_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ReplayError) as refused:
        read_policy([text])
    assert sentence in str(refused.value)


def test_what_was_never_there_cannot_be_down() -> None:
    Change(sites_down=frozenset({"north"})).check({"a1"}, {"north"})
    with pytest.raises(
        ReplayError, match=r"--site-down nort: found no such site in the journal, expected one of north"
    ):
        Change(sites_down=frozenset({"nort"})).check({"a1"}, {"north"})
    with pytest.raises(ReplayError, match=r"--appliance-down a9: found no such appliance .* one of a1"):
        Change(appliances_down=frozenset({"a9"})).check({"a1"}, {"north"})


def test_down_is_an_appliance_or_all_of_its_site() -> None:
    change = Change(sites_down=frozenset({"north"}), appliances_down=frozenset({"s1"}))
    assert [change.is_down(*one) for one in (("a1", "north"), ("s1", "south"), ("s2", "south"))] == [True, True, False]
