from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.progress import Reporter
from encoder.package import MANIFEST_NAME, encode
from fill import agent as agents
from fill.agent import Agent, Outcome, plan_key
from fill.appliances import Seen
from fill.errors import ApplianceGone, NoPlan, PlanError
from fill.fleet import FleetClient
from fill.plan import FORMAT, Line, Plan, encode_plan
from fill.window import parse_window
from oca import messages
from origin.errors import NotFound, StorageError
from origin.storage import Storage, open_storage
from tests.fill.appliance import MIB, FakeParent
from tests.fill.catalogs import make_offer, make_seen

PACKAGE = "ab" * 16
ORIGIN = "http://origin.example"


def line(file: str, size: int = MIB, *, package: str = PACKAGE) -> Line:
    return Line(title="film", package=package, file=file, size=size, value=1.0, reason="a test")


def make_plan(*, fetches: tuple[Line, ...] = (), keeps: tuple[Line, ...] = (), drops: tuple[Line, ...] = ()) -> Plan:
    return Plan(
        format=FORMAT, appliance="me", site="site-a", made_at=1.0, fetches=fetches, keeps=keeps, drops=drops,
        share=1.0, gap=0.0,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once: what is tested is that they follow."""
    monkeypatch.setattr(agents, "RETRY_AFTER_S", 0.0)
    monkeypatch.setattr(agents, "RECONNECT_EVERY_S", 0.005)


@pytest.fixture
async def parent(tmp_path: Path) -> AsyncIterator[FakeParent]:
    fake = FakeParent(tmp_path / "appliance.sock")
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def plans(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(f"file://{tmp_path}/plans") as storage:
        yield storage


@pytest.fixture
def fleet() -> list[Seen]:
    """What steering tells; a test may add to it."""
    return []


@pytest.fixture
async def steering(fleet: list[Seen]) -> AsyncIterator[str]:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode({"appliances": fleet, "sites": []}))

    application = web.Application()
    application.router.add_get("/api/v1/fleet", tell)
    server = TestServer(application)
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


MakeAgent = Callable[..., Agent]


@pytest.fixture
async def make_agent(tmp_path: Path, plans: Storage, steering: str) -> AsyncIterator[MakeAgent]:
    async with FleetClient(steering, ORIGIN) as client:

        def make(**changes: Any) -> Agent:
            settings: dict[str, Any] = {
                "origin": ORIGIN,
                "window": None,
                "transfers": 1,
                "reporter": Reporter(quiet=True),
                **changes,
            }
            return Agent("me", tmp_path / "appliance.sock", plans, client, **settings)

        yield make


@pytest.fixture
def carry_out(plans: Storage, make_agent: MakeAgent) -> Callable[..., Awaitable[Outcome]]:
    async def run(plan: Plan, **changes: Any) -> Outcome:
        await plans.put_bytes(plan_key("me"), encode_plan(plan))
        async with asyncio.timeout(20):
            return await make_agent(**changes).run_once()

    return run


Run = Callable[..., Awaitable[Outcome]]


async def test_keeps_then_fetches_in_the_plans_order_then_drops(parent: FakeParent, carry_out: Run) -> None:
    parent.held = {"k.mp4"}
    plan = make_plan(keeps=(line("k.mp4"),), fetches=(line("a.mp4"), line("b.mp4")), drops=(line("d.mp4"),))
    outcome = await carry_out(plan)
    assert parent.order == ["+film/k.mp4", "+film/a.mp4", "+film/b.mp4", "-film/d.mp4"]
    assert (outcome.ended, outcome.fetched, outcome.kept, outcome.dropped, outcome.left) == ("done", 2, 1, 1, 0)
    assert outcome.fetched_bytes == 2 * MIB


async def test_what_came_before_the_agent_was_killed_is_not_counted_again(parent: FakeParent, carry_out: Run) -> None:
    parent.held = {"a.mp4"}
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"), line("b.mp4"))))
    assert (outcome.ended, outcome.kept, outcome.fetched, outcome.fetched_bytes) == ("done", 1, 1, MIB)


async def test_room_is_made_only_as_it_is_needed(tmp_path: Path, carry_out: Run) -> None:
    parent = FakeParent(tmp_path / "appliance.sock", disk=10 * MIB, used=8 * MIB)
    await parent.start()
    plan = make_plan(
        fetches=(line("a.mp4", 2 * MIB), line("b.mp4", 3 * MIB)),
        drops=(line("d.mp4", 2 * MIB), line("e.mp4", 2 * MIB), line("f.mp4", 2 * MIB)),
    )
    await carry_out(plan)
    assert parent.order == ["+film/a.mp4", "-film/d.mp4", "-film/e.mp4", "+film/b.mp4", "-film/f.mp4"]
    await parent.stop()


async def test_peers_that_hold_the_file_are_named_before_the_origin(
    parent: FakeParent, carry_out: Run, fleet: list[Seen]
) -> None:
    fleet.append(make_seen("peer", held={f"film/{PACKAGE}": ("a.mp4",)}))
    await carry_out(make_plan(fetches=(line("a.mp4"), line("b.mp4"))))
    assert [fill.sources for fill in parent.fills] == [("http://peer.example:8080", ORIGIN), (ORIGIN,)]


async def test_without_steering_the_appliance_asks_its_own_sources(
    tmp_path: Path, parent: FakeParent, plans: Storage
) -> None:
    await plans.put_bytes(plan_key("me"), encode_plan(make_plan(fetches=(line("a.mp4"),))))
    async with FleetClient("http://127.0.0.1:1", ORIGIN) as client:
        agent = Agent(
            "me", parent.path, plans, client, origin=ORIGIN, window=None, transfers=1, reporter=Reporter(quiet=True)
        )
        assert (await agent.run_once()).ended == "done"
    assert parent.fills[0].sources == ()


async def test_a_source_that_failed_comes_last_the_next_time(
    parent: FakeParent, carry_out: Run, fleet: list[Seen]
) -> None:
    fleet.append(make_seen("peer", held={f"film/{PACKAGE}": ("*",)}))
    refuse = iter([True])
    parent.answer = lambda fill: (
        messages.Failed(fill.id, 502, "wrong bytes") if next(refuse, False) else messages.Done(fill.id)
    )
    assert (await carry_out(make_plan(fetches=(line("a.mp4"),)))).ended == "done"
    peer = "http://peer.example:8080"
    assert [fill.sources for fill in parent.fills] == [(peer, ORIGIN), (ORIGIN, peer)]


async def test_one_file_that_fails_does_not_stop_the_others(parent: FakeParent, carry_out: Run) -> None:
    parent.answer = lambda fill: (
        messages.Failed(fill.id, 503, "nobody has it") if fill.file == "a.mp4" else messages.Done(fill.id)
    )
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"), line("b.mp4"))))
    assert (outcome.ended, outcome.fetched) == ("failed", 1)
    assert [(failure.file, failure.reason) for failure in outcome.failed] == [("a.mp4", "nobody has it")]
    assert [fill.file for fill in parent.fills] == ["a.mp4"] * agents.ATTEMPTS + ["b.mp4"]


async def test_an_unknown_title_fails_at_once(parent: FakeParent, carry_out: Run) -> None:
    parent.answer = lambda fill: messages.Failed(fill.id, 404, "no upstream knows it")
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"),)))
    assert (outcome.ended, len(parent.fills)) == ("failed", 1)


async def test_a_full_disk_makes_room_with_the_plans_drops(parent: FakeParent, carry_out: Run) -> None:
    parent.answer = lambda fill: (
        messages.Done(fill.id) if "-film/d.mp4" in parent.order else messages.Failed(fill.id, 507, "the disk is full")
    )
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"),), drops=(line("d.mp4"),)))
    assert parent.order == ["+film/a.mp4", "-film/d.mp4", "+film/a.mp4"]
    assert outcome.ended == "done"


async def test_at_most_so_many_transfers_are_under_way(
    parent: FakeParent, make_agent: MakeAgent, plans: Storage
) -> None:
    parent.hanging = {"a.mp4", "b.mp4"}
    lines = tuple(line(f"{name}.mp4") for name in "abcd")
    await plans.put_bytes(plan_key("me"), encode_plan(make_plan(fetches=lines)))
    running = asyncio.create_task(make_agent(transfers=2).run_once())
    async with asyncio.timeout(20):
        while len(parent.fills) < 2:
            await parent.hangs.wait()
            parent.hangs.clear()
    assert [fill.file for fill in parent.fills] == ["a.mp4", "b.mp4"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_appliance_that_restarts_is_asked_again(
    tmp_path: Path, parent: FakeParent, plans: Storage, make_agent: MakeAgent
) -> None:
    parent.hanging = {"b.mp4"}
    await plans.put_bytes(plan_key("me"), encode_plan(make_plan(fetches=(line("a.mp4"), line("b.mp4")))))
    running = asyncio.create_task(make_agent().run_once())
    async with asyncio.timeout(20):
        await parent.hangs.wait()
        await parent.stop()
        restarted = FakeParent(tmp_path / "appliance.sock")
        await restarted.start()
        outcome = await running
    assert (outcome.ended, outcome.fetched) == ("done", 2)
    assert restarted.order == ["+film/b.mp4"]
    await restarted.stop()


async def test_no_appliance_at_the_socket_is_said(carry_out: Run) -> None:
    with pytest.raises(ApplianceGone, match=r"appliance\.sock"):
        await carry_out(make_plan())


async def test_no_plan_is_said(parent: FakeParent, make_agent: MakeAgent) -> None:
    with pytest.raises(NoPlan, match="nearcast fill plan"):
        await make_agent().run_once()


@pytest.mark.parametrize("data", [b"nonsense", encode_plan(msgspec.structs.replace(make_plan(), appliance="other"))])
async def test_a_bad_plan_is_refused_and_nothing_is_asked(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent, data: bytes
) -> None:
    await plans.put_bytes(plan_key("me"), data)
    with pytest.raises(PlanError):
        await make_agent().run_once()
    assert parent.heard == []


async def test_plans_that_cannot_be_reached_are_a_storage_error(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*arguments: object) -> bytes:
        raise StorageError("storage cannot be reached")

    monkeypatch.setattr(plans, "read_bytes", refuse)
    with pytest.raises(StorageError):
        await make_agent().run_once()


async def test_the_service_looks_again_after_every_trouble(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unreachable, no plan, nonsense: each is survived, and the plan that comes at last is carried out."""
    good = encode_plan(make_plan(fetches=(line("a.mp4"),)))
    reads: list[Any] = [StorageError("away"), NotFound("none"), b"nonsense", good]
    done = asyncio.Event()

    async def read(*arguments: object) -> bytes:
        result = reads.pop(0) if len(reads) > 1 else reads[0]
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, bytes)
        return result

    def answer(fill: messages.Fill) -> messages.Message:
        done.set()
        return messages.Done(fill.id)

    parent.answer = answer
    monkeypatch.setattr(plans, "read_bytes", read)
    running = asyncio.create_task(make_agent().run(0.001))
    async with asyncio.timeout(20):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert parent.order[:1] == ["+film/a.mp4"]


