from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import JobError
from encoder.jobs.states import MOST_ATTEMPTS, Event, State, after_failure, moved, pause_s, sources


def test_only_a_job_that_is_due_is_claimed_and_only_a_running_one_ends() -> None:
    assert sources(Event.CLAIM) == (State.QUEUED, State.WAITING)
    for event in (Event.FINISH, Event.FAIL, Event.PUT_OFF, Event.GIVE_BACK):
        assert sources(event) == (State.RUNNING,)


def test_each_event_has_one_outcome() -> None:
    for event in Event:
        assert len({moved(state, event) for state in sources(event)}) == 1


@pytest.mark.parametrize("state", [state for state in State if state.is_over])
def test_what_is_over_only_a_retry_brings_back(state: State) -> None:
    for event in Event:
        if event is Event.RETRY and state is not State.DONE:
            assert moved(state, event) is State.QUEUED
        else:
            with pytest.raises(JobError, match=f"is {state.value}; to {event.value} it must be"):
                moved(state, event)


def test_passing_failure_is_tried_again_but_not_for_ever() -> None:
    assert after_failure(1, is_passing=True) is Event.PUT_OFF
    assert after_failure(MOST_ATTEMPTS, is_passing=True) is Event.FAIL
    assert after_failure(1, is_passing=False) is Event.FAIL


@given(st.integers(0, 2000))
def test_pause_grows_to_half_an_hour(attempts: int) -> None:
    assert pause_s(attempts) <= pause_s(attempts + 1) <= 1800
    assert pause_s(1) == 30.0
