from __future__ import annotations

from origin.licences.allowance import Allowance


def test_a_burst_is_served_and_what_comes_after_waits() -> None:
    allowance = Allowance(burst=3, rate=0.5)
    assert [allowance.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take("a", 1.0)
    assert allowance.take("a", 3.0)


def test_one_address_does_not_use_up_anothers() -> None:
    allowance = Allowance(burst=1, rate=1)
    assert allowance.take("a", 0.0) and allowance.take("b", 0.0)
    assert not allowance.take("a", 0.1)


def test_addresses_are_forgotten_at_a_limit() -> None:
    allowance = Allowance(burst=1, rate=0.001)
    for number in range(40_000):
        assert allowance.take(str(number), 0.0)
    assert len(vars(allowance)["_left"]) <= 16_385
