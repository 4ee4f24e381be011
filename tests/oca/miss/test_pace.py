from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.miss.pace import BUSY_SHARE, FIRST_BYTES_S, LATE_S, LEAST_BYTES_S, LEFT_SHARE, Pace
from oca.miss.reception import PIECE_BYTES

CAPACITY = 1e11
PLAYERS = 1e8


def test_where_nobody_plays_fills_wait_for_nobody() -> None:
    pace = Pace(0.0)
    pace.observe(1.0, 0.0, CAPACITY)
    assert (pace.bytes_s, pace.take(10**9, 1.0), pace.yields) == (0.0, 0.0, False)


def test_the_plans_rate_holds_even_then() -> None:
    pace = Pace(0.0)
    pace.limit_bytes_s = 1000.0
    pace.take(500, 10.0)
    assert pace.take(1000, 10.0) == pytest.approx(1.45)


def test_the_rate_grows_while_workers_are_on_time_and_falls_when_they_are_late() -> None:
    pace = Pace(0.0)
    pace.observe(0.0, PLAYERS, CAPACITY)
    first = pace.bytes_s
    assert first > FIRST_BYTES_S and pace.yields
    pace.observe(2 * LATE_S, PLAYERS, CAPACITY)
    assert pace.bytes_s < first
    late = pace.bytes_s
    pace.observe(0.0, PLAYERS, CAPACITY)
    assert late < pace.bytes_s < late * 1.5  # in steps, once it was late


def test_beside_players_a_fill_takes_a_small_part_of_what_they_leave() -> None:
    pace = Pace(0.0)
    for _ in range(100):
        pace.observe(0.0, CAPACITY / 2, CAPACITY)
    assert pace.bytes_s == pytest.approx((BUSY_SHARE - 0.5) * CAPACITY / 8 * LEFT_SHARE)


def test_near_the_capacity_fills_are_only_kept_alive() -> None:
    pace = Pace(0.0)
    pace.observe(0.0, CAPACITY * BUSY_SHARE * 1.01, CAPACITY)
    assert pace.bytes_s == LEAST_BYTES_S


def test_when_the_last_player_is_gone_so_is_the_limit() -> None:
    pace = Pace(0.0)
    pace.observe(1.0, PLAYERS, CAPACITY)
    pace.observe(0.0, 0.0, CAPACITY)
    assert not pace.bytes_s


def test_a_wait_is_counted_anew_when_the_rate_has_changed() -> None:
    pace = Pace(0.0)
    pace.limit_bytes_s = 1000.0
    assert pace.take(10_050, 0.0) == pytest.approx(10.0, abs=0.1)
    pace.limit_bytes_s = 100_000.0
    assert pace.take(0, 1.0) == 0.0


@given(st.floats(0, 1e10))
def test_pieces_are_whole_pages_and_none_takes_long(limit: float) -> None:
    pace = Pace(0.0)
    pace.limit_bytes_s = limit
    assert pace.piece_bytes % 4096 == 0 and 64 * 1024 <= pace.piece_bytes <= PIECE_BYTES
    if limit > 64 * 1024 / 0.02:
        assert pace.piece_bytes <= limit * 0.02


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 0.5)), min_size=1))
def test_whoever_waits_as_told_never_exceeds_the_rate(pieces: list[tuple[int, float]]) -> None:
    pace, now, total = Pace(0.0), 0.0, 0
    pace.limit_bytes_s = 1e6
    for count, pause_s in pieces:
        now += pause_s + pace.take(count, now)
        total += count
    assert total <= 1e6 * (now + 0.0501)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2e9))))
def test_no_observation_stops_a_fill_or_lets_it_exceed_the_plan(seen: list[tuple[float, float]]) -> None:
    pace = Pace(0.0)
    pace.limit_bytes_s = 5e6
    for late_s, serving_bps in seen:
        pace.observe(late_s, serving_bps, CAPACITY)
        assert LEAST_BYTES_S <= pace.bytes_s <= 5e6
