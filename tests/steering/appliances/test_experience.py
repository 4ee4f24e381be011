from __future__ import annotations

import itertools
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from oca.report import Players
from steering.appliances.experience import FIRST_SHARE, SOUND, Experience, Verdict, least_share
from steering.placement.paths import network_key

REPORT_EVERY_S = 2.0


class World:
    """A fleet that reports each two seconds, and sessions that complain where a test wants them to."""

    def __init__(self, *appliances: str, sessions: int = 40, players: Players | None = None) -> None:
        self.experience = Experience()
        self.now = 1000.0
        self.sessions = dict.fromkeys(appliances, sessions)
        self.players: dict[str, Players | None] = dict.fromkeys(appliances, players)
        self.log: list[tuple[float, str, Verdict]] = []
        self._next = 0
        self.go_on(0.0)

    def go_on(self, seconds: float) -> None:
        """Reports come, and no complaint."""
        end = self.now + seconds
        while True:
            for name, sessions in self.sessions.items():
                before = self.experience.verdict(name)
                verdict = self.experience.report(name, self.players[name], 4 * sessions, self.now)
                if verdict != before:
                    self.log.append((self.now, name, verdict))
            if self.now >= end:
                return
            self.now += REPORT_EVERY_S

    def complain(self, name: str, count: int, *, network: str = "") -> Verdict:
        """As many sessions, each of a network of its own unless all are of one."""
        for _ in range(count):
            self._next += 1
            address = network or f"10.{self._next >> 8}.{self._next & 255}.1"
            self.experience.complain(name, self._next * 2654435761 % 2**32, network_key(address), self.now)
        self.now += 0.5
        self.go_on(0.0)
        return self.experience.verdict(name)


def test_an_appliance_nobody_complains_of_is_sound() -> None:
    world = World("a", "b")
    world.go_on(100)
    assert world.experience.verdict("a") == world.experience.verdict("never heard of") == SOUND
    assert not world.log


def test_an_appliance_whose_players_stall_is_stalling_within_seconds() -> None:
    world = World("a", "b", "c")
    verdict = world.complain("a", 12)
    assert verdict.is_stalling and verdict.share == 0
    assert verdict.reason == "players stall here: 12 of 40 sessions of the last 30 s, elsewhere 0.2%"
    assert world.experience.verdict("b") == SOUND


def test_sessions_that_starved_by_the_appliance_s_own_count_are_as_good() -> None:
    world = World("a", "b", players=Players(sessions=100, witnesses=100, starved=1, starved_networks=1))
    world.go_on(60)
    assert world.experience.verdict("a") == SOUND
    world.players["a"] = Players(sessions=100, witnesses=100, starved=30, starved_networks=25)
    world.go_on(2)
    assert world.experience.verdict("a").is_stalling
    assert world.experience.verdict("b") == SOUND


def test_a_network_cannot_demote_an_appliance_however_many_it_claims_to_be() -> None:
    world = World("a", "b", sessions=40)
    assert world.complain("a", 5000, network="192.0.2.7") == SOUND
    world = World("a", "b", sessions=3)  # a network that is half of all there are can
    assert world.complain("a", 5, network="192.0.2.7").is_stalling


def test_a_dozen_networks_that_lie_cannot_demote_a_busy_appliance() -> None:
    world = World("a", "b", sessions=1000)
    for network in range(12):
        assert world.complain("a", 50, network=f"192.0.{network}.7") == SOUND


def test_one_client_cannot_demote_an_appliance() -> None:
    world = World("a", "b", sessions=1)
    for _ in range(1000):
        world.experience.complain("a", 7, network_key("192.0.2.7"), world.now)
        world.now += 0.1
    assert world.experience.verdict("a") == SOUND


def test_a_session_is_believed_about_one_appliance_only_for_ten_minutes() -> None:
    world = World("a", "b", sessions=5)
    sessions = [(number * 7919, network_key(f"10.0.{number}.1")) for number in range(8)]
    for name in ("a", "b"):
        for session, network in sessions:
            world.experience.complain(name, session, network, world.now)
        world.now += 1
        world.go_on(0)
    assert world.experience.verdict("a").is_stalling
    assert world.experience.verdict("b") == SOUND  # those are who stall everywhere
    assert world.experience.disbelieved == 8
    world.go_on(601)
    for session, network in sessions:
        world.experience.complain("b", session, network, world.now)
    assert world.experience.verdict("b") != SOUND or world.experience.disbelieved == 8


