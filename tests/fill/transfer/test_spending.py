from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fill.transfer.spending import Spending


def test_without_a_budget_everything_may_come() -> None:
    assert Spending(0).may(10**15)


def test_what_came_from_a_peer_after_all_is_given_back() -> None:
    spending = Spending(10)
    spending.promise(8)
    assert not spending.may(4)
    spending.settle(8, 3)
    assert spending.may(7) and not spending.may(8)


@given(st.integers(1, 100), st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1))))
def test_the_budget_is_never_exceeded(budget: int, files: list[tuple[int, float]]) -> None:
    spending, spent = Spending(budget), 0
    for size, share in files:
        if spending.may(size):
            spending.promise(size)
            came = int(size * share)
            spending.settle(size, came)
            spent += came
    assert spent <= budget
