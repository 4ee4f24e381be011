"""What is promised of an appliance's capacity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.appliances.admission import RESERVED_FOR_S, Discount, Reservations


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 10**8)), max_size=40))
def test_a_session_is_reserved_until_it_shows_in_reports(
    sessions: list[tuple[float, int]],
) -> None:
    reserved, now, told = Reservations(), 0.0, list[tuple[float, int]]()
    for wait, rate_bps in sessions:
        now += wait
        reserved.add(rate_bps, now)
        told.append((now, rate_bps))
        reserved.pass_time(now)
        certain = sum(rate for when, rate in told if now < when + RESERVED_FOR_S - 0.5)
        possible = sum(rate for when, rate in told if now < when + RESERVED_FOR_S)
        assert certain <= reserved.total_bps <= possible
    reserved.pass_time(now + RESERVED_FOR_S)
    assert reserved.total_bps == 0


def learned(serving_bps: int, sessions: int) -> float:
    discount = Discount()
    discount.note_session(5_000_000)
    for _ in range(200):
        discount.learn(serving_bps, sessions)
    return discount.factor


def test_what_films_take_less_than_their_nominal_bitrate_is_learnt() -> None:
    assert learned(3_500 * 1_000_000, 1000) == pytest.approx(0.7, abs=0.001)


def test_no_appliance_is_promised_more_than_twice_whatever_it_says() -> None:
    assert learned(1, 10**9) == pytest.approx(0.5, abs=0.001)
    assert learned(10**12, 1000) == 1


def test_a_few_sessions_say_nothing_of_the_many() -> None:
    assert learned(1, 3) == 1
