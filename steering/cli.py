"""`nearcast steering`: run the service, ask it why, check an operator's prefixes."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import click
import uvloop
from aiohttp import web

from config.errors import ConfigError
from config.field import show_address
from config.loader import load
from config.logs import start_logging
from config.options import settings_options
from config.ready import announce
from config.steering import SteeringSettings
from steering.errors import AskError, GeographyError, ListenError, SitesError
from steering.explain import as_text
from steering.service import Service
from steering.sites import Sites

# A player's request is answered in milliseconds; what is left after this is a connection that was abandoned.
_SHUTDOWN_S = 2.0

logger = logging.getLogger(__name__)


@click.group()
def steering() -> None:
    """Send each player to the best appliance."""


@steering.command()
@settings_options(SteeringSettings, "steering")
@click.option("--ready-file", type=click.Path(path_type=Path), hidden=True, help="Written when listening: host:port.")
def serve(settings: SteeringSettings, ready_file: Path | None) -> None:
    """Run the steering service and the web page. SIGHUP re-reads sites, geography and proxies."""
    start_logging()
    # The flags as they were given: a re-read file must not overrule them.
    parameters = dict(click.get_current_context().params)
    parameters.pop("ready_file", None)
    uvloop.run(_serve(settings, parameters.pop("config"), parameters, ready_file))


@steering.command()
@click.option("--client", required=True, metavar="IP", help="Address of the player.")
@click.option("--title", required=True, metavar="ID", help="The title it wants to play.")
@click.option("--session", default="", metavar="NAME", help="Name of the play, for the draw among equals.")
@click.option("--steering", "url", default="http://127.0.0.1:8060", show_default=True, metavar="URL")
@click.option("--json", "as_json", is_flag=True, help="The whole decision for a program.")
def explain(client: str, title: str, session: str, url: str, as_json: bool) -> None:
    """Ask the running service whom a player would be sent to, and why."""
    query = {"client": client, "title": title} | ({"session": session} if session else {})
    decision = asyncio.run(_ask(f"{url.rstrip('/')}/api/v1/explain", query))
    click.echo(json.dumps(decision, indent=2) if as_json else as_text(decision))


@steering.group()
def prefixes() -> None:
    """Who belongs to which site."""


@prefixes.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True)
def check(file: Path, as_json: bool) -> None:
    """Check the sites and prefixes of the configuration FILE."""
    settings = load(SteeringSettings, "steering", file=file, environ={})
    Sites(settings.sites, settings.default_site)
    counts = Counter({site.name: len(site.prefixes) for site in settings.sites})
    if as_json:
        click.echo(json.dumps({"sites": dict(counts)}))
        return
    for site, count in counts.items():
        click.echo(f"{site}: {count} prefix{'' if count == 1 else 'es'}")
    click.echo(f"{file}: good ({len(counts)} sites, {counts.total()} prefixes)")


async def _serve(settings: SteeringSettings, config: Path | None, flags: dict[str, Any], ready: Path | None) -> None:
    """Runs until SIGTERM or SIGINT. Raises ListenError, SitesError, GeographyError, DatabaseError."""
    service = Service(settings)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    runner = web.AppRunner(service.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        host, port = settings.listen
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ListenError(f"listen: {show_address(settings.listen)} cannot be used: {reason}") from error
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, _reload, service, config, flags)
        address = runner.addresses[0][:2]
        announce(ready, *address)
        logger.info("listening", extra={"address": show_address(address)})
        await stopped.wait()
        logger.info("stopping")
    finally:
        await runner.cleanup()


def _reload(service: Service, config: Path | None, flags: dict[str, Any]) -> None:
    """Re-reads a valid configuration; keeps the old one otherwise."""
    try:
        service.reload(load(SteeringSettings, "steering", file=config, flags=flags))
    except (ConfigError, SitesError, GeographyError) as error:
        service.note_reload(False)
        logger.error("the configuration is not taken over, the old one stays", extra={"reason": str(error)})
    else:
        service.note_reload(True)
        logger.info("sites, geography and proxies were read again")


async def _ask(url: str, query: dict[str, str]) -> dict[str, Any]:
    """Raises AskError with what the service said, or that it could not be reached."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(url, params=query) as answer,
        ):
            body = await answer.json(content_type=None)
            if answer.status != 200:
                raise AskError(f"{url}: {body.get('detail', answer.status)}")
            assert isinstance(body, dict)
            return body
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise AskError(f"{url} could not be asked: {error or 'it took too long'}") from error
