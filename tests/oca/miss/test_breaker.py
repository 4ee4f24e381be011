from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from oca.miss.breaker import FIRST_REST_S, IN_A_ROW, LATEST, LONGEST_REST_S, Breaker, State


def breaker_of(draw: float = 1.0) -> Breaker:
    """Its rests are of their full length."""
    return Breaker(lambda: draw)


def fail(breaker: Breaker, now: float = 0.0, *, is_costly: bool = False) -> None:
    breaker.fail(breaker.begin(), now, is_costly=is_costly)


def succeed(breaker: Breaker, now: float = 0.0) -> None:
    breaker.succeed(breaker.begin(), now)


def test_one_failure_that_cost_time_opens() -> None:
    breaker = breaker_of()
    fail(breaker, is_costly=True)
    assert (breaker.state(0), breaker.is_next(0), breaker.opened) == (State.OPEN, False, 1)


def test_failures_that_cost_nothing_open_when_they_come_in_a_row() -> None:
    breaker = breaker_of()
    for _ in range(IN_A_ROW - 1):
        fail(breaker)
    succeed(breaker)
    for _ in range(IN_A_ROW - 1):
        fail(breaker)
    assert breaker.state(0) is State.CLOSED
    fail(breaker)
    assert breaker.state(0) is State.OPEN


