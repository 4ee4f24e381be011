from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from oca.miss.breaker import Breaker, State
from oca.miss.door import Door, Priority, Unavailable

LONG_S = 60.0


def door_of(limit: int, clock: Callable[[], float] = lambda: 0.0) -> Door:
    return Door("http://origin", Breaker(lambda: 0.0), limit, clock)


async def queue(door: Door, priority: Priority = Priority.MISS, patience_s: float = LONG_S) -> asyncio.Task[int]:
    """Somebody who stands in the queue when this returns."""
    task = asyncio.create_task(door.enter(priority, patience_s))
    await asyncio.sleep(0)
    return task


async def broken_door(limit: int = 2) -> Door:
    door = door_of(limit)
    ticket = await door.enter(Priority.MISS, LONG_S)
    door.fail(ticket, "silent for too long", is_costly=True)
    door.leave(ticket)
    return door


async def test_no_more_than_the_limit_are_let_in() -> None:
    door = door_of(2)
    tickets = [await door.enter(Priority.MISS, LONG_S) for _ in range(2)]
    third = await queue(door)
    assert (door.state().under_way, door.state().waiting, third.done()) == (2, 1, False)
    door.leave(tickets[0])
    door.leave(await third)
    assert (door.state().under_way, door.state().waiting, door.requests) == (1, 0, 3)


async def test_players_go_before_fills_and_each_in_order_of_arrival() -> None:
    door = door_of(1)
    ticket = await door.enter(Priority.MISS, LONG_S)
    went = []

    async def go(name: str, priority: Priority) -> None:
        own = await door.enter(priority, LONG_S)
        went.append(name)
        door.leave(own)

    async with asyncio.TaskGroup() as group:
        for name in ("fill 1", "miss 1", "fill 2", "miss 2"):
            group.create_task(go(name, Priority.FILL if "fill" in name else Priority.MISS))
        await asyncio.sleep(0)
        door.leave(ticket)
    assert went == ["miss 1", "miss 2", "fill 1", "fill 2"]


async def test_who_waits_too_long_hears_that_it_is_busy_and_nothing_failed() -> None:
    door = door_of(1)
    ticket = await door.enter(Priority.MISS, LONG_S)
    with pytest.raises(Unavailable, match="is busy: 1 requests are under way") as caught:
        await door.enter(Priority.MISS, 0.0)
    assert (caught.value.status, door.busy, door.failures, door.state().state) == (503, 1, 0, State.CLOSED)
    door.leave(ticket)
    assert await door.enter(Priority.MISS, LONG_S) == ticket


async def test_who_goes_away_in_the_instant_of_being_let_in_passes_its_place_on() -> None:
    door = door_of(1)
    ticket = await door.enter(Priority.MISS, LONG_S)
    leaver, stayer = await queue(door), await queue(door)
    door.leave(ticket)
    leaver.cancel()
    door.leave(await stayer)
    assert leaver.cancelled() and door.under_way == 0


async def test_who_goes_away_while_waiting_is_passed_over() -> None:
    door = door_of(1)
    ticket = await door.enter(Priority.MISS, LONG_S)
    leaver, stayer = await queue(door), await queue(door)
    leaver.cancel()
    await asyncio.wait([leaver])
    door.leave(ticket)
    door.leave(await stayer)
    assert (door.requests, door.under_way) == (2, 0)


async def test_when_it_fails_all_who_wait_go_on_at_once() -> None:
    door = door_of(1)
    ticket = await door.enter(Priority.MISS, LONG_S)
    waiting = [await queue(door) for _ in range(5)]
    door.fail(ticket, "silent for too long", is_costly=True)
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, Unavailable) and "silent for too long" in str(outcome)
    door.leave(ticket)
    assert (door.requests, door.under_way, door.state().state) == (1, 0, State.OPEN)


async def test_while_it_rests_one_is_let_in_and_the_others_wait_for_its_outcome() -> None:
    door = await broken_door()
    trial = await door.enter(Priority.MISS, LONG_S)
    others = [await queue(door) for _ in range(2)]
    assert not any(other.done() for other in others)
    door.moved(trial, 1000)
    tickets = [await others[0]]
    door.leave(trial)
    tickets.append(await others[1])
    assert (door.state().state, door.under_way, door.bytes) == (State.CLOSED, 2, 1000)


async def test_one_failed_trial_refuses_all_who_waited_for_it() -> None:
    door = await broken_door()
    trial = await door.enter(Priority.MISS, LONG_S)
    others = [await queue(door) for _ in range(100)]
    door.fail(trial, "no connection", is_costly=True)
    door.leave(trial)
    outcomes = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert door.requests == 2


async def test_a_trial_that_is_given_up_leaves_the_place_to_who_waits() -> None:
    door = await broken_door()
    trial = await door.enter(Priority.MISS, LONG_S)
    other = await queue(door)
    door.leave(trial)
    door.succeed(await other)
    assert door.state().state is State.CLOSED


async def test_opening_and_closing_are_logged_once_and_failed_trials_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    door = await broken_door()
    for _ in range(3):
        trial = await door.enter(Priority.MISS, LONG_S)
        door.fail(trial, "no connection", is_costly=True)
        door.leave(trial)
    door.succeed(await door.enter(Priority.MISS, LONG_S))
    assert [record.message for record in caplog.records] == [
        "an upstream failed and rests",
        "an upstream answers again",
    ]
    assert (door.failures, door.state().failed_for) == (4, "no connection")
