"""The commands of the fill agent: run, status; and of urgent orders: preposition, purge, orders."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from config.errors import ConfigError, Problem
from config.field import show_address
from config.fill import FillSettings
from config.logs import start_logging
from config.options import settings_options
from config.progress import Reporter
from config.ready import announce
from config.units import show_bytes, show_duration, show_rate
from fill.errors import OrderError
from fill.transfer.outcome import Outcome
from fill.transfer.status import Status, StatusFile
from fill.transfer.window import parse_window
from origin.storage import open_storage

if TYPE_CHECKING:
    from fill.transfer.orders import Answer, Kind, Order

_WATCH_EVERY_S = 0.5


@click.command()
@click.option("--now", "at_once", is_flag=True, help="Do not wait for the fill window, nor stop when it closes.")
@click.option("--once", is_flag=True, help="Carry out the plan once, print what became of it, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --once: the result as JSON on standard output.")
@click.option("--quiet", is_flag=True, help="No progress, only the result and errors.")
@settings_options(FillSettings, "fill")
def run(settings: FillSettings, at_once: bool, once: bool, as_json: bool, quiet: bool) -> None:
    """Carry out the plan of the appliance beside this agent, within its fill window."""
    _require(settings, "appliance", "socket")
    start_logging("warning" if quiet or once else "info")
    outcome = uvloop.run(_run(settings, at_once, once, Reporter(quiet=quiet or as_json)))
    if outcome is None:
        sys.exit(1 if once else 0)
    ended = "failed" if outcome.failed else "done" if outcome.is_done else "unfinished"
    if as_json:
        told = {**msgspec.to_builtins(outcome), "state": ended, "seconds": round(outcome.seconds, 3)}
        click.echo(json.dumps(told, indent=2))
    else:
        for failure in outcome.failed:
            click.echo(f"failed: {failure.title}/{failure.file}: {failure.reason}")
    if ended != "done":
        sys.exit(1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@settings_options(FillSettings, "fill")
def status(settings: FillSettings, as_json: bool) -> None:
    """Say how far the agent beside an appliance is: bytes, rate, time left, and from whom they come."""
    _require(settings, "socket")
    found = StatusFile(_state(settings)).read()
    if found is None:
        raise click.ClickException(f"no agent has written how far it is into {_state(settings)}")
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2) if as_json else _shown(found, time.time()))


@click.command()
@click.argument("what", metavar="TITLE[/FILE]")
@click.option("--appliances", default="", help="Names, separated by commas; all that steering knows if not given.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@click.option("--wait", "wait_s", default=30.0, help="Seconds to watch what becomes of it; 0: only give the order.")
@settings_options(FillSettings, "fill")
def preposition(settings: FillSettings, what: str, appliances: str, as_json: bool, wait_s: float) -> None:
    """Have appliances fetch a title, or one file of it, now: out of turn, and whatever the window."""
    title, _, file = what.partition("/")
    _order(settings, "preposition", (title, file), appliances, as_json, wait_s)


@click.command()
@click.argument("what", metavar="TITLE[/PACKAGE]")
@click.option("--appliances", default="", help="Names, separated by commas; all that steering knows if not given.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@click.option("--wait", "wait_s", default=30.0, help="Seconds to watch what becomes of it; 0: only give the order.")
@settings_options(FillSettings, "fill")
def purge(settings: FillSettings, what: str, appliances: str, as_json: bool, wait_s: float) -> None:
    """Have appliances drop a title, or one package of it, now. They fetch it again if a player asks and the origin has
    it: withdraw it there first."""
    title, _, package = what.partition("/")
    _order(settings, "purge", (title, package), appliances, as_json, wait_s)


@click.command()
@click.option("--ready-file", type=click.Path(path_type=Path), help="Write the address here once it listens.")
@settings_options(FillSettings, "fill")
def orders(settings: FillSettings, ready_file: Path | None) -> None:
    """Take orders of an upstream CDN over HTTP, as RFC 8007 has them: preposition, purge, invalidate."""
    start_logging("info")
    uvloop.run(_serve_orders(settings, ready_file))


async def _serve_orders(settings: FillSettings, ready_file: Path | None) -> None:
    from aiohttp import web

    from fill.fleet import FleetClient
    from fill.planner.keys import read_private
    from fill.transfer.triggers import Triggers

    key = read_private(settings.plan_key)
    plans = open_storage(settings.plans, s3_endpoint=settings.s3_endpoint)
    async with plans as storage, FleetClient(settings.steering, settings.origin) as fleet:
        triggers = Triggers(storage, fleet, key=key, token=settings.orders_token)
        runner = web.AppRunner(triggers.application())
        await runner.setup()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        try:
            await web.TCPSite(runner, *settings.listen).start()
            announce(ready_file, *runner.addresses[0][:2])
            await ended.wait()
        except OSError as error:
            where = show_address(settings.listen)
            raise OrderError(f"cannot listen on {where}: {error.strerror or error}") from error
        finally:
            await runner.cleanup()


def _require(settings: FillSettings, *keys: str) -> None:
    expected = {"appliance": "the appliance's name", "socket": "STATE/appliance.sock of the appliance"}
    problems = [Problem("settings", key, "nothing", expected[key]) for key in keys if not getattr(settings, key)]
    if problems:
        raise ConfigError(problems)


def _state(settings: FillSettings) -> Path:
    assert settings.socket is not None
    return settings.state or settings.socket.parent


async def _run(settings: FillSettings, at_once: bool, once: bool, reporter: Reporter) -> Outcome | None:
    """The outcome of the one pass of --once; None where the agent ran until it was stopped."""
    from fill.fleet import FleetClient
    from fill.planner.keys import read_public
    from fill.planner.store import PlanReader
    from fill.transfer.agent import Agent
    from fill.transfer.following import Orderly
    from fill.transfer.parent import Parent

    assert settings.socket is not None
    window = None if at_once else parse_window(settings.window, settings.time_zone)
    keys, state = read_public(settings.plan_keys), _state(settings)
    parent = partial(Parent, settings.socket)
    plans = open_storage(settings.plans, s3_endpoint=settings.s3_endpoint)
    async with plans as storage, FleetClient(settings.steering, settings.origin) as client:
        agent = Agent(
            settings.appliance,
            parent,
            PlanReader(storage, settings.appliance, state, keys),
            client,
            origin=settings.origin,
            window=window,
            transfers=settings.transfers,
            reporter=reporter,
            outcomes=storage,
            status=StatusFile(state),
            poll_every=settings.poll_every,
        )
        orders = Orderly(settings.appliance, parent, storage, client, origin=settings.origin, keys=keys)
        work: asyncio.Future[Outcome | None] = asyncio.ensure_future(agent.run_once() if once else agent.run())
        following = asyncio.ensure_future(orders.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            return await work
        except asyncio.CancelledError:
            reporter.say("stopped; what is held stays, and the rest is fetched the next time")
            return None
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


def _shown(found: Status, now: float) -> str:
    """A person's view of a status."""
    age_s = max(0.0, now - found.as_of)
    lines = [f"{found.appliance}: {found.state} ({show_duration(age_s)} ago)"]
    if found.planned_files:
        left = f", {show_duration(found.eta_s)} left" if found.eta_s and found.state == "filling" else ""
        lines.append(
            f"plan {found.version}: {found.done_files} of {found.planned_files} files, "
            f"{show_bytes(found.done_bytes)} of {show_bytes(found.planned_bytes)}, {show_rate(found.rate_bps)}{left}"
        )
    lines += [f"  from {name}: {show_bytes(count)}" for name, count in sorted(found.by_source.items())]
    lines += [
        f"  now: {one.title}/{one.file} {show_bytes(one.done)} of {show_bytes(one.size)}"
        + (f" from {one.source}" if one.source else "")
        for one in found.now
    ]
    if found.waiting:
        lines.append(f"  {found.waiting} files wait for their turn, for a master, or for a source that is busy")
    lines += [f"  failed: {one.title}/{one.file}: {one.reason}" for one in found.failed]
    return "\n".join(lines)


