"""The `nearcast fill` commands."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import Any

import click
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from config.errors import ConfigError, Problem
from config.fill import FillSettings
from config.logs import start_logging
from config.options import settings_options
from config.progress import Reporter
from config.units import show_bytes
from fill.plan import Plan, explain
from fill.planning import Inputs, gather, write
from fill.popularity import FileName
from fill.window import parse_window
from origin.storage import open_storage


@click.group()
def fill() -> None:
    """Decide what goes where, and move it: plan, run."""


@fill.command()
@click.option("--dry-run", is_flag=True, help="Make the plans and show them, but do not write them.")
@click.option(
    "--explain", "explained", metavar="TITLE/FILE", help="Say why this file goes where it goes; writes nothing."
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@click.option("--quiet", is_flag=True, help="No progress, only the result and errors.")
@settings_options(FillSettings, "fill")
def plan(settings: FillSettings, dry_run: bool, explained: str | None, as_json: bool, quiet: bool) -> None:
    """Decide what each appliance should hold, from what was watched, and write its plan.

    The gap is that of a cluster's plan to the best that any plan could be worth.
    """
    if settings.copies < 1:
        raise ConfigError([Problem("settings", "copies", str(settings.copies), "at least 1")])
    reporter = Reporter(quiet=quiet or as_json)
    inputs = asyncio.run(gather(settings, time.time()))
    _say_inputs(inputs, settings, reporter)
    expected = inputs.expected()
    plans = inputs.plans(expected, settings.copies)
    if explained is not None:
        title, _, file = explained.partition("/")
        lines = explain(FileName(title, file), inputs.offers, expected, plans)
        click.echo(json.dumps(lines, indent=2) if as_json else "\n".join(lines))
        return
    if not dry_run:
        asyncio.run(_write(plans, settings))
    if as_json:
        click.echo(json.dumps({"plans": msgspec.to_builtins(list(plans.values()))}, indent=2))
    else:
        _print_table(plans)


@fill.command()
@click.option("--now", "at_once", is_flag=True, help="Do not wait for the fill window, nor stop when it closes.")
@click.option("--once", is_flag=True, help="Carry out the plan once, print what became of it, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --once: the result as JSON on standard output.")
@click.option("--quiet", is_flag=True, help="No progress, only the result and errors.")
@settings_options(FillSettings, "fill")
def run(settings: FillSettings, at_once: bool, once: bool, as_json: bool, quiet: bool) -> None:
    """Carry out the plan of the appliance beside this agent, within its fill window."""
    problems = [
        Problem("settings", key, "nothing", expected)
        for key, value, expected in (
            ("appliance", settings.appliance, "the appliance's name"),
            ("socket", settings.socket, "STATE/appliance.sock of the appliance"),
        )
        if not value
    ]
    if problems:
        raise ConfigError(problems)
    start_logging("warning" if quiet or once else "info")
    outcome = uvloop.run(_run(settings, at_once, once, Reporter(quiet=quiet or as_json)))
    if outcome is None:
        sys.exit(1 if once else 0)
    if as_json:
        click.echo(json.dumps({"ended": outcome.ended, **msgspec.to_builtins(outcome)}, indent=2))
    else:
        for failure in outcome.failed:
            click.echo(f"failed: {failure.title}/{failure.file}: {failure.reason}")
    if outcome.ended != "done":
        sys.exit(1)


async def _run(settings: FillSettings, at_once: bool, once: bool, reporter: Reporter) -> Any:
    """The outcome of the one pass of --once; None where the agent ran until it was stopped."""
    from fill.agent import Agent
    from fill.fleet import FleetClient

    assert settings.socket is not None
    window = None if at_once else parse_window(settings.window, settings.time_zone)
    plans = open_storage(settings.plans, s3_endpoint=settings.s3_endpoint)
    async with plans as storage, FleetClient(settings.steering, settings.origin) as client:
        agent = Agent(
            settings.appliance,
            settings.socket,
            storage,
            client,
            origin=settings.origin,
            window=window,
            transfers=settings.transfers,
            reporter=reporter,
        )
        work = asyncio.ensure_future(agent.run_once() if once else agent.run(settings.poll_every))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            return await work
        except asyncio.CancelledError:
            reporter.say("stopped; what is held stays, and the rest is fetched the next time")
            return None


async def _write(plans: dict[str, Plan], settings: FillSettings) -> None:
    async with open_storage(settings.plans, s3_endpoint=settings.s3_endpoint) as storage:
        await write(plans, storage)


def _say_inputs(inputs: Inputs, settings: FillSettings, reporter: Reporter) -> None:
    popularity = inputs.popularity
    reporter.say(
        f"{len(inputs.offers)} titles, {len(inputs.appliances)} appliances, {popularity.records} answers to viewers in "
        f"{inputs.logs} access logs of region {settings.region} ({show_bytes(popularity.total)} a day)"
    )
    if popularity.broken:
        reporter.say(f"{popularity.broken} broken lines in the access logs were passed over")
    if settings.access_logs and not inputs.logs:
        reporter.say(f"no file matches {', '.join(settings.access_logs)}: every title counts as not watched yet")


def _print_table(plans: dict[str, Plan]) -> None:
    table = Table("appliance", "site", "holds", "fetches", "files", "drops", "demand", "gap")
    for name, made in sorted(plans.items()):
        table.add_row(
            name,
            made.site,
            show_bytes(made.held_bytes),
            show_bytes(made.fetch_bytes),
            str(len(made.fetches)),
            str(len(made.drops)),
            f"{made.share:.1%}",
            f"{made.gap:.2g}",
        )
    Console().print(table if plans else "Steering knows no appliance yet.", markup=False)