def test_a_network_is_believed_about_four_appliances_in_ten_minutes() -> None:
    names = [f"oca-{number}" for number in range(40)]
    world = World(*names, sessions=3)  # at night, when a network is half of all there are everywhere
    for _ in range(2):
        for name in names[:12]:
            for session in range(8):
                world.complain(name, 1, network=f"192.0.2.{session}")
    assert sum(world.experience.verdict(name).is_stalling for name in names) == 4
    world.go_on(700)
    world.complain(names[20], 5, network="192.0.2.7")
    assert world.experience.verdict(names[20]).is_stalling


def test_where_everybody_stalls_nobody_is_worse() -> None:
    world = World(*"abcdef", sessions=40)
    for _ in range(6):
        for name in "abcdef":
            world.complain(name, 2)
    for name in "abcdef":
        world.complain(name, 8)
    assert sum(world.experience.verdict(name).is_stalling for name in "abcdef") <= 1


def test_a_whole_site_in_trouble_is_left_if_another_is_better() -> None:
    world = World("north-1", "north-2", "south-1", "south-2", "south-3", sessions=40)
    for _ in range(3):
        for name in ("north-1", "north-2"):
            world.complain(name, 6)
    assert all(world.experience.verdict(name).is_stalling for name in ("north-1", "north-2"))
    assert world.experience.verdict("south-1") == SOUND


def test_two_of_three_in_trouble_are_left_for_the_third() -> None:
    world = World("a", "b", "c", sessions=40)
    for _ in range(3):
        for name in ("a", "b"):
            world.complain(name, 6)
    assert [world.experience.verdict(name).is_stalling for name in "abc"] == [True, True, False]


def test_who_is_alone_is_kept_for_there_is_nobody_better() -> None:
    world = World("a", sessions=10)
    assert world.complain("a", 10) == SOUND


def test_a_village_behind_thin_lines_is_used_to_it_after_some_hours() -> None:
    world = World("village", *(f"town-{number}" for number in range(20)), sessions=100)
    steady = Players(sessions=100, witnesses=100, starved=18, starved_networks=18)
    fine = Players(sessions=100, witnesses=100, starved=1, starved_networks=1)
    for name in world.sessions:
        world.players[name] = fine
    world.players["village"] = steady
    world.go_on(10)
    assert world.experience.verdict("village").is_stalling
    world.go_on(6 * 3600)
    assert world.experience.verdict("village") == SOUND
    world.players["village"] = Players(sessions=100, witnesses=100, starved=75, starved_networks=60)
    world.go_on(4)
    assert world.experience.verdict("village").is_stalling


def test_it_returns_after_quiet_and_by_a_few_sessions_at_a_time() -> None:
    world = World("a", "b", "c")
    world.complain("a", 15)
    stalled_at = world.now
    world.log.clear()
    world.go_on(120)
    shares = [verdict.share for _, name, verdict in world.log if name == "a"]
    assert shares == [FIRST_SHARE, 1 / 8, 1 / 4, 1 / 2, 1.0]
    back_at, sound_at = world.log[0][0], world.log[-1][0]
    assert 35 <= back_at - stalled_at <= 60  # the complaints left the window, and then it was quiet for a while
    assert 38 <= sound_at - back_at <= 44
    assert world.log[0][2].reason == "players stalled here; takes 1/16 of its sessions"


def test_a_few_sessions_are_enough_to_stall_again_and_then_it_is_held_for_longer() -> None:
    world = World("a", "b", "c")
    absences = []
    for _ in range(4):
        if world.experience.verdict("a") == SOUND:
            world.complain("a", 30)
        else:
            world.complain("a", 3)
        assert world.experience.verdict("a").is_stalling
        since = world.now
        world.sessions["a"] = 2
        while world.experience.verdict("a").is_stalling:
            world.go_on(REPORT_EVERY_S)
        absences.append(world.now - since)
    assert all(later > 1.2 * before for before, later in itertools.pairwise(absences))


def test_complaints_that_go_on_keep_it_away() -> None:
    world = World("a", "b", "c")
    world.complain("a", 15)
    for _ in range(30):
        world.complain("a", 4)
        world.go_on(4)
        assert world.experience.verdict("a").is_stalling


