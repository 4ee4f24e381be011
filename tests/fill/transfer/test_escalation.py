from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.transfer.escalation import NIGHTLY, Reach, Waits, reach

WAITS = Waits(100.0, 300.0)


def reached(idle_s: float, *, master: bool = False, peers: bool = True, spare_s: float | None = None) -> Reach:
    return reach(is_master=master, has_peers=peers, idle_s=idle_s, spare_s=spare_s, waits=WAITS)


def test_a_master_goes_as_far_as_it_takes_at_once() -> None:
    assert reached(0.0, master=True) == Reach.ORIGIN


def test_where_there_is_no_peer_to_copy_from_nobody_waits() -> None:
    assert reached(0.0, peers=False) == Reach.ORIGIN


@pytest.mark.parametrize(
    ("idle_s", "far"), [(0.0, Reach.PEERS), (99.0, Reach.PEERS), (100.0, Reach.TIER), (300.0, Reach.ORIGIN)]
)
def test_the_others_go_farther_the_longer_they_had_nothing_to_copy(idle_s: float, far: Reach) -> None:
    assert reached(idle_s) == far


def test_nobody_waits_for_time_that_the_window_does_not_have() -> None:
    assert reached(0.0, spare_s=0.0) == Reach.ORIGIN
    assert reached(30.0, spare_s=30.0) == Reach.ORIGIN  # half of what was to spare is gone
    assert reached(15.0, spare_s=45.0) == Reach.TIER
    assert reached(10.0, spare_s=50.0) == Reach.PEERS


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1e5))
def test_waiting_on_never_brings_it_back_nearer(idle_s: float, more_s: float, spare_s: float) -> None:
    """What is waited is gone from what was to spare."""
    before = reach(is_master=False, has_peers=True, idle_s=idle_s, spare_s=spare_s + more_s, waits=NIGHTLY)
    after = reach(is_master=False, has_peers=True, idle_s=idle_s + more_s, spare_s=spare_s, waits=NIGHTLY)
    assert after >= before
