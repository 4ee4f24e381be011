from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from config.errors import ConfigError
from fill.feed.cli import ingest, misses, report
from fill.feed.scores import keep
from fill.forecast.expected import Expected, Forecast
from fill.history import flat_rhythm
from fill.names import FileName
from fill.planner.form import Plan
from fill.planner.store import publish
from fill.transfer.outcome import Outcome, encode_outcome, outcome_key
from origin.storage import open_storage
from tests.fill.catalogs import make_offer, make_seen
from tests.fill.feed.values import line, write_log
from tests.fill.ledger.values import decided
from tests.fill.network import Network

NOBODY = ("--steering=http://127.0.0.1:1", "--origin=http://127.0.0.1:1")


def run(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, *NOBODY] if "--steering" not in str(arguments) else arguments)


def succeeded(command: click.Command, *arguments: str) -> Result:
    result = run(command, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


async def with_network(network: Network, work: Callable[[tuple[str, ...]], Awaitable[None]]) -> None:
    async with network:
        await work((f"--steering={network.url}", f"--origin={network.url}"))


def now_line(age_s: float, size: int, **more: Any) -> bytes:
    return line(age_s, size, now=time.time(), **more)


def play(age_s: float = 900.0, **changes: Any) -> bytes:
    return msgspec.json.encode(decided(**({"time": time.time() - age_s} | changes)))


def test_logs_are_taken_in_once(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [now_line(60, 10), b"nonsense"])
    asked = (f"--events=file://{tmp_path}/events", f"--access-logs={log}")
    told = succeeded(ingest, *asked)
    assert "2 lines of 1 logs; hours counted: 1; in them do not count: 1 broken" in told.stdout
    assert "cannot be asked" in told.stderr
    again = succeeded(ingest, *asked, "--json")
    assert json.loads(again.stdout)["lines"] == 0


def test_where_appliances_stand_is_asked_and_remembered(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [now_line(60, 10)])
    asked = (f"--events=file://{tmp_path}/events", f"--access-logs={log}", "--quiet")

    async def take_in(services: tuple[str, ...]) -> None:
        await asyncio.to_thread(succeeded, ingest, *asked, *services)

    asyncio.run(with_network(Network([], [make_seen("oca1", site="north")]), take_in))
    assert json.loads((tmp_path / "events" / "places.json").read_bytes()) == {"oca1": "north"}
    succeeded(ingest, *asked)
    assert json.loads((tmp_path / "events" / "places.json").read_bytes()) == {"oca1": "north"}


@pytest.mark.parametrize(("command", "key"), [(ingest, "events"), (misses, "access_logs")])
def test_what_must_be_set_is_named(command: click.Command, key: str) -> None:
    result = run(command)
    assert isinstance(result.exception, ConfigError)
    assert f"{key}: found nothing" in str(result.exception)


def test_a_duration_that_is_none_is_a_usage_error() -> None:
    result = run(misses, "--since=soon")
    assert (result.exit_code, "found 'soon', expected a duration" in result.output) == (2, True)


def test_misses_are_told_by_site_with_what_would_have_saved_them(tmp_path: Path) -> None:
    offer = make_offer("film")
    package = {"title": "film", "package": offer.package_name}
    plays = [play(client="192.0.2.0"), play(client="198.51.100.0", site="south", isp="Southern")]
    write_log(tmp_path / "decisions.log", plays)
    near = [
        now_line(800, 1000, appliance="near", **package),
        now_line(700, 500, appliance="near", hit=False, **package),
    ]
    write_log(tmp_path / "near.log", near)
    write_log(tmp_path / "origin.log", [now_line(600, 7, appliance="origin", client="198.51.100.0", **package)])
    asked = (f"--access-logs={tmp_path}/near.log,{tmp_path}/origin.log", f"--decision-logs={tmp_path}/decisions.log")
    told: dict[str, Any] = {}

    async def ask(services: tuple[str, ...]) -> None:
        result = await asyncio.to_thread(succeeded, misses, *asked, *services, "--json")
        told.update(json.loads(result.stdout))
        table = await asyncio.to_thread(succeeded, misses, *asked, *services, "--by=isp")
        assert "Northern" in table.stdout

    seen = [make_seen("near", site="north"), make_seen("far", site="south")]
    asyncio.run(with_network(Network([offer], seen), ask))
    assert (told["bytes"], told["missed"]) == (1507, 507)
    assert {row["name"]: row for row in told["rows"]} == {
        "north": {"name": "north", "bytes": 1500, "offload": pytest.approx(2 / 3), "local": 1000, "content": 500},
        "south": {"name": "south", "bytes": 7, "offload": 0.0, "health": 7},
    }
    assert {one["site"]: one["by_storage"] for one in told["counterfactual"]} == {"north": 500, "south": 0}


def test_without_decisions_all_is_unknown_and_that_is_said(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [now_line(60, 10)])
    result = succeeded(misses, f"--access-logs={log}")
    assert "decision_logs: found nothing" in result.stderr
    assert "(unknown)" in result.stdout


def test_the_report_tells_of_plans_outcomes_offload_and_forecasts(tmp_path: Path) -> None:
    now = time.time()
    outcome = Outcome(
        appliance="near", site="north", version=1, started=now - 7200, ended=now - 3600, planned_files=2,
        planned_bytes=2000, fetched={"origin": 1500}, fetched_files=1,
    )  # fmt: skip
    plan = Plan(
        format=2, appliance="waits", site="south", version=0, made_at=now, fetches=(), keeps=(), drops=(), share=0.0,
        gap=0.0, bound=0.0,
    )  # fmt: skip

    async def fill() -> None:
        async with open_storage(f"file://{tmp_path}/plans") as storage:
            await publish(storage, {"waits": plan}, None)
            await storage.put_bytes(outcome_key(outcome), encode_outcome(outcome))

    asyncio.run(fill())
    write_log(tmp_path / "decisions.log", [play()])
    before = now_line(30 * 3600, 5000, appliance="near")
    write_log(
        tmp_path / "access.log", [before, now_line(800, 30, appliance="near"), now_line(700, 10, appliance="far")]
    )
    events = f"file://{tmp_path}/events"
    expected = {FileName("film", "v720.mp4"): Expected(5.0, "", 1.0)}
    keep(
        events,
        Forecast("default", now - 2 * 86400, "guess", expected, flat_rhythm()[:24] * 7),
        dict.fromkeys(expected, 1000),
    )
    logs = (f"--access-logs={tmp_path}/access.log", f"--decision-logs={tmp_path}/decisions.log", f"--events={events}")
    succeeded(ingest, *logs, "--quiet")
    asked = (f"--plans=file://{tmp_path}/plans", *logs)
    told = json.loads(succeeded(report, *asked, "--json").stdout)
    near, waits = told["appliances"]
    assert (near["appliance"], near["fetched_bytes"], near["done"], near["why"]) == ("near", 1500, True, "done")
    assert (waits["appliance"], waits["passes"], waits["why"]) == ("waits", 0, "nothing to do")
    assert told["offload"] == [{"name": "north", "bytes": 40, "offload": 0.75, "local": 30, "health": 10}]
    (score,) = told["forecasts"]["default"]
    assert (score["model"], score["error"], score["share"]) == ("guess", 0.0, pytest.approx(1.0))
    table = succeeded(report, *asked, "--quiet").stdout
    assert "fetched: 1.46 KiB from origin" in table


def test_a_report_before_any_plan_says_so(tmp_path: Path) -> None:
    assert "There are no plans yet." in succeeded(report, f"--plans=file://{tmp_path}/plans").stdout


async def test_what_follows_the_logs_ends_its_work_when_it_is_stopped(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [now_line(60, 10)])
    events = f"--events=file://{tmp_path}/events"
    code = "import sys; from fill.feed import cli; getattr(cli, sys.argv.pop(1))()"
    for command, more in (("ingest", events), ("misses", "--by=title")):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, command, "--follow", "--json", f"--access-logs={log}", more, *NOBODY,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(60):
            first = json.loads(await process.stdout.readline())
            assert first.get("lines", 1) == 1
            process.send_signal(signal.SIGTERM)
            await process.stdout.read()
            assert await process.wait() == 0
