"""The fleet's state machine, with the clock as an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import MessageError, NameInUse
from oca.report import held_version
from steering.fleet import RESERVED_FOR_S, Appliance, Fleet, Health, Stored
from tests.steering.values import GIGABIT, report

LOST_AFTER = 6.0


def one(fleet: Fleet, now: float) -> Appliance:
    (seen,) = fleet.seen(now).values()
    return seen


def test_an_appliance_is_healthy_from_its_first_report() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    assert one(fleet, 0).health is Health.HEALTHY


def test_silence_makes_an_appliance_lost() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    assert one(fleet, 6.0).health is Health.HEALTHY
    assert one(fleet, 6.1).health is Health.LOST


def test_a_lost_appliance_is_trusted_again_from_its_second_report() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    fleet.take(report(sequence=2), 20)
    assert one(fleet, 20).health is Health.LOST
    fleet.take(report(sequence=3), 22)
    assert one(fleet, 22).health is Health.HEALTHY


def test_a_report_that_was_overtaken_is_ignored() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(sequence=5, serving_bps=5), 0)
    fleet.take(report(sequence=4, serving_bps=4), 1)
    assert one(fleet, 1).load_bps == 5
    assert one(fleet, 6.5).health is Health.LOST  # nor does it prolong its life


def test_a_second_living_appliance_of_the_name_is_refused() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    with pytest.raises(NameInUse, match="a1: an appliance of this name serves at") as refusal:
        fleet.take(report(instance="other", url="http://other.localhost:8080"), 1)
    assert refusal.value.status == 409
    assert one(fleet, 1).url == "http://a1.localhost:8080"


def test_the_name_of_a_lost_appliance_is_free() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    fleet.take(report(instance="other", url="http://other.localhost:8080"), 7)
    assert one(fleet, 7).url == "http://other.localhost:8080"


def test_a_restart_at_the_same_address_replaces() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(sequence=100), 0)
    fleet.take(report(instance="second", sequence=1, serving_bps=7), 1)
    assert one(fleet, 1).load_bps == 7
    assert one(fleet, 1).health is Health.HEALTHY


def test_a_late_report_of_a_replaced_instance_does_not_come_back() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(sequence=100), 0)
    fleet.take(report(instance="second"), 1)
    with pytest.raises(NameInUse, match="took over"):
        fleet.take(report(sequence=101), 2)


def test_no_appliance_may_be_called_origin() -> None:
    with pytest.raises(MessageError, match="is the origin's"):
        Fleet(LOST_AFTER).take(report("origin"), 0)


def test_problems_make_an_appliance_unhealthy_and_are_named() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(problems=("the disk is full", "no origin")), 0)
    assert one(fleet, 0).health is Health.UNHEALTHY
    assert one(fleet, 0).reason == "the disk is full; no origin"


def test_a_draining_appliance_is_draining_until_it_serves_again() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(state="draining"), 0)
    assert one(fleet, 0).health is Health.DRAINING
    fleet.take(report(sequence=2), 2)
    assert one(fleet, 2).health is Health.HEALTHY


def test_full_begins_at_90_percent_and_ends_below_80() -> None:
    fleet = Fleet(LOST_AFTER)
    expected = {8.9: Health.HEALTHY, 9.0: Health.FULL, 8.5: Health.FULL, 8.0: Health.FULL, 7.9: Health.HEALTHY}
    for sequence, (gigabits, health) in enumerate(expected.items()):
        fleet.take(report(sequence=sequence, serving_bps=int(gigabits * GIGABIT)), sequence)
        assert one(fleet, sequence).health is health, gigabits


def test_sessions_sent_since_the_last_report_count_at_their_nominal_bitrate() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    for _ in range(1800):
        fleet.admit("a1", 5_000_000, 1)
    assert one(fleet, 1).load_bps == 9 * GIGABIT
    assert one(fleet, 1).health is Health.FULL
    fleet.take(report(sequence=2, serving_bps=9 * GIGABIT), 1 + RESERVED_FOR_S)
    assert one(fleet, 1 + RESERVED_FOR_S).load_bps == 9 * GIGABIT


def test_an_admission_to_an_unknown_appliance_changes_nothing() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.admit("nobody", 1, 0)
    assert not fleet.seen(0)


def test_what_is_held_is_kept_while_only_its_version_is_told() -> None:
    fleet = Fleet(LOST_AFTER)
    held = {"film/0": ("*",)}
    assert fleet.take(report(held=held), 0).held_version == held_version(held)
    silent = report(sequence=2, held=None, held_version=held_version(held))
    assert fleet.take(silent, 1).held_version == held_version(held)
    assert one(fleet, 1).held == held


def test_the_answer_names_the_version_known_when_another_is_reported() -> None:
    fleet = Fleet(LOST_AFTER)
    assert fleet.take(report(held=None, held_version="new"), 0).held_version == ""
    fleet.take(report(sequence=2, held={"film/0": ("*",)}), 1)
    answer = fleet.take(report(sequence=3, held=None, held_version="newer"), 2)
    assert answer.held_version == held_version({"film/0": ("*",)})


def test_held_files_of_another_version_than_they_say_are_refused() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(held={"film/0": ("*",)}), 0)
    with pytest.raises(MessageError, match="is not the version of its held files"):
        fleet.take(report(sequence=2, held={"film/1": ("*",)}, held_version="wrong"), 1)
    assert one(fleet, 1).held == {"film/0": ("*",)}


def test_after_a_restart_of_steering_a_fresh_memory_is_believed_for_a_while() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.restore([Stored(report(held=None), {"film/0": ("*",)}, "v", age_s=30)], 100)
    assert one(fleet, 105).health is Health.HEALTHY
    assert one(fleet, 105).held == {"film/0": ("*",)}
    assert one(fleet, 106.5).health is Health.LOST


def test_an_old_memory_is_lost_until_it_reports() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.restore([Stored(report(held=None), {}, "", age_s=3600)], 100)
    assert one(fleet, 100).health is Health.LOST


def test_a_memory_never_replaces_a_report() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(serving_bps=2), 100)
    fleet.restore([Stored(report(serving_bps=1, held=None), {}, "", age_s=1)], 100)
    assert one(fleet, 100).load_bps == 2


def test_an_appliance_silent_for_a_week_is_forgotten() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    fleet.take(report("a2"), 8 * 86400)
    assert list(fleet.seen(8 * 86400)) == ["a2"]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 20), st.sampled_from(["a1", "a2"])), max_size=30))
def test_the_view_is_what_a_fresh_one_would_be(events: list[tuple[int, float, str]]) -> None:
    """The view is kept between changes; it must never show what is over."""
    watched, fresh = Fleet(LOST_AFTER), Fleet(LOST_AFTER)
    now = 0.0
    for sequence, wait, name in events:
        now += wait
        for fleet in (watched, fresh):
            fleet.take(report(name, sequence=sequence), now)
        watched.seen(now)
        now += wait / 2
        for known in fresh.known():
            fresh._look_at(known, now)
        assert watched.seen(now) == fresh.seen(now)
