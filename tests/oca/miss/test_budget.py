from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oca.miss.budget import AT_FIRST, EARNED_BY_REQUEST, EARNED_BY_SECOND, MOST, RetryBudget


def spent_all(budget: RetryBudget, now: float) -> int:
    spent = 0
    while budget.spend(now):
        spent += 1
    return spent


def test_there_are_a_few_retries_to_begin_with() -> None:
    assert spent_all(RetryBudget(5.0), 5.0) == AT_FIRST


def test_requests_earn_a_share_of_their_number() -> None:
    budget = RetryBudget(0.0)
    spent_all(budget, 0.0)
    for _ in range(100):
        budget.earn(0.0)
    assert spent_all(budget, 0.0) in (19, 20)  # a fifth is no binary fraction


def test_time_earns_for_those_who_ask_seldom() -> None:
    budget = RetryBudget(0.0)
    spent_all(budget, 0.0)
    assert not budget.spend(0.9)
    assert budget.spend(1.0)


def test_an_hour_of_quiet_does_not_pay_for_a_storm() -> None:
    assert spent_all(RetryBudget(0.0), 3600.0) == MOST


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=300))
def test_retries_never_exceed_what_was_earned(steps: list[tuple[bool, float]]) -> None:
    budget, now, spent, asked = RetryBudget(0.0), 0.0, 0, 0
    for asks, seconds in steps:
        now += seconds
        if asks:
            asked += 1
            budget.earn(now)
        else:
            spent += budget.spend(now)
        assert 0 <= budget.left(now) <= MOST
    assert spent <= AT_FIRST + asked * EARNED_BY_REQUEST + now * EARNED_BY_SECOND + 1e-6
