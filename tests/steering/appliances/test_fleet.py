"""The fleet's state machine, with the clock as an argument."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import MessageError, NameInUse
from oca.report import held_version
from steering.appliances.admission import RESERVED_FOR_S
from steering.appliances.experience import SOUND, Verdict
from steering.appliances.fleet import Fleet, Stored
from steering.appliances.roll import Appliance, Health
from steering.errors import PolicyError
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


def test_no_appliance_may_have_the_name_of_another_cdn() -> None:
    fleet = Fleet(LOST_AFTER, cdns=["elsewhere"])
    with pytest.raises(MessageError, match="'elsewhere' is another CDN's"):
        fleet.take(report("elsewhere"), 0)
    fleet.hear(heard("elsewhere"), 0)
    fleet.restore([heard("elsewhere")], 0)
    assert not fleet.seen(0)


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


# What an appliance says of itself is not all that is believed


def test_an_appliance_that_says_it_can_serve_more_than_any_does_is_not_believed() -> None:
    fleet = Fleet(LOST_AFTER, largest_capacity_bps=100 * GIGABIT)
    fleet.take(report(capacity_bps=10**18), 0)
    assert one(fleet, 0).capacity_bps == 100 * GIGABIT
    assert (
        one(fleet, 0).reason == "serves 0 bit/s of 100 Gbit/s (says it can serve 1000000 Tbit/s, which is not believed)"
    )


def test_an_appliance_that_serves_more_than_it_can_is_full() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(serving_bps=12 * GIGABIT), 0)
    assert one(fleet, 0).health is Health.FULL


def test_a_site_is_full_when_its_uplink_is() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.limit_uplinks({"north": 15 * GIGABIT}, 0)
    fleet.take(report("a1", serving_bps=7 * GIGABIT), 0)
    fleet.take(report("a2", serving_bps=7 * GIGABIT), 0)
    fleet.take(report("s1", site="south", serving_bps=7 * GIGABIT), 0)
    assert [seen.health for seen in fleet.seen(0).values()] == [Health.FULL, Health.FULL, Health.HEALTHY]
    assert fleet.seen(0)["a1"].reason == "the uplink of its site carries 14 Gbit/s of 15 Gbit/s, takes no new sessions"
    fleet.take(report("a2", sequence=2, serving_bps=4 * GIGABIT), 1)
    assert fleet.seen(1)["a1"].health is Health.HEALTHY


def test_an_uplink_carries_nothing_of_an_appliance_that_is_lost() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.limit_uplinks({"north": 15 * GIGABIT}, 0)
    fleet.take(report("a2", serving_bps=7 * GIGABIT), 0)
    for sequence in range(1, 6):
        fleet.take(report("a1", sequence=sequence, serving_bps=7 * GIGABIT), 2 * sequence)
    assert [seen.health for seen in fleet.seen(10).values()] == [Health.LOST, Health.HEALTHY]
    fleet.take(report("a2", sequence=2, serving_bps=7 * GIGABIT), 12)
    fleet.take(report("a2", sequence=3, serving_bps=7 * GIGABIT), 14)
    assert [seen.health for seen in fleet.seen(14).values()] == [Health.FULL, Health.FULL]


def test_an_uplink_may_get_another_limit_or_none() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report("a1", serving_bps=7 * GIGABIT), 0)
    fleet.take(report("a2", serving_bps=7 * GIGABIT), 0)
    for gigabits, health in ((15, Health.FULL), (20, Health.HEALTHY), (14, Health.FULL), (0, Health.HEALTHY)):
        fleet.limit_uplinks({"north": gigabits * GIGABIT, "south": GIGABIT}, 1)
        assert healths(fleet, 1) == {health}, gigabits


def test_who_moves_to_another_site_takes_its_load_from_the_uplink() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.limit_uplinks({"north": 15 * GIGABIT}, 0)
    fleet.take(report("a1", serving_bps=7 * GIGABIT), 0)
    fleet.take(report("a2", serving_bps=7 * GIGABIT), 0)
    fleet.take(report("a2", sequence=2, site="south", serving_bps=7 * GIGABIT), 1)
    assert [(seen.site, seen.health) for seen in fleet.seen(1).values()] == [
        ("north", Health.HEALTHY),
        ("south", Health.HEALTHY),
    ]
    fleet.take(report("a2", sequence=3, serving_bps=7 * GIGABIT), 2)
    assert [seen.health for seen in fleet.seen(2).values()] == [Health.FULL, Health.FULL]


def test_an_appliance_whose_players_stall_takes_no_sessions_until_they_are_content() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    fleet.judge("a1", Verdict(True, 1.0, "8 of 20 players stall"), 1)
    assert (one(fleet, 1).health, one(fleet, 1).reason) == (Health.STALLING, "8 of 20 players stall")
    fleet.take(report(sequence=2), 2)
    assert one(fleet, 2).health is Health.STALLING
    fleet.judge("a1", Verdict(False, 0.125, "its players stalled a minute ago"), 3)
    assert (one(fleet, 3).health, one(fleet, 3).share) == (Health.HEALTHY, 0.125)
    fleet.judge("a1", SOUND, 4)
    assert one(fleet, 4).share == 1


def test_a_verdict_on_nobody_changes_nothing() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.judge("nobody", Verdict(True, 0.0, "stalls"), 0)
    assert not fleet.seen(0)


def test_an_appliance_that_returns_takes_a_few_sessions_first_and_more_with_each_report() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    assert one(fleet, 0).share == 1
    shares = []
    for sequence in range(2, 9):
        fleet.take(report(sequence=sequence), 20 + sequence)
        shares.append(one(fleet, 20 + sequence).share)
    assert shares[1:] == [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 1]


@pytest.mark.parametrize("share", [-0.1, 5.0])
def test_a_canary_share_that_makes_no_sense_is_refused(share: float) -> None:
    with pytest.raises(PolicyError, match=f"canary_share: found {share:g}, expected 0 to 1"):
        Fleet(LOST_AFTER, canary_share=share)


def test_a_canary_takes_its_share_and_no_more() -> None:
    fleet = Fleet(LOST_AFTER, canaries=("a1",), canary_share=0.05)
    fleet.take(report(), 0)
    assert (one(fleet, 0).share, one(fleet, 0).share_cause) == (0.05, "it is a canary")


# Sessions


def test_replicas_see_a_part_of_the_sessions_each() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    fleet.replicas = 4
    fleet.admit("a1", 5_000_000, 0)
    assert one(fleet, 0).load_bps == 20_000_000


# Silence of all


def reporting(count: int, now: float, fleet: Fleet | None = None, sequence: int = 1) -> Fleet:
    """A fleet of which all reported within the last two seconds, or one that goes on so."""
    told = fleet or Fleet(LOST_AFTER, believe_for=3600)
    for number in range(count):
        told.take(report(f"a{number}", sequence=sequence), now - 2 + 2 * (number + 1) / count)
    return told


def healths(fleet: Fleet, now: float) -> set[Health]:
    return {seen.health for seen in fleet.seen(now).values()}


def test_when_all_fall_silent_at_once_the_last_state_is_believed_and_marked() -> None:
    fleet = reporting(100, 10)
    for now in (14, 17, 100, 3600):
        assert healths(fleet, now) == {Health.HEALTHY}
    assert fleet.is_deaf(14)
    assert fleet.seen(100)["a5"].reason == "serves 0 bit/s of 10 Gbit/s (everybody is silent; believed for 1h 00m)"
    assert len(fleet.silent(100)) == 100


def test_who_was_filled_by_promises_is_free_when_they_are_over_though_all_are_silent() -> None:
    fleet = reporting(2, 10)
    for _ in range(1800):
        fleet.admit("a1", 5_000_000, 20)
    assert fleet.seen(20)["a1"].health is Health.FULL
    assert fleet.seen(20.1 + RESERVED_FOR_S)["a1"].health is Health.HEALTHY


def test_what_is_believed_in_silence_is_not_believed_for_ever() -> None:
    fleet = reporting(2, 10)
    assert healths(fleet, 3611) == {Health.LOST}


def test_who_does_not_answer_a_probe_is_lost_though_all_are_silent() -> None:
    fleet = reporting(2, 10)
    fleet.seen(20)
    fleet.probe_failed("a1", 20)
    assert fleet.seen(20)["a1"].health is Health.LOST
    assert fleet.seen(20)["a1"].reason == "silent for more than 6.0s and does not answer"
    assert fleet.seen(30)["a0"].health is Health.HEALTHY
    fleet.probe_answered("a1", 40)
    assert fleet.seen(40)["a1"].health is Health.HEALTHY


def test_when_nobody_of_many_sites_answers_it_is_our_line_that_is_cut() -> None:
    fleet = Fleet(LOST_AFTER)
    for number in range(20):
        fleet.take(report(f"a{number}", site=f"site-{number % 4}"), 8 + number / 10)
    for number in range(20):
        fleet.seen(20)
        fleet.probe_failed(f"a{number}", 20)
    assert healths(fleet, 30) == {Health.HEALTHY}
    assert "everybody is silent and nobody answers" in fleet.seen(30)["a5"].reason
    assert len(fleet.silent(30)) == 20
    fleet.probe_answered("a3", 40)
    assert [name for name, seen in fleet.seen(40).items() if seen.health is Health.HEALTHY] == ["a3"]
    assert len(fleet.silent(40)) == 20


def test_where_a_machine_refuses_our_line_is_good_and_who_does_not_answer_is_lost() -> None:
    fleet = Fleet(LOST_AFTER)
    for number in range(20):
        fleet.take(report(f"a{number}", site=f"site-{number % 4}"), 8 + number / 10)
    for number in range(20):
        fleet.probe_failed(f"a{number}", 20, is_refused=number == 7)
    assert healths(fleet, 20) == {Health.LOST}


def test_who_did_not_answer_while_we_were_cut_off_has_time_to_report_again() -> None:
    fleet = Fleet(LOST_AFTER)
    for number in range(20):
        fleet.take(report(f"a{number}", site=f"site-{number % 4}"), 8 + number / 10)
    for number in range(20):
        fleet.probe_failed(f"a{number}", 20)
    for sequence in range(2, 6):
        fleet.take(report("a3", sequence=sequence, site="site-3"), 26 + 2 * sequence)
        assert healths(fleet, 26 + 2 * sequence) == {Health.HEALTHY}
    assert [name for name, seen in fleet.seen(37).items() if seen.health is Health.HEALTHY] == ["a3"]


def test_many_of_one_site_that_do_not_answer_are_lost() -> None:
    fleet = reporting(20, 10)
    for number in range(20):
        fleet.probe_failed(f"a{number}", 20)
    assert healths(fleet, 20) == {Health.LOST}


def test_who_answers_a_probe_is_believed_for_longer() -> None:
    fleet = reporting(2, 10)
    fleet.seen(20)
    fleet.probe_answered("a1", 3000)
    assert [seen.health for seen in fleet.seen(4000).values()] == [Health.LOST, Health.HEALTHY]


def test_a_probe_says_nothing_of_who_reports() -> None:
    fleet = reporting(2, 10)
    fleet.probe_failed("a1", 11)
    assert healths(fleet, 11) == {Health.HEALTHY}


def test_when_reports_come_again_all_get_the_time_to_send_theirs() -> None:
    fleet = reporting(10, 10)
    fleet.seen(60)
    fleet.take(report("a3", sequence=2), 60)
    assert healths(fleet, 60) == {Health.HEALTHY}
    assert {seen.share for seen in fleet.seen(60).values()} == {1}  # nobody was gone, so nobody returns
    for number in range(3, 8):
        fleet.take(report("a3", sequence=number), 56 + 2 * number)
    assert [name for name, seen in fleet.seen(71).items() if seen.health is Health.HEALTHY] == ["a3"]


def test_a_quarter_of_the_fleet_that_falls_silent_is_lost_in_time() -> None:
    fleet = reporting(100, 10)
    for sequence in range(2, 6):
        now = 8 + 2.0 * sequence
        for number in range(25, 100):
            fleet.take(report(f"a{number}", sequence=sequence), now - 2 + 2 * (number + 1) / 100)
    assert sum(seen.health is Health.LOST for seen in fleet.seen(16.6).values()) == 25


def test_who_was_gone_before_all_fell_silent_stays_lost() -> None:
    fleet = reporting(3, 10)
    for sequence in range(2, 8):
        for name in ("a0", "a1"):
            fleet.take(report(name, sequence=sequence), 8 + 2 * sequence)
    assert fleet.seen(22)["a2"].health is Health.LOST
    fleet.judge("a2", Verdict(False, 0.5, "stalled"), 40)
    assert [seen.health for seen in fleet.seen(40).values()] == [Health.HEALTHY, Health.HEALTHY, Health.LOST]


def test_the_last_of_a_fleet_is_lost_as_any() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 0)
    assert not fleet.is_deaf(7)
    assert one(fleet, 7).health is Health.LOST


# Replicas


def heard(name: str = "a1", age_s: float = 1.0, held_for_s: float = 0.0, **changes: Any) -> Stored:
    told = report(name, **changes)
    return Stored(msgspec.structs.replace(told, held=None), told.held or {}, told.held_version, age_s, held_for_s)


def test_what_another_replica_heard_is_known_with_its_age() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.hear(heard(held={"film/0": ("*",)}), 10)
    assert one(fleet, 10).held == {"film/0": ("*",)}
    assert one(fleet, 15).health is Health.HEALTHY
    assert one(fleet, 15.1).health is Health.LOST


def test_of_what_two_replicas_heard_the_newest_counts() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(sequence=5, serving_bps=5), 10)
    fleet.hear(heard(sequence=4, serving_bps=4), 11)
    assert one(fleet, 11).load_bps == 5
    fleet.hear(heard(sequence=6, serving_bps=6), 12)
    assert one(fleet, 12).load_bps == 6


def test_what_another_replica_heard_replaces_an_instance_that_stopped() -> None:
    fleet = Fleet(LOST_AFTER)
    fleet.take(report(), 10)
    fleet.hear(heard(instance="second", serving_bps=7), 12)
    assert one(fleet, 12).load_bps == 7
    with pytest.raises(NameInUse, match="took over"):
        fleet.take(report(sequence=2), 13)
    fleet.hear(heard(sequence=3, serving_bps=3), 14)
    assert one(fleet, 14).load_bps == 7


def test_of_two_living_appliances_of_a_name_the_older_one_keeps_it_at_every_replica() -> None:
    older, newer = Fleet(LOST_AFTER), Fleet(LOST_AFTER)
    older.take(report(), 0)
    newer.take(report(instance="other", url="http://other.localhost:8080"), 5)
    told = heard(instance="other", url="http://other.localhost:8080", age_s=1, held_for_s=1)
    older.hear(told, 6)
    newer.hear(heard(age_s=1, held_for_s=6), 6)
    assert one(older, 6).url == one(newer, 6).url == "http://a1.localhost:8080"
    with pytest.raises(NameInUse):
        newer.take(report(instance="other", sequence=2, url="http://other.localhost:8080"), 7)


def test_while_the_other_replicas_are_silent_those_are_believed_that_only_they_hear() -> None:
    fleet = Fleet(LOST_AFTER, believe_for=3600)
    fleet.hear(heard("a1"), 0)
    fleet.hear_replicas(False, 1)
    for sequence in range(1, 100):
        fleet.take(report("a2", sequence=sequence), 2 * sequence)
    assert healths(fleet, 200) == {Health.HEALTHY}
    assert fleet.silent(200) == ["a1"]
    assert "the replicas that heard it are silent" in fleet.seen(200)["a1"].reason
    fleet.hear_replicas(True, 200)
    for sequence in range(100, 104):
        fleet.take(report("a2", sequence=sequence), 2 * sequence)
        assert fleet.seen(2 * sequence)["a1"].health is Health.HEALTHY
    assert fleet.seen(206.5)["a1"].health is Health.LOST


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
        for member in list(fresh._members.values()):
            fresh._look_at(member, now)
        assert watched.seen(now) == fresh.seen(now)
        roll = watched.roll(now)
        healthy = {name for name, one in roll.by_name.items() if one.health is Health.HEALTHY}
        assert {one.name for site in roll.appeared for one in roll.healthy_at(site)} == healthy