def test_bad_phones_that_are_everywhere_cost_no_appliance_its_rank() -> None:
    """Two hours of 30 appliances, 8 % of whose players stall in each half minute, and one that really is bad."""
    chance = Random(8)
    world = World(*(f"oca-{number}" for number in range(30)), sessions=100)
    for round in range(240):
        for name in world.sessions:
            starved = sum(chance.random() < 0.08 for _ in range(100))
            if name == "oca-7" and round >= 200:
                starved = sum(chance.random() < 0.5 for _ in range(100))
            world.players[name] = Players(sessions=100, witnesses=100, starved=starved, starved_networks=starved)
        world.go_on(30.0)
    demoted = {name for _, name, verdict in world.log if verdict.is_stalling}
    assert demoted == {"oca-7"}


def test_an_appliance_that_lies_about_its_players_does_not_speak_for_the_fleet() -> None:
    names = [f"oca-{number}" for number in range(30)]
    world = World(*names, sessions=400, players=Players(sessions=400, witnesses=400, starved=2, starved_networks=2))
    world.players["oca-0"] = Players(sessions=10**15, witnesses=10**15, starved=10**15, starved_networks=10**15)
    world.players["oca-1"] = Players(sessions=400, witnesses=400, starved=150, starved_networks=100)
    world.go_on(4)
    assert [name for name in names if world.experience.verdict(name).is_stalling] == ["oca-0", "oca-1"]


def test_who_falls_silent_has_no_part_in_what_is_usual_elsewhere() -> None:
    world = World("a", "b", "gone", sessions=40)
    world.players["gone"] = Players(sessions=400, witnesses=400, starved=200, starved_networks=100)
    world.go_on(2)
    del world.sessions["gone"]
    world.go_on(100)
    world.players["a"] = Players(sessions=40, witnesses=40, starved=20, starved_networks=15)
    world.go_on(2)
    assert world.experience.verdict("a").is_stalling
    assert world.experience.verdict("gone") == SOUND


steps = st.lists(
    st.tuples(
        st.sampled_from(["report", "requests", "hear", "complain", "wait"]),
        st.sampled_from("abcd"),
        st.integers(0, 60),
        st.integers(0, 60),
    ),
    max_size=80,
)


@given(steps)
def test_whatever_is_said_every_verdict_is_one_and_the_sums_are_right(said: list[tuple[str, str, int, int]]) -> None:
    experience, now = Experience(), 1000.0
    for what, name, first, second in said:
        now += second if what == "wait" else 0.1
        if what == "report":
            experience.report(name, None, first * 8, now)
        elif what == "requests":
            experience.report(name, Players(first, first, second, second), 0, now)
        elif what == "hear":
            experience.hear(name, first, second, now)
        elif what == "complain":
            experience.complain(name, first, second, now)
        verdict = experience.verdict(name)
        assert verdict.is_stalling == (verdict.share == 0)
        assert 0 <= verdict.share <= 1 and (verdict.reason == "") == (verdict == SOUND)
    records = experience._records.values()
    for everywhere, tallies in (
        (experience._events, [record.events.tally for record in records]),
        (experience._requests, [record.requests.tally for record in records]),
    ):
        assert everywhere._sessions == sum(tally.sessions for tally in tallies)
        assert everywhere._troubled == sum(tally.troubled for tally in tallies)
        assert everywhere._sound_sessions == sum(tally.sessions for tally in tallies if not tally.is_suspect)


@given(st.integers(1, 500), st.integers(1, 500))
def test_the_least_share_is_a_share_below_what_was_seen(first: int, second: int) -> None:
    troubled, sessions = min(first, second), max(first, second)
    least = least_share(troubled, sessions)
    assert -1e-9 <= least <= troubled / sessions
    assert least_share(troubled, 2 * sessions) <= least


def test_the_least_share_is_wilson_s() -> None:
    # Wilson (1927), as statsmodels' proportion_confint(k, n, alpha=2 * (1 - Phi(4)), method="wilson") has it.
    for troubled, sessions, expected in ((3, 3, 0.1579), (5, 20, 0.0516), (14, 100, 0.0512)):
        assert abs(least_share(troubled, sessions) - expected) < 0.002