def test_half_of_the_latest_requests_failing_opens() -> None:
    breaker = breaker_of()
    for _ in range(LATEST // 2 - 1):
        fail(breaker)
        succeed(breaker)
    assert breaker.state(0) is State.CLOSED
    fail(breaker)
    assert breaker.state(0) is State.OPEN


def test_a_few_failures_among_many_answers_do_not_open() -> None:
    breaker = breaker_of()
    for n in range(1000):
        if n % 4:
            succeed(breaker)
        else:
            fail(breaker)
    assert breaker.opened == 0


@pytest.mark.parametrize(("draw", "rest_s"), [(0.0, FIRST_REST_S / 2), (1.0, FIRST_REST_S)])
def test_a_rest_ends_by_chance_between_half_of_it_and_all(draw: float, rest_s: float) -> None:
    breaker = breaker_of(draw)
    fail(breaker, is_costly=True)
    assert (breaker.state(rest_s - 0.01), breaker.state(rest_s)) == (State.OPEN, State.HALF_OPEN)


def test_after_the_rest_one_trial_is_let_through() -> None:
    breaker = breaker_of()
    fail(breaker, is_costly=True)
    assert breaker.is_next(FIRST_REST_S)
    ticket = breaker.begin()
    assert (breaker.admits, breaker.is_next(FIRST_REST_S)) == (False, False)
    breaker.succeed(ticket, FIRST_REST_S)
    assert breaker.state(FIRST_REST_S) is State.CLOSED


def test_a_trial_that_is_given_up_leaves_the_place_to_the_next() -> None:
    breaker = breaker_of()
    fail(breaker, is_costly=True)
    breaker.give_up(breaker.begin())
    assert breaker.is_next(FIRST_REST_S)


def test_each_trial_that_fails_doubles_the_rest_up_to_a_limit() -> None:
    breaker = breaker_of()
    now = 0.0
    fail(breaker, is_costly=True)
    rests = []
    for _ in range(6):
        asleep = next(s for s in range(1, 1000) if breaker.state(now + s) is State.HALF_OPEN)
        rests.append(asleep)
        now += asleep
        fail(breaker, now)
    assert rests == [5, 10, 20, 40, 60, 60]


def test_a_trial_out_of_turn_may_close_but_does_not_prolong_the_rest() -> None:
    breaker = breaker_of()
    fail(breaker, is_costly=True)
    fail(breaker, 1.0, is_costly=True)
    assert (breaker.opened, breaker.state(FIRST_REST_S)) == (1, State.HALF_OPEN)
    succeed(breaker, 2.0)
    assert breaker.state(2.0) is State.CLOSED


def test_the_first_bytes_close_and_a_failure_before_a_whole_answer_opens_again() -> None:
    breaker = breaker_of()
    fail(breaker, is_costly=True)
    ticket = breaker.begin()
    breaker.answers(ticket, FIRST_REST_S)
    assert breaker.state(FIRST_REST_S) is State.CLOSED
    breaker.fail(ticket, FIRST_REST_S, is_costly=False)
    assert (breaker.opened, breaker.state(2 * FIRST_REST_S)) == (2, State.OPEN)  # it doubled


def test_what_gives_wrong_bytes_after_each_rest_rests_longer_each_time() -> None:
    breaker = breaker_of()
    breaker.trip(0.0)
    succeed(breaker, FIRST_REST_S)
    breaker.trip(FIRST_REST_S)
    assert breaker.state(FIRST_REST_S * 2.9) is State.OPEN


def test_after_a_good_while_a_rest_is_short_again() -> None:
    breaker = breaker_of()
    fail(breaker, is_costly=True)
    succeed(breaker, FIRST_REST_S)
    fail(breaker, 1000.0, is_costly=True)
    assert breaker.state(1000.0 + FIRST_REST_S) is State.HALF_OPEN


def test_what_was_asked_before_it_opened_does_not_count() -> None:
    breaker = breaker_of()
    before = [breaker.begin() for _ in range(4)]
    breaker.fail(before[0], 0.0, is_costly=True)
    breaker.succeed(before[1], 0.0)
    assert breaker.state(0.0) is State.OPEN
    trial = breaker.begin()
    breaker.give_up(before[2])
    assert not breaker.admits
    breaker.succeed(trial, FIRST_REST_S)
    breaker.fail(before[3], FIRST_REST_S, is_costly=True)
    assert breaker.state(FIRST_REST_S) is State.CLOSED


class Life(RuleBasedStateMachine):
    """Whatever happens to an upstream, and however late its requests end."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = 0.0
        self.breaker = Breaker(lambda: self.chance)
        self.now = 0.0
        self.under_way: list[int] = []
        self.trial: int | None = None

    @rule(seconds=st.floats(0.0, 100.0), chance=st.floats(0.0, 0.999))
    def time_passes(self, seconds: float, chance: float) -> None:
        self.now += seconds
        self.chance = chance

    @precondition(lambda self: self.breaker.admits)
    @rule()
    def asks(self) -> None:
        ticket = self.breaker.begin()
        if self.breaker.is_open:
            self.trial = ticket
        self.under_way.append(ticket)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), ending=st.sampled_from(["succeed", "fail", "costs", "give up", "first bytes"]))
    def ends(self, data: st.DataObject, ending: str) -> None:
        ticket = data.draw(st.sampled_from(self.under_way))
        was_open, is_trial = self.breaker.is_open, ticket == self.trial
        if ending != "first bytes":
            self.under_way.remove(ticket)
        match ending:
            case "first bytes":
                self.breaker.answers(ticket, self.now)
            case "succeed":
                self.breaker.succeed(ticket, self.now)
            case "give up":
                self.breaker.give_up(ticket)
            case _:
                self.breaker.fail(ticket, self.now, is_costly=ending == "costs")
        if was_open and not self.breaker.is_open:
            assert is_trial and ending in ("succeed", "first bytes"), "only the trial's good end closes"
        if was_open and not is_trial and self.trial is not None:
            assert not self.breaker.admits, "nobody but the trial ends the trial"
        if is_trial and ending != "first bytes":
            assert self.breaker.admits
        if self.breaker.admits:
            self.trial = None

    @rule()
    def trips(self) -> None:
        self.breaker.trip(self.now)
        assert self.breaker.is_open

    @invariant()
    def a_rest_ends(self) -> None:
        assert self.breaker.state(self.now + LONGEST_REST_S) is not State.OPEN

    @invariant()
    def who_is_next_is_admitted(self) -> None:
        assert not self.breaker.is_next(self.now) or self.breaker.admits
        assert self.breaker.is_open or self.breaker.is_next(self.now)


TestLife = Life.TestCase
