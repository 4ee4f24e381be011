from __future__ import annotations

from random import Random

from oca.experience import PATHS_OF_A_REPORT, Experience, Notes
from oca.messages import Noted
from oca.report import MOST_PATHS, MeasuredPath, Players


def noted_by(notes: Notes, now: float = 1.0) -> Noted:
    noted = notes.take(now)
    assert noted is not None
    return noted


def said(notes: Notes, *sessions: str, network: str = "192.0.2.0", **keys: object) -> None:
    for session in sessions:
        notes.said({**keys, "sid": session}, "192.0.2.7", network)


def test_who_starves_at_its_first_request_starved_elsewhere() -> None:
    notes = Notes()
    said(notes, "new", bs=True)
    said(notes, "old")
    said(notes, "old", bs=True)
    noted = noted_by(notes)
    assert len(noted.heard) == 2 and len(noted.starved) == 1


def test_a_session_that_was_heard_of_before_the_last_hand_over_is_known() -> None:
    notes = Notes()
    said(notes, "a")
    assert noted_by(notes, 11.0).heard
    said(notes, "a", sta="r")
    noted = noted_by(notes, 12.0)
    assert noted.starved and noted.starved.keys() == noted.heard.keys()


def test_a_session_is_named_to_the_parent_once_in_ten_seconds() -> None:
    notes = Notes()
    said(notes, "a")
    assert notes.take(1.0)
    said(notes, "a")
    assert notes.take(2.0) is None
    assert notes.take(20.0) is None
    said(notes, "a")
    assert notes.take(20.0)


def test_clients_that_name_no_session_are_told_by_their_address() -> None:
    notes = Notes()
    for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        notes.said({}, client, "192.0.2.0")
    assert len(noted_by(notes).heard) == 2


def test_notes_are_bounded_however_many_clients_there_are() -> None:
    notes = Notes()
    for number in range(100_000):
        said(notes, str(number), str(number), bs=True, network=str(number))
        notes.measured(str(number), 1000, 0)
    noted = noted_by(notes)
    assert max(len(noted.heard), len(noted.starved), len(noted.samples)) <= 256


def test_a_round_trip_that_the_system_does_not_tell_is_no_sample() -> None:
    notes = Notes()
    notes.measured("192.0.2.0", 0, 1000)
    assert notes.take(1.0) is None


def test_the_notes_of_all_workers_are_one_experience() -> None:
    experience = Experience()
    assert experience.players(0.0) is None
    experience.add(Noted({1: "192.0.2.0", 2: "198.51.100.0"}, {}, []), 1.0)
    experience.add(Noted({1: "192.0.2.0", 3: "203.0.113.0"}, {3: "203.0.113.0"}, []), 2.0)
    assert experience.players(3.0) == Players(sessions=3, witnesses=3, starved=1, starved_networks=1)
    assert experience.players(60.0) is None


def test_of_a_network_all_sessions_are_counted_and_four_are_witnesses() -> None:
    experience = Experience()
    many = {number * 7919: "192.0.2.0" for number in range(40)}
    experience.add(Noted(many, many, []), 1.0)
    players = experience.players(1.0)
    assert players is not None and abs(players.sessions - 40) <= 4
    assert (players.witnesses, players.starved, players.starved_networks) == (4, 4, 1)


def test_a_path_is_the_median_of_its_last_samples() -> None:
    experience, notes = Experience(), Notes()
    for rtt_us in (900_000, 8000, 7000, 9000, 400_000):
        notes.measured("192.0.2.0", rtt_us, rtt_us * 10)
    notes.measured("192.0.2.0", 7500, 0)
    experience.add(noted_by(notes), 1.0)
    assert experience.take_paths() == {"192.0.2.0": MeasuredPath(8000, 90_000, 6)}
    assert experience.take_paths() == {}


def test_a_report_names_few_networks_and_each_has_its_turn() -> None:
    experience, chance = Experience(), Random(1)
    networks = {f"10.0.{number}.0" for number in range(50)}
    told: set[str] = set()
    for second in range(100):
        notes = Notes()
        for _ in range(60):  # some are busy, most are not
            notes.measured(f"10.0.{min(49, int(chance.expovariate(0.1)))}.0", 5000, 0)
        experience.add(noted_by(notes), float(second))
        paths = experience.take_paths()
        assert len(paths) <= PATHS_OF_A_REPORT <= MOST_PATHS
        told |= paths.keys()
    assert len(told) > 0.9 * len(networks)
