"""What replicas make of each other's reports, in time that the test turns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.report import MeasuredPath, Report
from steering.appliances.fleet import Fleet, Known, Stored
from steering.appliances.roll import Health
from steering.replicas.hearsay import ALIVE_FOR_S, Heard, Replicas, Written
from tests.steering.values import report


def bare(name: str = "a1", **changes: Any) -> Report:
    return msgspec.structs.replace(report(name, **changes), held=None)


def known(one: Report, heard_at: float = 100.0) -> Known:
    return Known(one, {}, one.held_version, heard_at)


def test_an_age_travels_and_no_time() -> None:
    heard = Replicas("a").tell(known(bare(), heard_at=98.5), now=100.0, now_there=5e9)
    assert heard == Heard(bare(), 1.5, 5e9 - 1.5)


def test_since_when_a_name_is_held_stays_the_same_number() -> None:
    replicas = Replicas("a")
    first = replicas.tell(known(bare()), now=100.0, now_there=5000.0)
    later = replicas.tell(known(bare(sequence=9, instance="restarted"), heard_at=150.0), now=150.0, now_there=5051.0)
    assert first.since == later.since == 5000.0
    moved = replicas.tell(known(bare(url="http://elsewhere"), heard_at=200.0), now=200.0, now_there=5100.0)
    assert moved.since == 5100.0


def test_of_many_paths_each_report_tells_others() -> None:
    paths = {f"192.0.{n}.0/24": MeasuredPath(1000, 0, 3) for n in range(20)}
    replicas = Replicas("a")
    told = [replicas.tell(known(bare(sequence=n, paths=paths)), 100.0, 5000.0).report.paths for n in range(5)]
    assert {len(some) for some in told} == {8}
    assert {name for some in told for name in some} == set(paths)


@pytest.mark.parametrize(
    ("here", "told", "told_at", "expected"),
    [
        (None, bare(), 100.0, True),
        (bare(sequence=5), bare(sequence=6), 101.0, True),
        (bare(sequence=5), bare(sequence=5), 101.0, False),
        (bare(sequence=5), bare(sequence=4), 101.0, False),
        (bare(instance="new", sequence=1), bare(instance="old", sequence=99), 99.0, False),
        (bare(instance="new", sequence=1), bare(instance="old", sequence=99), 100.5, False),
        (bare(instance="old", sequence=99), bare(instance="new", sequence=1), 101.0, True),
    ],
)
def test_what_was_heard_last_is_news(here: Report | None, told: Report, told_at: float, expected: bool) -> None:
    one = known(here) if here is not None else None
    assert Replicas("a").takes(Heard(told, 0.0, 7.0), "b", one, told_at, is_lost=False) is expected


@pytest.mark.parametrize(("our_since", "their_since"), [(5000.0, 5000.001), (5000.0, 5000.0), (5000.001, 5000.0)])
def test_of_two_appliances_with_one_name_all_replicas_keep_the_same(our_since: float, their_since: float) -> None:
    ours, theirs = bare(url="http://1"), bare(url="http://2", instance="other")
    here, there = Replicas("a"), Replicas("b")
    our_word = here.tell(known(ours), now=100.0, now_there=our_since)
    their_word = there.tell(known(theirs, 200.0), now=200.0, now_there=their_since)
    # Whatever the time was at which either heard the other.
    is_moved_here = here.takes(their_word, "b", known(ours), 99.0, is_lost=False)
    is_moved_there = there.takes(our_word, "a", known(theirs, 200.0), 201.0, is_lost=False)
    assert is_moved_here is not is_moved_there
    assert is_moved_there is (our_since <= their_since)


def test_the_name_of_a_lost_appliance_is_free() -> None:
    replicas, ours = Replicas("a"), bare(url="http://1")
    replicas.tell(known(ours), now=100.0, now_there=5000.0)
    newcomer = Heard(bare(url="http://2", instance="other"), 0.0, 6000.0)
    assert not replicas.takes(newcomer, "b", known(ours), 200.0, is_lost=False)
    assert replicas.takes(newcomer, "b", known(ours), 200.0, is_lost=True)


def test_a_memory_of_who_held_a_name_outlives_a_restart() -> None:
    replicas = Replicas("a")
    replicas.remember("a1", "http://a1.localhost:8080", 4000.0)
    assert replicas.tell(known(bare()), now=100.0, now_there=5000.0).since == 4000.0


def test_a_batch_lay_no_longer_than_since_the_last_look() -> None:
    replicas = Replicas("a")
    assert replicas.lay("b", 300.0, read_at=99.0, now=100.0) == 300.0  # the first of it may be as old as it says
    replicas.note("b", 1, now=100.0)
    assert replicas.lay("b", 300.0, read_at=99.0, now=100.0) == 1.0  # the database's clock was set
    assert replicas.lay("b", 0.25, read_at=99.0, now=100.0) == 0.25


def test_replicas_are_counted_while_their_batches_come() -> None:
    replicas = Replicas("a")
    replicas.note("b", 1, now=100.0)
    replicas.note("c", 7, now=101.0)
    assert replicas.seen() == {"b": 1, "c": 7}
    assert [replicas.living(100.0 + s) for s in (1.0, ALIVE_FOR_S + 0.5, ALIVE_FOR_S + 1.5)] == [3, 2, 1]


def test_only_what_a_silent_replica_heard_is_unheard() -> None:
    replicas = Replicas("a")
    for name, source in (("a1", "b"), ("a2", "c"), ("a3", "b")):
        assert replicas.takes(Heard(bare(name), 0.0, 5000.0), source, None, 100.0, is_lost=False)
    for source in ("b", "c"):
        replicas.note(source, 1, now=100.0)
    assert not list(replicas.unheard(101.0))
    replicas.note("c", 2, now=105.0)
    replicas.tell(known(bare("a3", sequence=2), 105.0), now=105.0, now_there=5005.0)  # it found its way here
    assert list(replicas.unheard(105.0)) == ["a1"]


def test_replicas_that_are_gone_are_forgotten_but_not_what_they_heard() -> None:
    replicas = Replicas("a")
    for source in ("b", "c"):
        replicas.note(source, 1, now=100.0)
    replicas.takes(Heard(bare(), 0.0, 5000.0), "b", None, 100.0, is_lost=False)
    replicas.forget_the_gone(10_000.0)
    assert set(replicas.seen()) == {"b"}
    assert list(replicas.unheard(10_000.0)) == ["a1"]


def test_traffic_alone_is_written_once_a_minute_and_all_else_at_once() -> None:
    written = Written()
    written.wrote(known(bare()), now=100.0)
    busier = known(bare(sequence=2, serving_bps=10**9, connections=7))
    assert not written.lacks(busier, 159.0)
    assert written.lacks(busier, 160.0)
    assert written.lacks(known(bare(sequence=2, state="draining")), 101.0)
    written.forget()
    assert written.lacks(busier, 101.0)


def test_what_is_held_is_written_at_most_every_ten_seconds_while_a_fill_goes_on() -> None:
    written = Written()
    holding = Known(bare(), {"film/0": ("*",)}, "v1", 100.0)
    assert written.lacks_held(holding, 100.0)
    written.wrote_held("a1", "v1", 100.0)
    assert not written.lacks_held(holding, 200.0)
    more = Known(bare(), {"film/0": ("*",)}, "v2", 100.0)
    assert not written.lacks_held(more, 109.0)
    assert written.lacks_held(more, 110.0)


class World:
    """Three replicas and an appliance that reports to any of them, and restarts as it likes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fleets = [Fleet(6) for _ in range(3)]
        self.replicas = [Replicas(str(number)) for number in range(3)]
        self.noted = [False] * 3
        self.on_the_way: list[tuple[int, int, float, Heard]] = []  # from, to, told at
        self.instance, self.sequence = 0, 0

    def report(self, to: int) -> None:
        """Raises NameInUse, at which the appliance would end."""
        self.sequence += 1
        self.fleets[to].take(report("a1", instance=str(self.instance), sequence=self.sequence), self.now)
        self.noted[to] = True

    def restart(self) -> None:
        self.instance, self.sequence = self.instance + 1, 0

    def tell(self, number: int) -> None:
        known = self.fleets[number].known_of("a1")
        if self.noted[number] and known is not None:
            heard = self.replicas[number].tell(known, self.now, self.now)
            self.on_the_way += [(number, to, self.now, heard) for to in range(3) if to != number]
        self.noted[number] = False

    def hear(self, number: int) -> None:
        """All that is on the way to this one arrives."""
        mine = [one for one in self.on_the_way if one[1] == number]
        self.on_the_way = [one for one in self.on_the_way if one[1] != number]
        fleet = self.fleets[number]
        for source, _, told_at, heard in mine:
            known, heard_at = fleet.known_of("a1"), told_at - heard.age_s
            is_lost = known is not None and fleet.seen(self.now)["a1"].health is Health.LOST
            if self.replicas[number].takes(heard, str(source), known, heard_at, is_lost=is_lost):
                fleet.hear(Stored(heard.report, {}, heard.report.held_version, self.now - heard_at), self.now)


@given(st.lists(st.tuples(st.sampled_from(["report", "tell", "hear", "restart", "wait"]), st.integers(0, 2))))
def test_an_appliance_is_never_refused_and_all_come_to_know_the_same(steps: list[tuple[str, int]]) -> None:
    world = World()
    for what, number in steps:
        match what:
            case "report":
                world.report(number)
            case "tell":
                world.tell(number)
            case "hear":
                world.hear(number)
            case "restart":
                world.restart()
            case "wait":
                world.now += 0.3 * (1 + number)
    for number in (0, 1, 2, 0):  # wherever it reports from now on
        world.now += 2
        world.report(number)
        for turn in (world.tell, world.hear):
            for one in range(3):
                turn(one)
    known = [fleet.known_of("a1") for fleet in world.fleets]
    assert {(one.report.instance, one.report.sequence) for one in known if one is not None} == {
        (str(world.instance), world.sequence)
    }
    assert None not in known