# Orders


def _order(
    settings: FillSettings, kind: Kind, what: tuple[str, str], appliances: str, as_json: bool, wait_s: float
) -> None:
    named = [name.strip() for name in appliances.split(",") if name.strip()]
    order, answers = asyncio.run(_give(settings, kind, what, named, wait_s))
    from fill.transfer.orders import state_of

    state = state_of(order, answers)
    if as_json:
        told = {"order": msgspec.to_builtins(order), "state": state, "answers": msgspec.to_builtins(answers)}
        click.echo(json.dumps(told, indent=2))
    else:
        _print_answers(order, answers)
    if state == "failed" or (wait_s and state != "complete"):
        sys.exit(1)


async def _give(
    settings: FillSettings, kind: Kind, what: tuple[str, str], named: Sequence[str], wait_s: float
) -> tuple[Order, dict[str, Answer]]:
    from fill.fleet import FleetClient
    from fill.planner.keys import read_private
    from fill.transfer.following import answers_to, give_order, resolve
    from fill.transfer.orders import Target, state_of

    key = read_private(settings.plan_key)
    plans = open_storage(settings.plans, s3_endpoint=settings.s3_endpoint)
    async with plans as storage, FleetClient(settings.steering, settings.origin) as fleet:
        targets = [Target(*what)] if kind == "purge" else await resolve(fleet, *what)
        names = list(named) or [seen.report.name for seen in await fleet.fleet()]
        order = await give_order(storage, kind, targets, names, key, time.time())
        until = time.monotonic() + wait_s
        answers = await answers_to(storage, order)
        while time.monotonic() < until and state_of(order, answers) in ("pending", "active"):
            await asyncio.sleep(_WATCH_EVERY_S)
            answers = await answers_to(storage, order)
    return order, answers


def _print_answers(order: Order, answers: dict[str, Answer]) -> None:
    table = Table("appliance", "state", "files", "why not")
    for name in order.appliances:
        answer = answers.get(name)
        if answer is None:
            table.add_row(name, "pending", "", "its agent has not answered yet")
        else:
            table.add_row(name, answer.state, f"{answer.done} of {answer.of}", "; ".join(answer.reasons))
    Console().print(table, markup=False)