class Clock:
    """The time of day goes on only when the test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def test_when_the_window_closes_transfers_end_and_the_rest_is_left(parent: FakeParent, carry_out: Run) -> None:
    parent.hanging = {"b.mp4"}
    clock = Clock(2 * 3600 + 3599.95)  # 50 ms before the window closes, on the first day of 1970
    outcome = await carry_out(
        make_plan(fetches=(line("a.mp4"), line("b.mp4"), line("c.mp4"))),
        window=parse_window("02:00-03:00", "UTC"),
        clock=clock,
    )
    assert (outcome.ended, outcome.fetched, outcome.left) == ("unfinished", 1, 2)
    async with asyncio.timeout(20):
        await parent.link_closed.wait()


async def test_before_the_window_nothing_is_asked_and_then_the_newest_plan_is_taken(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(3600.0)
    sleep = asyncio.sleep

    async def skip(seconds: float) -> None:
        """The hour before the window passes at once; the planner writes another plan in it."""
        assert seconds in (0, 3600)
        clock.now += seconds
        if seconds:
            assert parent.heard == []
            await plans.put_bytes(plan_key("me"), encode_plan(make_plan(fetches=(line("new.mp4"),))))
        await sleep(0)

    monkeypatch.setattr("fill.agent.asyncio.sleep", skip)
    await plans.put_bytes(plan_key("me"), encode_plan(make_plan(fetches=(line("old.mp4"),))))
    outcome = await make_agent(window=parse_window("02:00-03:00", "UTC"), clock=clock).run_once()
    assert (outcome.ended, parent.order) == ("done", ["+film/new.mp4"])


async def test_the_files_of_a_package_that_nobody_offers_are_asked_of_the_appliance(
    tmp_path: Path, carry_out: Run
) -> None:
    offer = make_offer("film")
    asked: list[str] = []

    async def manifest(request: web.Request) -> web.Response:
        asked.append(request.headers["Cache-Control"])
        return web.Response(body=encode(offer.package))

    application = web.Application()
    application.router.add_get(f"/v1/film/{offer.package_name}/{MANIFEST_NAME}", manifest)
    server = TestServer(application)
    await server.start_server()
    parent = FakeParent(tmp_path / "appliance.sock", url=str(server.make_url("")))
    await parent.start()
    outcome = await carry_out(make_plan(drops=(line("*", package=offer.package_name), line("*"))))
    assert set(parent.order) == {f"-film/{file.name}" for file in offer.package.files}
    assert asked == ["only-if-cached"]
    assert (outcome.dropped, [failure.file for failure in outcome.failed]) == (1, ["*"])
    await parent.stop()
    await server.close()
