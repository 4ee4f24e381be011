"""`nearcast oca`: runs an appliance, and talks to one that runs."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click
import uvloop
from aiohttp import web

from config.errors import NearcastError
from config.field import show_address
from config.logs import start_logging
from config.notify import Notifier
from config.oca import OcaSettings
from config.options import settings_options
from config.ready import announce
from config.units import show_bytes, show_rate
from oca import messages
from oca.admin import application
from oca.appliance import SOCKET_NAME, Appliance
from oca.errors import OcaError
from oca.link import Link

logger = logging.getLogger(__name__)


@click.group()
def oca() -> None:
    """Run an appliance: serve, status, drain, resume, scrub."""


@oca.command()
@settings_options(OcaSettings, "oca", reloadable=True)
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
def serve(settings: OcaSettings, reload: Callable[[], OcaSettings], ready_file: Path | None) -> None:
    """Serve content until SIGTERM, which drains; a second one ends at once. SIGHUP reads the settings again."""
    start_logging()
    uvloop.run(_serve(settings, reload, ready_file))


async def _serve(settings: OcaSettings, reload: Callable[[], OcaSettings], ready_file: Path | None) -> None:
    appliance = Appliance(settings)
    notifier = Notifier()
    runner: web.AppRunner | None = None
    drain: asyncio.Task[None] | None = None
    reloading: asyncio.Task[None] | None = None
    told_to_reload = asyncio.Event()

    def ask_to_end() -> None:
        nonlocal drain
        if drain is None:
            notifier.say("STOPPING=1", "STATUS=draining")
            drain = asyncio.create_task(appliance.drain())
        else:
            appliance.ended.set()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ask_to_end)
    loop.add_signal_handler(signal.SIGHUP, told_to_reload.set)
    try:
        await appliance.start()
        runner = web.AppRunner(application(appliance), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, *settings.admin).start()
        except OSError as error:
            raise OcaError(f"cannot listen on admin {show_address(settings.admin)}: {error.strerror}") from error
        logger.info("admin", extra={"address": show_address(runner.addresses[0][:2])})
        announce(ready_file, *appliance.listening)
        notifier.say("READY=1", f"STATUS=serving {appliance.url}")
        reloading = asyncio.create_task(_reload_when_told(told_to_reload, appliance, reload, notifier))
        watching = asyncio.create_task(notifier.watch(lambda: not appliance.workers.dead))
        await appliance.ended.wait()
        watching.cancel()
    finally:
        for task in (drain, reloading):
            if task is not None:
                task.cancel()
        if runner is not None:
            await runner.cleanup()
        await appliance.close()
    if appliance.failure is not None:
        raise appliance.failure


async def _reload_when_told(
    told: asyncio.Event, appliance: Appliance, read: Callable[[], OcaSettings], notifier: Notifier
) -> None:
    """Takes the settings as they are at each SIGHUP, also one that comes while others are being taken."""
    while True:
        await told.wait()
        told.clear()
        await _reload(appliance, read, notifier)


async def _reload(appliance: Appliance, read: Callable[[], OcaSettings], notifier: Notifier) -> None:
    """Takes the settings as they are now; where they are not right, those before go on."""
    notifier.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        await appliance.reload(read())
    except (NearcastError, OSError) as error:
        logger.error("the settings were not taken, those before go on", extra={"why": str(error)})
        appliance.noted_reload(str(error))
    else:
        appliance.noted_reload("")
    finally:
        notifier.say("READY=1")


def _operator_command(what: Literal["status", "drain", "resume", "scrub"], text: str) -> None:
    @oca.command(what, help=text)
    @click.option("--state", type=click.Path(path_type=Path), default="/var/lib/nearcast/oca", show_default=True)
    @click.option("--json", "as_json", is_flag=True)
    def command(state: Path, as_json: bool) -> None:
        told = asyncio.run(_ask(state / SOCKET_NAME, what))
        if as_json:
            click.echo(json.dumps(told))
        else:
            click.echo(_told_scrub(told) if what == "scrub" else _told_status(told))
        if told.get("lost"):
            raise OcaError(f"{len(told['lost'])} files have rotted and could not be repaired")


_operator_command("status", "What the appliance says of itself.")
_operator_command("drain", "Have steering send its players elsewhere; it goes on serving those that stay.")
_operator_command("resume", "The opposite of drain.")
_operator_command("scrub", "Re-read all content, repair what has rotted.")


async def _ask(path: Path, what: Literal["status", "drain", "resume", "scrub"]) -> dict[str, Any]:
    link = Link()
    await link.start(path)
    try:
        told = await link.request(lambda id: messages.Ask(id, what))
    finally:
        await link.close()
    assert isinstance(told, messages.Told)
    return told.told


def _told_status(told: dict[str, Any]) -> str:
    held = told["held"] or {}
    lines = [
        f"{told['name']} at {told['site']}, {told['state']}, {told['url']}",
        f"serving   {show_rate(told['serving_bps'])} of {show_rate(told['capacity_bps'])}, "
        f"{told['connections']} connections, {len(told['workers'])} workers",
        f"disk      {show_bytes(told['disk_used_bytes'])} of {show_bytes(told['disk_bytes'])}",
        f"holds     {len(held)} packages",
        *(f"          {name}: {'all' if list(files) == ['*'] else ', '.join(files)}" for name, files in held.items()),
        *(_told_volume(volume) for volume in told["volumes"]),
        *(f"rotten    {count} blocks {outcome}" for outcome, count in told["rotten_blocks"].items()),
        *(f"problem   {problem}" for problem in told["problems"]),
        *(f"note      {note}" for note in told["notes"]),
    ]
    return "\n".join(lines)


def _told_volume(volume: dict[str, Any]) -> str:
    if volume["failure"]:
        return f"volume    {volume['path']}: taken out, {volume['failure']}"
    room = f"{show_bytes(volume['used_bytes'])} of {show_bytes(volume['size_bytes'])}"
    return f"volume    {volume['path']}: {room}, {volume['files']} files"


def _told_scrub(told: dict[str, Any]) -> str:
    lines = [
        f"read {told['files']} files, {show_bytes(told['bytes'])}",
        *(f"{'lost' if name in told['lost'] else 'repaired'}: {name}" for name in told["rotten"]),
    ]
    return "\n".join(lines)
