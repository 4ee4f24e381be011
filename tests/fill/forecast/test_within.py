from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fill.forecast.within import Posterior, Rule, Served, Swap, learn_rule, prefer

EAGER = Rule(kappa=0.1, least_gain=0.0)


def test_the_first_request_of_what_is_not_held_never_brings_it_in() -> None:
    posterior = Posterior(["a"], {"a": 0.0}, 100.0, EAGER)
    assert posterior.ask("b", 0.1) == (False, None)
    assert posterior.held == {"a"}


def test_the_second_request_swaps_the_least_asked_for_out() -> None:
    posterior = Posterior(["a", "b"], {"a": 0.5, "b": 0.01}, 100.0, EAGER)
    posterior.ask("c", 0.1)
    hit, swap = posterior.ask("c", 0.1)
    assert not hit
    assert swap is not None
    assert (swap.comes, swap.goes) == ("c", "b")
    assert swap.rate == 10.0
    assert posterior.ask("c", 0.2) == (True, None)


def test_what_the_forecast_expects_more_of_stays() -> None:
    posterior = Posterior(["a"], {"a": 1.0}, 1000.0, EAGER)
    assert [posterior.ask("b", 0.1)[1] for _ in range(50)] == [None] * 50


def test_a_forecast_counts_for_less_the_more_was_asked() -> None:
    posterior = Posterior(["a"], {"a": 1.0}, 1000.0, EAGER)
    swaps = [posterior.ask("b", 0.5)[1] for _ in range(200)]
    assert any(swaps)


def test_a_swap_that_saves_little_of_the_day_is_not_made() -> None:
    late = Posterior(["a"], {}, 100.0, Rule(kappa=0.1, least_gain=2.0))
    assert [late.ask("b", 0.95)[1] for _ in range(3)] == [None] * 3
    assert any(late.ask("b", 0.1)[1] for _ in range(3))


def test_a_swap_says_why() -> None:
    assert Swap("b", "a", 12.0, 3.0).reason == "asked for 12 times a day, more than a, held at 3"
    assert "there is room" in Swap("b", None, 12.0, 0.0).reason


@given(st.lists(st.tuples(st.integers(0, 8), st.floats(0, 1)), max_size=80), st.integers(0, 5))
def test_what_is_held_never_grows_and_hits_are_what_is_held(asked: list[tuple[int, float]], capacity: int) -> None:
    posterior = Posterior(range(capacity), {0: 0.5, 1: 0.2}, 50.0, EAGER)
    for key, elapsed in sorted(asked, key=lambda one: one[1]):
        held = set(posterior.held)
        hit, swap = posterior.ask(key, elapsed)
        assert hit == (key in held)
        assert len(posterior.held) == capacity
        if swap:
            assert posterior.held == held - {swap.goes} | {swap.comes}


def test_the_rule_learnt_is_the_one_whose_hits_less_its_transfers_were_most() -> None:
    eager, calm = Rule(least_gain=1.0), Rule(least_gain=4.0)
    found = {eager: [Served(60, 20, 100)], calm: [Served(55, 5, 100)], EAGER: []}
    assert learn_rule(found, EAGER) == calm
    assert learn_rule({}, EAGER) == EAGER


def test_of_rules_that_are_as_good_the_usual_one_is_kept() -> None:
    found = {Rule(kappa=kappa): [Served(10, 1, 20)] for kappa in (0.1, 0.3, 1.0)}
    assert learn_rule(found, Rule(kappa=0.3)) == Rule(kappa=0.3)


def test_a_site_follows_what_did_better_over_a_week() -> None:
    assert prefer({"ours": [0.5] * 7, "lru": [0.6] * 7}, "ours") == "lru"
    assert prefer({"ours": [0.5] * 7, "lru": [0.5] * 7}, "ours") == "ours"
    assert prefer({"ours": [0.5] * 3, "lru": [0.6] * 3}, "ours") == "ours"


def test_a_site_does_not_follow_what_was_better_by_chance_or_is_not_worth_the_change() -> None:
    by_chance = {"ours": [0.5] * 7, "lru": [0.4, 0.6, 0.3, 0.9, 0.2, 0.6, 0.54]}
    assert prefer(by_chance, "ours") == "ours"
    assert prefer({"ours": [0.5] * 7, "lru": [0.51] * 7}, "ours") == "lru"
    assert prefer({"ours": [0.5] * 7, "lru": [0.51] * 7}, "ours", change=0.1) == "ours"
