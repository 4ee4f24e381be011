from __future__ import annotations

from pathlib import Path
from typing import Any

from fill.planner.form import Line, Plan
from fill.planner.store import publish
from fill.report import Gathered, by_source, gather, night
from fill.transfer.outcome import Failure, Left, Outcome, encode_outcome, outcome_key
from origin.storage import open_storage

NOW = 1_790_000_000.0


def plan(appliance: str = "a1", *, version: int = 0, size: int = 1000) -> Plan:
    line = Line(title="film", package="ab" * 16, file="v720.mp4", size=size, value=1.0, reason="")
    return Plan(
        format=2, appliance=appliance, site="north", version=version, made_at=NOW - 7200, fetches=(line,), keeps=(),
        drops=(), share=1.0, gap=0.0, bound=1.0,
    )  # fmt: skip


def outcome(started: float = NOW - 3600, **changes: Any) -> Outcome:
    fields: dict[str, Any] = {
        "appliance": "a1", "site": "north", "version": 7, "started": started, "ended": started + 600,
        "planned_files": 3, "planned_bytes": 3000, "fetched": {"origin": 1000, "a2": 500}, "fetched_files": 1,
    }  # fmt: skip
    return Outcome(**(fields | changes))


def test_passes_of_a_night_are_one_and_the_last_says_what_is_left() -> None:
    failure = Failure("film", "v.mp4", "nobody had it")
    passes = [
        outcome(NOW - 1000, left=Left(1, 700), failed=[failure], fetched={"a2": 1}, dropped=1),
        outcome(NOW - 5000, left=Left(2, 2000), failed=[failure, failure], why="window closed", dropped=2),
    ]
    found = night("a1", passes, None)
    assert (found.passes, found.started, found.ended) == (2, NOW - 5000, NOW - 400)
    assert (found.fetched, found.fetched_bytes, found.fetched_files) == ({"origin": 1000, "a2": 501}, 1501, 2)
    assert (found.dropped, found.left_files, found.left_bytes, found.failed) == (3, 1, 700, (failure,))
    assert (found.why, found.is_done) == ("done", False)
    assert night("a1", [outcome()], None).is_done
    assert by_source([found]) == {"appliances": 501, "origin": 1000}


def test_an_appliance_whose_agent_never_ended_a_pass_has_everything_left() -> None:
    found = night("a1", [], plan())
    assert (found.passes, found.planned_files, found.left_bytes) == (0, 1, 1000)
    assert found.why == "no agent has ended a pass"


def test_a_plan_that_came_since_is_told() -> None:
    assert night("a1", [outcome()], plan(version=8)).why == "done; a newer plan waits"


async def nights(folder: Path, outcomes: list[Outcome], plans: list[Plan]) -> Gathered:
    async with open_storage(f"file://{folder}/plans") as storage:
        await publish(storage, {one.appliance: one for one in plans}, None)
        for one in outcomes:
            await storage.put_bytes(outcome_key(one), encode_outcome(one))
        await storage.put_bytes("outcomes/a1/8-1789999999.json", b"{")
        return await gather(storage, NOW - 86400)


async def test_every_appliance_with_a_plan_or_an_outcome_is_reported_and_nonsense_named(tmp_path: Path) -> None:
    old = outcome(NOW - 3 * 86400, appliance="old")
    found = await nights(tmp_path, [outcome(), outcome(appliance="a0"), old], [plan(), plan("waiting")])
    assert [(one.appliance, one.passes) for one in found.nights] == [("a0", 1), ("a1", 1), ("waiting", 0)]
    assert len(found.unreadable) == 1
    assert found.unreadable[0].startswith("outcomes/a1/8-1789999999.json is no outcome of a fill")


async def test_no_plans_are_no_report(tmp_path: Path) -> None:
    async with open_storage(f"file://{tmp_path}/plans") as storage:
        assert (await gather(storage, NOW)).nights == ()
