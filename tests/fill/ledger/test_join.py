from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.ledger.accounts import Accounts, By
from fill.ledger.join import LATENESS_S, SESSION_S, SHARED_FETCH_S, Answer, Entry, Joiner, read_answer
from fill.ledger.reasons import Reason
from steering.decisions import Decided
from tests.fill.feed.values import line
from tests.fill.ledger.values import NOW, answer, decided


def join(*lines: Decided | Answer, **options: Any) -> list[Entry]:
    joiner = Joiner(**options)
    for one in lines:
        if isinstance(one, Decided):
            joiner.decide(one)
        else:
            joiner.answer(one)
    return list(joiner.settle_all())


def reason(*lines: Decided | Answer, **options: Any) -> Reason:
    (entry,) = join(*lines, **options)
    return entry.reason


def test_what_the_nearest_site_held_is_local() -> None:
    (entry,) = join(decided(), answer())
    assert (entry.reason, entry.isp, entry.site) == (Reason.LOCAL, "Northern", "north")


def test_what_it_had_to_fetch_is_missed_content() -> None:
    assert reason(decided(), answer(is_hit=False)) is Reason.CONTENT


def test_what_many_asked_for_at_once_was_fetched_once() -> None:
    asked = [answer(50 - number, is_hit=False, client=f"192.0.{number}.0") for number in range(3)]
    plays = [decided(60, client=one.client) for one in asked]
    later = answer(50 - SHARED_FETCH_S - 1, is_hit=False)
    assert [entry.reason for entry in join(*plays, *asked, later)] == [
        Reason.CONTENT,
        Reason.LOCAL,
        Reason.LOCAL,
        Reason.CONTENT,
    ]


def test_what_the_policy_keeps_out_is_no_content_that_a_plan_missed() -> None:
    assert reason(decided(), answer(is_hit=False), may_hold=lambda title, site: False) is Reason.POLICY


@pytest.mark.parametrize("why", ["capacity", "health", "drain", "policy"])
def test_what_was_served_elsewhere_has_the_reason_of_the_decision(why: str) -> None:
    elsewhere = decided(first="far", first_site="south", why=why)
    assert reason(elsewhere, answer(appliance="far")) is Reason(why)
    assert reason(elsewhere, answer(appliance="origin")) is Reason(why)


def test_a_client_of_no_site_has_no_route() -> None:
    assert reason(decided(site="", isp="", why="route", first="far"), answer(appliance="far")) is Reason.ROUTE


def test_a_player_that_left_the_nearest_site_by_itself_found_it_unwell() -> None:
    assert reason(decided(), answer(appliance="far")) is Reason.HEALTH


def test_what_no_decision_explains_is_unknown() -> None:
    assert reason(answer()) is Reason.UNKNOWN
    assert reason(decided(client="198.51.100.0"), answer()) is Reason.UNKNOWN
    assert reason(decided(age_s=SESSION_S + 60), answer()) is Reason.UNKNOWN
    assert reason(decided(age_s=-60), answer()) is Reason.UNKNOWN
    assert reason(decided(why="moon", first="far", first_site="south"), answer(appliance="far")) is Reason.UNKNOWN
    assert reason(decided(), answer(appliance="of nobody")) is Reason.UNKNOWN


def test_a_decision_is_found_by_session_then_by_network_and_title_then_by_network() -> None:
    other = decided(session="s2", client="198.51.100.0", first="far", first_site="south", why="drain")
    same_title = decided(session="s3", first="far", first_site="south", why="capacity")
    same_network = decided(session="s4", title="other", first="far", first_site="south", why="health")
    asked = answer(appliance="far", session="s2")
    assert reason(other, same_title, same_network, asked) is Reason.DRAIN
    assert reason(same_title, same_network, asked) is Reason.CAPACITY
    assert reason(same_network, asked) is Reason.HEALTH


