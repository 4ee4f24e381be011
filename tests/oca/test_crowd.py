from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oca.crowd import PER_NETWORK, Crowd, number


def crowd_of(count: int, now: float = 0.0) -> Crowd:
    """As many sessions, each of a network of its own."""
    crowd = Crowd(30.0)
    for one in range(count):
        crowd.add(number(f"session {one}"), number(f"10.{one >> 8}.{one & 255}.0"), now)
    return crowd


def test_nobody_is_nobody() -> None:
    crowd = Crowd(30.0)
    assert (crowd.sessions(5.0), crowd.networks(5.0)) == (0, 0)


def test_a_session_counts_once() -> None:
    crowd = Crowd(30.0)
    for second in range(20):
        crowd.add(1, 2, float(second))
    assert (crowd.sessions(20.0), crowd.networks(20.0)) == (1, 1)


def test_counts_are_right_where_it_matters_and_near_where_they_are_large() -> None:
    for count in (3, 10, 30):
        assert abs(crowd_of(count).sessions(0.0) - count) <= max(1, count // 10)
    for count in (100, 300, 1000):
        assert abs(crowd_of(count).sessions(0.0) / count - 1) < 0.12
    assert crowd_of(3).networks(0.0) == 3


def test_neighbouring_networks_are_counted_as_well_as_any() -> None:
    for count, tolerance in ((30, 0.12), (100, 0.1), (400, 0.1), (1000, 0.15)):
        for first in (1 << 48 | 0x0A0000, 1 << 49 | 0x20010DB80000):  # as steering.placement.paths numbers them
            crowd = Crowd(30.0)
            for network in range(first, first + count):
                crowd.add(network * 7, network, 0.0)
            assert abs(crowd.sessions(0.0) / count - 1) < tolerance


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_a_network_counts_for_four_sessions_at_most(sessions: int, network: int) -> None:
    crowd = Crowd(30.0)
    for session in range(sessions):
        crowd.add(number(str(session)), network, 0.0)
    assert crowd.sessions(0.0) <= PER_NETWORK
    assert crowd.networks(0.0) == 1


@given(st.integers(0, 100_000))
def test_a_crowd_beyond_counting_is_a_large_one(count: int) -> None:
    crowd = Crowd(30.0)
    for session in range(count % 5000):
        crowd.add(session, session * 7919, 0.0)
    assert 0 <= crowd.sessions(0.0) < 4000
    assert 0 <= crowd.networks(0.0) <= 1000


def test_who_is_silent_for_the_window_is_gone_and_not_before_two_thirds_of_it() -> None:
    crowd = crowd_of(5, now=9.9)
    assert crowd.sessions(29.9) == 5
    assert crowd.sessions(30.1) == 0


def test_a_clock_that_stands_before_the_last_word_takes_nothing_away() -> None:
    crowd = crowd_of(5, now=1000.0)
    assert crowd.sessions(900.0) == 5
