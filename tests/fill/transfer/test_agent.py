from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.progress import Reporter
from encoder.package import MANIFEST_NAME, encode
from fill.appliances import Seen
from fill.errors import ApplianceGone, ForgedError, NoPlan, PlanError, WindowNeverOpens
from fill.fleet import FleetClient
from fill.planner.form import FORMAT, Line, Plan
from fill.planner.store import PlanReader, head_key, publish
from fill.transfer import agent as agents
from fill.transfer import parent as parents
from fill.transfer.agent import Agent
from fill.transfer.escalation import AT_ONCE
from fill.transfer.outcome import Outcome, decode_outcome, outcome_key
from fill.transfer.parent import Parent
from fill.transfer.status import StatusFile
from fill.transfer.window import Window, parse_window
from oca import messages
from origin.errors import StorageError
from origin.storage import Storage, open_storage
from tests.fill.appliance import MIB, FakeParent
from tests.fill.catalogs import make_offer, make_seen
from tests.waiting import until

PACKAGE = "ab" * 16
ORIGIN = "http://origin.example"


def line(file: str, size: int = MIB, *, package: str = PACKAGE, **more: Any) -> Line:
    return Line(title="film", package=package, file=file, size=size, value=1.0, reason="a test", **more)


def make_plan(
    *, fetches: tuple[Line, ...] = (), keeps: tuple[Line, ...] = (), drops: tuple[Line, ...] = (), **more: Any
) -> Plan:
    return Plan(
        format=FORMAT, appliance="me", site="site-a", version=0, made_at=1.0, fetches=fetches, keeps=keeps, drops=drops,
        share=1.0, gap=0.0, bound=0.0, **more,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once: what is tested is that they follow."""
    monkeypatch.setattr(agents, "RETRY_AFTER_S", 0.0)
    monkeypatch.setattr(parents, "RECONNECT_EVERY_S", 0.005)
    monkeypatch.setattr(agents, "FLEET_FRESH_S", 0.01)


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
            reader = PlanReader(plans, "me", tmp_path)
            return Agent("me", lambda: Parent(tmp_path / "appliance.sock"), reader, client, **settings)

        yield make


@pytest.fixture
def carry_out(plans: Storage, make_agent: MakeAgent) -> Callable[..., Awaitable[Outcome]]:
    async def run(plan: Plan, **changes: Any) -> Outcome:
        await publish(plans, {"me": plan}, None)
        async with asyncio.timeout(20):
            return await make_agent(**changes).run_once()

    return run


Run = Callable[..., Awaitable[Outcome]]


async def test_keeps_then_fetches_in_the_plans_order_then_drops(parent: FakeParent, carry_out: Run) -> None:
    parent.held = {"k.mp4"}
    plan = make_plan(keeps=(line("k.mp4"),), fetches=(line("a.mp4"), line("b.mp4")), drops=(line("d.mp4"),))
    outcome = await carry_out(plan)
    assert parent.order == ["+film/k.mp4", "+film/a.mp4", "+film/b.mp4", "-film/d.mp4"]
    assert (outcome.why, outcome.fetched_files, outcome.kept, outcome.dropped, outcome.left.files) == (
        "done",
        2,
        1,
        1,
        0,
    )
    assert outcome.fetched_bytes == 2 * MIB


async def test_what_came_before_the_agent_was_killed_is_not_counted_again(parent: FakeParent, carry_out: Run) -> None:
    parent.held = {"a.mp4"}
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"), line("b.mp4"))))
    assert (outcome.why, outcome.kept, outcome.fetched_files, outcome.fetched_bytes) == ("done", 1, 1, MIB)


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
    await carry_out(make_plan(fetches=(line("a.mp4", master=True), line("b.mp4", master=True))))
    assert [fill.sources for fill in parent.fills] == [("http://peer.example:8080", ORIGIN), (ORIGIN,)]


async def test_without_steering_the_appliance_asks_its_own_sources(
    tmp_path: Path, parent: FakeParent, plans: Storage
) -> None:
    await publish(plans, {"me": make_plan(fetches=(line("a.mp4"),))}, None)
    async with FleetClient("http://127.0.0.1:1", ORIGIN) as client:
        reader = PlanReader(plans, "me", tmp_path)
        agent = Agent(
            "me", lambda: Parent(parent.path), reader, client, origin=ORIGIN, window=None, transfers=1,
            reporter=Reporter(quiet=True),
        )  # fmt: skip
        assert (await agent.run_once()).is_done
    assert parent.fills[0].sources == ()


async def test_a_source_that_failed_comes_last_the_next_time(
    parent: FakeParent, carry_out: Run, fleet: list[Seen]
) -> None:
    fleet.append(make_seen("peer", held={f"film/{PACKAGE}": ("*",)}))
    refuse = iter([True])
    parent.answer = lambda fill: (
        messages.Failed(fill.id, 502, "wrong bytes") if next(refuse, False) else messages.Done(fill.id)
    )
    assert (await carry_out(make_plan(fetches=(line("a.mp4", master=True),)))).is_done
    peer = "http://peer.example:8080"
    assert [fill.sources for fill in parent.fills] == [(peer, ORIGIN), (ORIGIN, peer)]


async def test_one_file_that_fails_does_not_stop_the_others(parent: FakeParent, carry_out: Run) -> None:
    parent.answer = lambda fill: (
        messages.Failed(fill.id, 503, "nobody has it") if fill.file == "a.mp4" else messages.Done(fill.id)
    )
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"), line("b.mp4"))))
    assert (len(outcome.failed), outcome.fetched_files, outcome.why) == (1, 1, "done")
    assert [(failure.file, failure.reason) for failure in outcome.failed] == [("a.mp4", "nobody has it")]
    assert [fill.file for fill in parent.fills] == ["a.mp4"] * agents.ATTEMPTS + ["b.mp4"]


async def test_an_unknown_title_fails_at_once(parent: FakeParent, carry_out: Run) -> None:
    parent.answer = lambda fill: messages.Failed(fill.id, 404, "no upstream knows it")
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"),)))
    assert (len(outcome.failed), len(parent.fills)) == (1, 1)


async def test_a_full_disk_makes_room_with_the_plans_drops(parent: FakeParent, carry_out: Run) -> None:
    parent.answer = lambda fill: (
        messages.Done(fill.id) if "-film/d.mp4" in parent.order else messages.Failed(fill.id, 507, "the disk is full")
    )
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"),), drops=(line("d.mp4"),)))
    assert parent.order == ["+film/a.mp4", "-film/d.mp4", "+film/a.mp4"]
    assert outcome.is_done


async def test_at_most_so_many_transfers_are_under_way(
    parent: FakeParent, make_agent: MakeAgent, plans: Storage
) -> None:
    parent.hanging = {"a.mp4", "b.mp4"}
    lines = tuple(line(f"{name}.mp4") for name in "abcd")
    await publish(plans, {"me": make_plan(fetches=lines)}, None)
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
    await publish(plans, {"me": make_plan(fetches=(line("a.mp4"), line("b.mp4")))}, None)
    running = asyncio.create_task(make_agent().run_once())
    async with asyncio.timeout(20):
        await parent.hangs.wait()
        await parent.stop()
        restarted = FakeParent(tmp_path / "appliance.sock")
        await restarted.start()
        outcome = await running
    assert (outcome.why, outcome.fetched_files) == ("done", 2)
    assert restarted.order == ["+film/b.mp4"]
    await restarted.stop()


async def test_no_appliance_at_the_socket_is_said(carry_out: Run) -> None:
    with pytest.raises(ApplianceGone, match=r"appliance\.sock"):
        await carry_out(make_plan())


async def test_no_plan_is_said(parent: FakeParent, make_agent: MakeAgent) -> None:
    with pytest.raises(NoPlan, match="nearcast fill plan"):
        await make_agent().run_once()


async def test_a_bad_plan_is_refused_and_nothing_is_asked(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent
) -> None:
    await plans.put_bytes(head_key("me"), b"nonsense")
    with pytest.raises(PlanError):
        await make_agent().run_once()
    assert parent.heard == []


async def test_the_plan_of_another_appliance_is_refused(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent
) -> None:
    await publish(plans, {"other": msgspec.structs.replace(make_plan(), appliance="other")}, None)
    await plans.put_bytes(head_key("me"), await plans.read_bytes(head_key("other")))
    with pytest.raises(PlanError, match="other"):
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


class Told:
    """Plans as the test says, one after another; the last one stays."""

    def __init__(self, *told: Plan | Exception) -> None:
        self.told = list(told)
        self.known: Plan | None = None

    async def read(self) -> Plan:
        found = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(found, Exception):
            raise found
        self.known = found
        return found

    async def last(self) -> Plan | None:
        return self.known


def service(parent: FakeParent, client: FleetClient, plans: Told, **more: Any) -> Agent:
    return Agent(
        "me", lambda: Parent(parent.path), plans, client, origin=ORIGIN, window=None,
        reporter=Reporter(quiet=True), **{"poll_every": 0.001, "transfers": 1, **more},
    )  # fmt: skip


async def runs_until(agent: Agent, event: asyncio.Event) -> None:
    running = asyncio.create_task(agent.run())
    async with asyncio.timeout(20):
        await event.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_service_looks_again_after_every_trouble(parent: FakeParent, steering: str) -> None:
    """Unreachable, no plan, nonsense: each is survived, and the plan that comes at last is carried out."""
    done = asyncio.Event()

    def answer(fill: messages.Fill) -> messages.Message:
        done.set()
        return messages.Done(fill.id)

    parent.answer = answer
    good = msgspec.structs.replace(make_plan(fetches=(line("a.mp4"),)), version=1)
    async with FleetClient(steering, ORIGIN) as client:
        plans = Told(StorageError("away"), NoPlan("none"), PlanError("nonsense"), good)
        await runs_until(service(parent, client, plans), done)
    assert parent.order[:1] == ["+film/a.mp4"]


async def test_a_plan_that_changes_while_it_is_carried_out_is_taken_up_and_what_it_began_is_dropped(
    parent: FakeParent, steering: str, tmp_path: Path
) -> None:
    parent.hanging = {"stale.mp4", "wanted.mp4"}
    old = make_plan(fetches=(line("a.mp4"), line("stale.mp4"), line("wanted.mp4")))
    new = make_plan(keeps=(line("a.mp4"),), fetches=(line("wanted.mp4"), line("c.mp4")))
    plans = Told(*(msgspec.structs.replace(plan, version=version) for version, plan in ((1, old),)))
    done = asyncio.Event()

    def answer(fill: messages.Fill) -> messages.Message:
        if fill.file == "c.mp4":
            done.set()
        return messages.Done(fill.id)

    parent.answer = answer
    async with FleetClient(steering, ORIGIN) as client:
        agent = service(parent, client, plans, transfers=2, status=StatusFile(tmp_path))
        running = asyncio.create_task(agent.run_once())
        async with asyncio.timeout(20):
            await parent.hangs.wait()
            await until(lambda: len(parent.fills) == 3)
            parent.hanging, parent.held = set(), {"a.mp4"}
            plans.told = [msgspec.structs.replace(new, version=2)]
            outcome = await running
    assert (outcome.version, outcome.why, outcome.kept) == (2, "done", 1)
    after = parent.order[3:]
    assert after[0] == "-film/stale.mp4" and sorted(after[1:]) == ["+film/a.mp4", "+film/c.mp4", "+film/wanted.mp4"]


async def test_where_the_newest_plan_is_forged_the_last_one_goes_on(parent: FakeParent, steering: str) -> None:
    done = asyncio.Event()
    tries = iter([False, False])

    def answer(fill: messages.Fill) -> messages.Message:
        if next(tries, True):
            done.set()
            return messages.Done(fill.id)
        return messages.Failed(fill.id, 404, "nobody has it")

    parent.answer = answer
    plan = msgspec.structs.replace(make_plan(fetches=(line("a.mp4"),)), version=1)
    async with FleetClient(steering, ORIGIN) as client:
        await runs_until(service(parent, client, Told(plan, ForgedError("forged"))), done)
    assert set(parent.order) == {"+film/a.mp4"}


class Clock:
    """The time of day goes on only when the test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def test_when_the_window_closes_transfers_end_and_the_rest_is_left(parent: FakeParent, carry_out: Run) -> None:
    parent.hanging = {"b.mp4"}
    clock = Clock(
        2 * 3600 + 3599.0
    )  # a second before the window closes, on the first day of 1970: one file is done by then
    outcome = await carry_out(
        make_plan(fetches=(line("a.mp4"), line("b.mp4"), line("c.mp4"))),
        window=parse_window("02:00-03:00", "UTC"),
        clock=clock,
    )
    assert (outcome.why, outcome.fetched_files, outcome.left.files) == ("window closed", 1, 2)
    async with asyncio.timeout(20):
        await parent.link_closed.wait()


async def test_before_the_window_nothing_is_asked_and_then_the_newest_plan_is_taken(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(3600.0)
    sleep = asyncio.sleep

    async def skip(seconds: float) -> None:
        """The hour before the window passes at once; the planner writes another plan in it."""
        if seconds != 3600:
            await asyncio.Event().wait() if seconds else await sleep(0)
            return
        clock.now += seconds
        if seconds:
            assert parent.heard == []
            await publish(plans, {"me": make_plan(fetches=(line("new.mp4"),))}, None)
        await sleep(0)

    monkeypatch.setattr("fill.transfer.agent.asyncio.sleep", skip)
    await publish(plans, {"me": make_plan(fetches=(line("old.mp4"),))}, None)
    agent = make_agent(window=parse_window("02:00-03:00", "UTC"), clock=clock, poll_every=3600.0)
    async with asyncio.timeout(20):
        outcome = await agent.run_once()
    assert (outcome.why, parent.order) == ("done", ["+film/new.mp4"])


async def test_a_plan_made_within_the_day_does_not_wait_for_the_window(
    parent: FakeParent, plans: Storage, make_agent: MakeAgent
) -> None:
    agent = make_agent(window=parse_window("02:00-03:00", "UTC"), clock=Clock(12 * 3600.0), poll_every=0.005)
    await publish(plans, {"me": make_plan(fetches=(line("night.mp4"),))}, None)
    working = asyncio.create_task(agent.run_once())
    await publish(plans, {"me": make_plan(fetches=(line("now.mp4"),), at_once=True)}, None)
    async with asyncio.timeout(20):
        assert (await working).why == "done"
    assert parent.order == ["+film/now.mp4"]


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


class Ticking:
    """Each look at the clock takes a tenth of a second."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


class Steering:
    def __init__(self, *seen: Seen) -> None:
        self.seen = seen

    async def fleet(self) -> tuple[Seen, ...]:
        return self.seen


@pytest.mark.parametrize("is_master", [False, True])
async def test_who_is_no_master_goes_far_only_when_it_has_long_had_nothing_to_copy(
    parent: FakeParent, is_master: bool
) -> None:
    peer = make_seen("peer", held={f"film/{PACKAGE}": ("first.mp4",)})
    clock = Ticking()
    asked_at: dict[str, float] = {}

    def answer(fill: messages.Fill) -> messages.Message:
        asked_at[fill.file] = clock.now
        return messages.Done(fill.id)

    parent.answer = answer
    lines = line("second.mp4", master=is_master), line("first.mp4")
    plan = msgspec.structs.replace(make_plan(fetches=lines), version=1)
    fleet = cast(FleetClient, Steering(peer))
    async with asyncio.timeout(20):
        outcome = await service(parent, fleet, Told(plan), clock=clock, poll_every=1000.0).run_once()
    assert outcome.fetched == {"peer": MIB, "origin": MIB}
    waited_s = asked_at["second.mp4"] - asked_at["first.mp4"]
    assert waited_s < 0 if is_master else waited_s >= AT_ONCE.origin_s


async def test_a_source_that_has_players_to_serve_is_asked_again_and_costs_no_attempt(
    parent: FakeParent, steering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "_LONGEST_REFUSAL_S", 0.001)
    refusals = iter(range(2 * agents.ATTEMPTS))
    parent.answer = lambda fill: (
        messages.Failed(fill.id, 503, "busy", 10.0) if next(refusals, None) is not None else messages.Done(fill.id)
    )
    plan = msgspec.structs.replace(make_plan(fetches=(line("a.mp4"), line("b.mp4"))), version=1)
    async with FleetClient(steering, ORIGIN) as client, asyncio.timeout(20):
        outcome = await service(parent, client, Told(plan), poll_every=1000.0).run_once()
    assert outcome.is_done and len(parent.fills) == 2 * agents.ATTEMPTS + 2


async def test_what_the_budget_does_not_allow_is_left(parent: FakeParent, carry_out: Run) -> None:
    lines = (line("a.mp4"), line("large.mp4", 5 * MIB), line("c.mp4"))
    outcome = await carry_out(make_plan(fetches=lines, budget_bytes=2 * MIB))
    assert parent.order == ["+film/a.mp4", "+film/c.mp4"]
    assert (outcome.why, outcome.left.files, outcome.left.bytes) == ("budget", 1, 5 * MIB)


async def test_the_plans_rate_and_release_reach_the_appliance(parent: FakeParent, carry_out: Run) -> None:
    await carry_out(make_plan(fetches=(line("a.mp4", not_before=4e9),), rate_bps=10**9))
    assert (parent.fills[0].rate_bps, parent.fills[0].not_before) == (10**9, 4e9)


async def test_what_became_of_a_plan_and_how_far_it_is_are_left(
    parent: FakeParent, carry_out: Run, plans: Storage, tmp_path: Path
) -> None:
    status = StatusFile(tmp_path)
    outcome = await carry_out(make_plan(fetches=(line("a.mp4"),)), outcomes=plans, status=status)
    kept = decode_outcome(await plans.read_bytes(outcome_key(outcome)), "there")
    assert kept == outcome and kept.fetched == {"origin": MIB} and kept.planned_bytes == MIB
    told = status.read()
    assert told is not None and (told.state, told.done_files, told.by_source) == ("ended", 1, {"origin": MIB})


async def test_a_window_that_never_opens_is_said(parent: FakeParent, carry_out: Run) -> None:
    never = Window(120, 120, ZoneInfo("UTC"))
    with pytest.raises(WindowNeverOpens, match="nothing is filled"):
        await carry_out(make_plan(fetches=(line("a.mp4"),)), window=never)
    assert parent.heard == []
