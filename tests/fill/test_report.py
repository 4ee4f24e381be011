from __future__ import annotations

from pathlib import Path
from typing import Any

from fill.planner.form import Line, Plan
from fill.planner.store import publish
from fill.report import Gathered, by_source, gather, night, nights_end, told_apart
from fill.transfer.outcome import Failure, Left, Outcome, encode_outcome, outcome_key
from origin.storage import open_storage

NOW = 1_790_000_000.0


def plan(appliance: str = "a1", *, version: int = 0, size: int = 1000, at_once: bool = False) -> Plan:
    line = Line(title="film", package="ab" * 16, file="v720.mp4", size=size, value=1.0, reason="")
    return Plan(
        format=2, appliance=appliance, site="north", version=version, made_at=NOW - 7200, fetches=(line,), keeps=(),
        drops=(), share=1.0, gap=0.0, bound=1.0, at_once=at_once,
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


def test_what_the_night_left_is_told_after_a_plan_within_the_day_was_done() -> None:
    failure = Failure("film", "v.mp4", "digest is wrong")
    by_night = outcome(NOW - 9000, planned_files=100, failed=[failure], left=Left(89, 9000), why="window closed")
    by_day = outcome(
        NOW - 1000, at_once=True, version=8, planned_files=0, planned_bytes=0, fetched={"origin": 7}, dropped=4
    )
    apart = told_apart("a1", [by_day, by_night], plan(version=9, at_once=True))
    assert [(one.at_once, one.passes, one.planned_files, one.is_done) for one in apart] == [
        (False, 1, 100, False),
        (True, 1, 0, False),
    ]
    night_of, day_of = apart
    assert (night_of.failed, night_of.left_files, night_of.why) == ((failure,), 89, "window closed")
    assert (night_of.fetched_bytes, night_of.dropped, day_of.fetched, day_of.dropped) == (1500, 0, {"origin": 7}, 4)
    assert day_of.why == "done; a newer plan waits"
    assert nights_end(apart) == {"north": NOW - 8400}


def test_an_appliance_with_nothing_but_a_plan_within_the_day_has_had_no_night() -> None:
    assert [(one.at_once, one.site, one.why) for one in told_apart("a1", [], plan(at_once=True))] == [
        (False, "north", "no agent has ended a pass"),
        (True, "north", "no agent has ended a pass"),
    ]
    assert [one.at_once for one in told_apart("a1", [outcome()], plan())] == [False]


def test_offload_is_told_from_the_end_of_a_sites_last_night() -> None:
    passes = [outcome(appliance="a1"), outcome(NOW - 5000, appliance="a2"), outcome(appliance="b", site="south")]
    found = [night(one.appliance, [one], None) for one in passes] + [night("waits", [], plan("waits"))]
    assert nights_end(found) == {"north": NOW - 3000, "south": NOW - 3000}


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
