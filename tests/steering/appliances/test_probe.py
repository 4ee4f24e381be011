"""Asking the silent: whose turn it is, and what follows from the answer."""

from __future__ import annotations

import asyncio
from itertools import chain

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from steering.appliances.fleet import Fleet
from steering.appliances.probe import Prober, Sign, Turns, look
from steering.appliances.roll import Health
from tests.steering.conftest import Clock
from tests.steering.values import report
from tests.waiting import until

NOBODY = "http://127.0.0.1:1"


def test_few_are_asked_at_a_time_and_all_in_turn() -> None:
    turns, names = Turns(), [f"a{n}" for n in range(25)]
    asked = [turns.next(names, now, most=10) for now in (0.0, 0.5, 1.0, 1.5)]
    assert [len(some) for some in asked] == [10, 10, 5, 0]
    assert sorted(chain(*asked)) == sorted(names)
    assert sorted(turns.next(names, 10.0, most=10)) == sorted(asked[0])


def test_one_question_may_be_lost_and_the_second_is_soon() -> None:
    turns = Turns()
    assert turns.next(["a"], 0.0, most=10) == ["a"]
    assert not turns.failed("a", 0.1)
    assert turns.next(["a"], 1.0, most=10) == []
    assert turns.next(["a"], 1.1, most=10) == ["a"]
    assert turns.failed("a", 1.2)


def test_who_is_heard_again_begins_anew() -> None:
    turns = Turns()
    turns.next(["a"], 0.0, most=10)
    turns.failed("a", 0.1)
    turns.next([], 1.0, most=10)
    assert turns.next(["a"], 1.1, most=10) == ["a"]
    assert not turns.failed("a", 1.2)


async def unavailable(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def test_any_answer_is_a_sign_of_life() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", unavailable)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        assert await look(session, f"http://127.0.0.1:{server.port}") is Sign.ANSWERS
        assert await look(session, NOBODY) is Sign.REFUSES
        assert await look(session, "http://[nonsense") is Sign.NOTHING


async def test_when_all_are_silent_those_that_answer_are_believed_and_the_others_lost(clock: Clock) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", unavailable)
    fleet = Fleet(6)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        fleet.take(report("lives", url=f"http://127.0.0.1:{server.port}"), clock())
        fleet.take(report("gone", url=NOBODY), clock())
        clock.now += 7
        assert {one.health for one in fleet.seen(clock()).values()} == {Health.HEALTHY}
        asking = asyncio.create_task(Prober(fleet, clock).follow(session))

        def is_settled() -> bool:
            clock.now += 0.05
            return fleet.seen(clock())["gone"].health is Health.LOST

        await until(is_settled)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert fleet.seen(clock())["lives"].health is Health.HEALTHY
