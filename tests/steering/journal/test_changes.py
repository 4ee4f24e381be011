from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from config.steering import BgpSettings, SteeringSettings
from oca.report import EVERY_FILE
from steering.catalog import Title as KnownTitle
from steering.journal.changes import HELD_EVERY_S, LOAD_EVERY_S, Changes
from steering.journal.records import Decides, Gone, Held, Loads, Packages, Standing, Title, Whole, Withdrawn
from tests.steering.journal.worlds import heard, holding, look, spoken, title
from tests.steering.values import GIGABIT, NORTH


def test_an_appliance_is_said_once_until_something_changes() -> None:
    changes = Changes()
    (_, standing) = spoken(changes, look(), now=1.0)
    assert isinstance(standing, Standing)
    assert not spoken(changes, look(sequence=2), now=2.0)
    (lost,) = spoken(changes, look(health="lost"), now=3.0)
    assert isinstance(lost, Standing)
    assert (lost.health, lost.time) == ("lost", 3.0)


def test_a_load_is_said_when_it_moved_by_a_twentieth_or_after_minutes() -> None:
    changes = Changes()
    spoken(changes, look(), now=1.0)
    small, large = GIGABIT // 10, GIGABIT // 2
    assert not spoken(changes, look(serving_bps=small), now=2.0)
    assert spoken(changes, look(serving_bps=large), now=3.0) == [Loads(time=3.0, loads={"a1": large})]
    assert not spoken(changes, look(serving_bps=large + small), now=4.0)
    late = 3.0 + LOAD_EVERY_S
    assert spoken(changes, look(serving_bps=large + small), now=late) == [Loads(time=late, loads={"a1": large + small})]
    assert not spoken(changes, look(serving_bps=large + small), now=late + LOAD_EVERY_S)


def test_what_is_held_is_said_once_for_all_that_hold_it() -> None:
    changes, held = Changes(), holding(title())
    records = spoken(changes, look("a1", held=held), look("a2", held=held), now=1.0)
    assert [type(record) for record in records] == [Packages, Held, Standing, Standing]


def test_while_an_appliance_fills_what_it_holds_is_said_each_minute() -> None:
    changes, much = Changes(), {f"title-{number}/p": EVERY_FILE for number in range(3000)}
    spoken(changes, look(held=much), now=1.0)
    filled = look(held=much | holding(title()))
    assert not spoken(changes, filled, now=HELD_EVERY_S)
    assert [type(record) for record in spoken(changes, filled, now=1.0 + HELD_EVERY_S)] == [Packages, Held, Standing]


def test_what_was_said_before_the_clock_was_set_back_puts_nothing_off() -> None:
    changes, much = Changes(), {f"title-{number}/p": EVERY_FILE for number in range(3000)}
    spoken(changes, look("a1"), look("a2", held=much), now=100_000.0)
    load = look("a1", serving_bps=1)
    filled = look("a2", held=much | holding(title()))
    assert [type(record) for record in spoken(changes, load, filled, now=10.0)] == [Packages, Held, Standing, Loads]
    changes.way("north", "10.0.0.0", 5.0, 100_000.0)
    assert changes.wants_way("north", "10.0.0.0", 10.0)


def test_names_of_thousands_of_packages_are_of_several_lines() -> None:
    changes, held = Changes(), {f"title-{number}/p": EVERY_FILE for number in range(25_000)}
    records = spoken(changes, look(held=held), now=1.0)
    assert [len(record.names) for record in records if isinstance(record, Packages)] == [10_000, 10_000, 5_000]
    standing = heard(*changes.everything(2.0)).standings["a1"]
    assert dict(heard(*records).held(standing.held_version)) == held


def test_the_first_that_an_appliance_holds_is_said_at_once() -> None:
    changes = Changes()
    spoken(changes, look(), now=1.0)
    assert [type(record) for record in spoken(changes, look(held=holding(title())), now=2.0)][-1] is Standing


def test_settings_are_said_without_secrets() -> None:
    secret = SteeringSettings(
        session_key="hush", database="postgresql://me:hush@host/db", sites=(NORTH,),
        bgp=(BgpSettings(name="s", site="north", password="hush"),),
    )  # fmt: skip
    changes = Changes()
    (said,) = changes.settings(secret, 1.0)
    assert isinstance(said, Decides)
    assert "hush" not in str(said)
    assert said.settings.sites == secret.sites
    assert not list(changes.settings(secret, 2.0))
    assert len(list(changes.settings(dataclasses.replace(secret, ttl=5), 3.0))) == 1


def test_a_catalog_is_said_where_it_changes() -> None:
    changes, film, other = Changes(), title("film"), title("other")
    first = list(changes.catalog({"film": film, "other": other}, 1.0))
    assert [record.title for record in first if isinstance(record, Title)] == ["film", "other"]
    assert list(changes.catalog({"film": film}, 2.0)) == [Withdrawn(time=2.0, title="other")]


def test_who_is_forgotten_is_gone() -> None:
    changes = Changes()
    spoken(changes, look("a1"), look("a2"), now=1.0)
    assert list(changes.gone("a2", 2.0)) == [Gone(time=2.0, name="a2")]
    assert not list(changes.gone("a2", 3.0))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a1", "a2", "a3"]),
        st.sampled_from(["healthy", "full", "lost"]),
        st.integers(0, 10),
        st.sets(st.sampled_from(["film", "other", "third"])),
        st.booleans(),
    )
)
TITLES = {name: title(name) for name in ("film", "other", "third")}


@given(STEPS)
def test_a_reader_knows_what_was_seen_from_either_segment(
    steps: list[tuple[str, str, int, set[str], bool]],
) -> None:
    """Whoever read all, whoever began with the last segment, and whoever went on into it know the same."""
    changes, told = Changes(), heard()
    catalog: dict[str, KnownTitle] = {}
    seen = {}
    heard(*changes.everything(0.0), past=told)
    for number, (name, health, gigabits, names, is_part) in enumerate(steps, start=1):
        now = number * 2 * LOAD_EVERY_S
        held = holding(*(TITLES[one] for one in names))
        if is_part:
            held = dict.fromkeys(held, ("a.mp4",))
        seen[name] = look(name, health=health, serving_bps=gigabits * GIGABIT, held=held)
        catalog = {one: TITLES[one] for one in names}
        heard(*changes.catalog(catalog, now), *spoken(changes, seen[name], now=now), past=told)
    whole = list(changes.everything(1e9))
    assert isinstance(whole[-1], Whole)
    for past in (told, heard(*whole), heard(*whole, past=told)):
        assert past.standings.keys() == seen.keys()
        for name, one in seen.items():
            standing = past.standings[name]
            assert (standing.health, standing.serving_bps) == (one.health, one.report.serving_bps)
            assert dict(past.held(standing.held_version)) == one.held
        assert past.titles.keys() == catalog.keys()
        assert all(past.titles[name].content.files == known.files for name, known in catalog.items())


def test_names_begin_anew_when_there_are_too_many() -> None:
    changes = Changes()
    spoken(changes, look(held={f"title-{number}/p": EVERY_FILE for number in range(200_001)}), now=1.0)
    assert changes.forget_if_too_many()
    assert not changes.forget_if_too_many()
    assert not heard(*changes.everything(2.0)).standings
    assert heard(*spoken(changes, look(held=holding(title())), now=3.0)).standings
