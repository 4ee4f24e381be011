"""`nearcast oca`: runs an appliance, and talks to one that runs."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path
from typing import Any, Literal

import click
import uvloop
from aiohttp import web

from config.field import show_address
from config.logs import start_logging
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
@settings_options(OcaSettings, "oca")
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
def serve(settings: OcaSettings, ready_file: Path | None) -> None:
    """Serve content until SIGTERM, which drains; a second one ends at once."""
    start_logging()
    uvloop.run(_serve(settings, ready_file))


async def _serve(settings: OcaSettings, ready_file: Path | None) -> None:
    appliance = Appliance(settings)
    runner: web.AppRunner | None = None
    drain: asyncio.Task[None] | None = None

    def ask_to_end() -> None:
        nonlocal drain
        if drain is None:
            drain = asyncio.create_task(appliance.drain())
        else:
            appliance.ended.set()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ask_to_end)
    # The default would end the appliance without a drain, and operators send it to whatever has a configuration.
    loop.add_signal_handler(
        signal.SIGHUP, logger.info, "settings are read at start; drain and start again to change them"
    )
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
        await appliance.ended.wait()
    finally:
        if runner is not None:
            await runner.cleanup()
        await appliance.close()
    if appliance.failure is not None:
        raise appliance.failure


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
        if told.get("rotten"):
            raise OcaError(f"{len(told['rotten'])} files had rotted and were dropped")


_operator_command("status", "What the appliance says of itself.")
_operator_command("drain", "Have steering send its players elsewhere; it goes on serving those that stay.")
_operator_command("resume", "The opposite of drain.")
_operator_command("scrub", "Re-read all content, drop what has rotted.")


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
        *(f"problem   {problem}" for problem in told["problems"]),
    ]
    return "\n".join(lines)


def _told_scrub(told: dict[str, Any]) -> str:
    lines = [
        f"read {told['files']} files, {show_bytes(told['bytes'])}",
        *(f"rotten: {name}" for name in told["rotten"]),
    ]
    return "\n".join(lines)