def test_of_several_sessions_in_a_network_the_one_that_was_sent_there_explains_it() -> None:
    full = decided(70, session="s1", first="far", first_site="south", why="capacity")
    local = decided(60, session="s2")
    assert reason(full, local, answer(appliance="far")) is Reason.CAPACITY
    assert reason(full, local, answer()) is Reason.LOCAL


def test_a_poll_is_good_for_as_long_as_it_says() -> None:
    play = decided(600)
    poll = decided(300, kind="poll", first="far", first_site="south", why="drain", holds_s=20.0)
    assert reason(play, poll, answer(290, appliance="far")) is Reason.DRAIN
    assert reason(play, poll, answer(200, appliance="far")) is Reason.HEALTH


def test_an_answer_waits_for_decisions_that_come_late_and_no_longer() -> None:
    joiner = Joiner()
    joiner.answer(answer(50))
    assert not list(joiner.settle(NOW - 50 - LATENESS_S))
    joiner.decide(decided(60))
    (entry,) = joiner.settle(NOW - 50)
    assert (entry.reason, joiner.waiting) == (Reason.LOCAL, 0)


def test_memory_is_bounded_and_nothing_is_dropped_for_it() -> None:
    joiner = Joiner(most_waiting=10, most_known=30)
    entries: list[Entry] = []
    for number in range(200):
        joiner.decide(decided(60, session=f"s{number}", client=f"192.0.{number}.0"))
        joiner.answer(answer(50, 7, client=f"192.0.{number}.0", part=f"{number}", is_hit=False))
        entries += joiner.settle(0)
        assert joiner.waiting <= 10
        assert joiner.known <= 30
    entries += joiner.settle_all()
    assert sum(entry.answer.bytes for entry in entries) == 200 * 7


_clients = st.sampled_from(["192.0.2.0", "198.51.100.0", ""])
_sessions = st.sampled_from(["", "s1", "s2"])
_ages = st.floats(-100, 5 * 3600)
_answers = st.builds(
    answer,
    _ages,
    st.integers(1, 10**12),
    appliance=st.sampled_from(["near", "far", "origin", "other"]),
    client=_clients,
    title=st.sampled_from(["film", "other"]),
    is_hit=st.booleans(),
    session=_sessions,
)
_decisions = st.builds(
    decided,
    _ages,
    client=_clients,
    session=_sessions,
    site=st.sampled_from(["", "north", "south"]),
    why=st.sampled_from(["", "route", "health", "nonsense"]),
    holds_s=st.sampled_from([0.0, 20.0]),
)


@given(st.lists(st.one_of(_answers, _decisions)), st.integers(1, 5), st.lists(_ages, max_size=5))
def test_the_ledger_is_the_logs_whatever_comes_in_whatever_order(
    lines: list[Decided | Answer], most: int, looks: list[float]
) -> None:
    joiner, accounts = Joiner(most_waiting=most, most_known=3 * most), Accounts()
    moments = iter(looks)
    for one in lines:
        if isinstance(one, Decided):
            joiner.decide(one)
        else:
            joiner.answer(one)
        accounts.add(joiner.settle(NOW - next(moments, 1e9)))
    accounts.add(joiner.settle_all())
    sent = sum(one.bytes for one in lines if isinstance(one, Answer))
    assert accounts.whole.total == sent
    for by in By:
        assert sum(account.total for account in accounts.table(by)) == sent


def test_only_what_viewers_got_of_content_is_on_the_ledger() -> None:
    read = read_answer(line(60, cmcd={"sid": "s1"}, hit=False))
    assert read is not None
    assert (read.bytes, read.session, read.is_hit, read.client) == (1000, "s1", False, "192.0.2.0")
    for nothing in (line(agent="nearcast-oca"), line(title=""), line(size=0), b"nonsense"):
        assert read_answer(nothing) is None
    bot = read_answer(line(agent="Googlebot/2.1"))
    assert bot is not None, "what a crawler got was sent as well"
