"""What the director learns from reports and from players' events, beside what HTTP shows of it (test_service.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from config.steering import SteeringSettings
from oca.cmcd import LARGEST_BODY
from oca.report import MeasuredPath, Players
from steering.appliances.experience import FIRST_SHARE
from steering.appliances.fleet import Stored
from steering.appliances.roll import Health
from steering.director import Director, read_network
from steering.placement.paths import network_key
from steering.sessions.pathways import Measured
from steering.sessions.session import Session, seal
from tests.steering.conftest import Clock
from tests.steering.values import GIGABIT, NORTH, SOUTH, report

KEY = "of the test"
NAMES = ("a1", "a2", "a3")


def record(keys: str, host: str = "") -> bytes:
    named = f'h="{host}",' if host else ""
    return f'{keys},{named}sid="s",ts=1764752430000,v=2'.encode()


STALL, WELL = "e=ps,sta=r", "e=t,sta=p"


class Watched:
    """A director, three appliances that report every two seconds, and players that say something."""

    def __init__(self, clock: Clock, tmp_path: Path) -> None:
        settings = SteeringSettings(
            origin="http://127.0.0.1:1",
            database=f"sqlite:///{tmp_path}/fleet.sqlite",
            sites=(NORTH, SOUTH),
            session_key=KEY,
        )
        self.clock, self.director = clock, Director(settings, clock)
        self.sequence = 0
        self.go_on(6.0)

    def go_on(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now += 2.0
            self.sequence += 1
            for name in NAMES:
                self.director.take(report(name, sequence=self.sequence, connections=40))

    def say(self, body: bytes, sessions: int, token: tuple[str, ...] = ()) -> None:
        for number in range(sessions):
            session = Session(f"session-{number}", "film", "0" * 64, "north", token, 0)
            sealed = seal(session, KEY.encode()) if token else ""
            self.director.take_events(body, f"10.0.{number}.7", sealed)
        self.go_on(2.0)

    def health(self, name: str) -> Health:
        return self.director.fleet.seen(self.clock.now)[name].health


@pytest.fixture
def watched(clock: Clock, tmp_path: Path) -> Watched:
    return Watched(clock, tmp_path)


def test_an_appliance_whose_players_stall_takes_none_and_has_them_back_a_few_at_a_time(watched: Watched) -> None:
    watched.say(record(STALL, "a1.localhost"), 8)
    assert [watched.health(name) for name in NAMES] == [Health.STALLING, Health.HEALTHY, Health.HEALTHY]
    seen = watched.director.fleet.seen(watched.clock.now)["a1"]
    assert "players stall here: 8 of 10 sessions" in seen.reason
    while watched.health("a1") is Health.STALLING:
        watched.go_on(2.0)
    assert watched.director.experience.verdict("a1").share == FIRST_SHARE
    watched.go_on(60.0)
    assert watched.director.experience.verdict("a1").share == 1


def test_players_of_an_appliance_whose_players_stall_are_sent_elsewhere_by_their_next_poll(watched: Watched) -> None:
    token = seal(Session("mine", "film", "0" * 64, "north", ("a1", "a2"), 0), KEY.encode())
    before = watched.director.poll(token, "127.0.0.1", ()).priority
    assert {"a1", "a2"} == set(before[:2])
    first = before[0]
    watched.say(record(STALL, f"{first}.localhost"), 8)
    after = watched.director.poll(token, "127.0.0.1", ()).priority
    assert after[0] == before[1] and after.index(first) > 0


def test_the_port_tells_appliances_of_one_host_apart(watched: Watched) -> None:
    watched.say(record('e=rr,rc=503,url="http://a2.localhost:8080/v1/film/p/1.m4s"'), 8)
    assert [watched.health(name) for name in NAMES] == [Health.HEALTHY, Health.STALLING, Health.HEALTHY]


def test_a_record_without_a_host_is_about_the_first_appliance_of_its_session(watched: Watched) -> None:
    watched.say(record(STALL), 8)
    assert watched.director.experience.complaints == 0
    watched.say(record(STALL), 8, token=("a3", "a1"))
    assert [watched.health(name) for name in NAMES] == [Health.HEALTHY, Health.HEALTHY, Health.STALLING]


def test_a_session_says_nothing_of_appliances_that_it_was_not_told_of(watched: Watched) -> None:
    watched.say(record(STALL, "a1.localhost"), 8, token=("a2", "a3"))
    watched.say(record(STALL), 8, token=("of-another-fleet",))
    assert watched.director.experience.complaints == 0


def test_what_the_fleet_does_not_take_in_is_not_learned(watched: Watched) -> None:
    other = report("a1", instance="other", url="http://other.localhost:8080", held=None)
    watched.director.hear(Stored(other, {}, "", age_s=0.0))
    watched.say(record(STALL, "other.localhost"), 8)
    watched.director.take(report("a1", sequence=1, url="http://former.localhost:8080"))
    watched.say(record(STALL, "former.localhost"), 8)
    assert watched.director.experience.complaints == 0


def test_a_network_that_is_taken_over_limits_its_uplinks(watched: Watched) -> None:
    limited = replace(NORTH, uplink=1)
    settings = SteeringSettings(sites=(limited, SOUTH))
    before = watched.director.network
    assert watched.director.take_over(read_network(settings)) is before
    assert [watched.health(name) for name in NAMES] == [Health.HEALTHY] * 3
    watched.director.fleet.admit("a1", GIGABIT, watched.clock.now)
    assert [watched.health(name) for name in NAMES] == [Health.FULL] * 3


def test_players_that_are_well_say_that_they_are_there(watched: Watched) -> None:
    watched.say(record(WELL, "a1.localhost"), 100)
    watched.say(record(STALL, "a1.localhost"), 4)
    assert watched.health("a1") is Health.HEALTHY  # four of a hundred


@pytest.mark.parametrize("body", [b"", b"\xff\0\n" * 100, b"e=ps,sta=r", b"bs," * 50_000, b"\n" * LARGEST_BODY])
@pytest.mark.parametrize("address", ["", "192.0.2.7", "nonsense", "2001:db8::1"])
def test_nonsense_is_nobody_s_complaint(watched: Watched, body: bytes, address: str) -> None:
    watched.director.take_events(body, address, "nonsense")
    assert watched.director.experience.complaints == 0


def test_reports_tell_of_players_and_of_the_ways_to_them(watched: Watched) -> None:
    starving = Players(sessions=50, witnesses=50, starved=30, starved_networks=20)
    paths = {
        "192.0.2.0": MeasuredPath(8500, 10**7, 9),
        "2001:db8:1::": MeasuredPath(21000, 0, 9),
        "": MeasuredPath(1, 1, 1),
    }
    watched.director.take(report("a1", sequence=1000, players=starving, paths=paths))
    assert watched.health("a1") is Health.STALLING
    assert watched.director.paths.rtt_ms(network_key("192.0.2.99"), "north") == 8.5
    assert watched.director.paths.rtt_ms(network_key("2001:db8:1:2::3"), "north") == 21.0


def test_players_throughputs_are_learned_of_the_sites_they_are_about(watched: Watched) -> None:
    watched.director.take(report("a1", sequence=1000, paths={"192.0.2.0": MeasuredPath(8500, 10**7, 9)}))
    measured = (Measured("a1", 4_000_000), Measured("a2", None), Measured("origin", 9), Measured("unknown", 9))
    watched.director.take_throughputs(measured, "192.0.2.9")
    assert watched.director.paths.ways(network_key("192.0.2.1"))["north"].player_bps == 4_000_000


def test_what_another_replica_heard_is_learned_too(watched: Watched) -> None:
    told = report("a9", sequence=1, paths={"192.0.2.0": MeasuredPath(8500, 10**7, 9)})
    watched.director.hear(Stored(msgspec.structs.replace(told, held=None), {}, told.held_version, age_s=1.0))
    assert watched.director.paths.rtts(network_key("192.0.2.1")) == {"north": 8.5}
