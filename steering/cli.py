"""`nearcast steering`: run the service, ask it why, check an operator's prefixes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import click
import uvloop

from config.errors import ConfigError
from config.field import show_address
from config.logs import start_logging
from config.options import settings_options
from config.ready import announce
from config.steering import SteeringSettings
from steering.checks.command import prefixes
from steering.choice.explain import as_text
from steering.errors import AskError, RequestError
from steering.journal.segments import Journal
from steering.prefixes.addresses import parse_address
from steering.replay.cli import journal_option, moment_option, replay
from steering.replay.moment import explain_at, moment_as_text
from steering.routes.cli import routes
from steering.workers.parent import Workers
from steering.workers.worker import Worker

logger = logging.getLogger(__name__)


@click.group()
def steering() -> None:
    """Send each player to the best appliance."""


@steering.command()
@settings_options(SteeringSettings, "steering", reloadable=True)
@click.option("--ready-file", type=click.Path(path_type=Path), hidden=True, help="Written when listening: host:port.")
def serve(settings: SteeringSettings, reload: Callable[[], SteeringSettings], ready_file: Path | None) -> None:
    """Run the steering service and the web page. SIGHUP re-reads sites, geography and proxies."""
    start_logging()
    uvloop.run((_serve if settings.workers == 1 else _serve_with_workers)(settings, reload, ready_file))


@steering.command()
@click.option("--client", required=True, metavar="IP", help="Address of the player.")
@click.option("--title", required=True, metavar="ID", help="The title it wants to play.")
@click.option("--session", default="", metavar="NAME", help="Name of the play, for the draw among equals.")
@click.option("--steering", "url", default="http://127.0.0.1:8060", show_default=True, metavar="URL")
@click.option("--at", callback=moment_option, metavar="TIME", help="As it was then, by the journal: RFC 3339, 10m ago.")
@journal_option(required=False)
@click.option("--json", "as_json", is_flag=True, help="The whole decision for a program.")
def explain(
    client: str, title: str, session: str, url: str, at: float | None, journal: Path | None, as_json: bool
) -> None:
    """Ask whom a player would be sent to, and why: the running service, or with --at the journal of what it knew."""
    if at is not None:
        decision = _explain_at(journal, at, client, title, session)
    else:
        query = {"client": client, "title": title} | ({"session": session} if session else {})
        decision = asyncio.run(_ask(f"{url.rstrip('/')}/api/v1/explain", query))
    click.echo(json.dumps(decision, indent=2) if as_json else as_text(decision))
    if at is not None and not as_json:
        click.echo(moment_as_text(decision))


steering.add_command(routes)
steering.add_command(replay)
steering.add_command(prefixes)


def _explain_at(journal: Path | None, at: float, client: str, title: str, session: str) -> dict[str, Any]:
    """Raises JournalError, TitleUnknown, RequestError, SitesError, GeographyError."""
    if journal is None:
        raise click.UsageError("--at needs the journal that steering kept, expected --journal DIR")
    if parse_address(client) is None:
        raise RequestError(f"--client: found {client!r}, expected an IP address")
    return explain_at(Journal(journal), at, client, title, session)


async def _serve(settings: SteeringSettings, read: Callable[[], SteeringSettings], ready: Path | None) -> None:
    """Runs until SIGTERM or SIGINT. Raises ListenError, SitesError, GeographyError, DatabaseError."""
    worker = Worker(settings)

    async def reload() -> None:
        try:
            changed = read()
        except ConfigError as error:
            worker.refuse(str(error))
        else:
            await worker.reload(changed)

    try:
        address = await worker.start(settings.listen)
        stopped = _stopped()
        async with _reloading(reload):
            announce(ready, *address)
            logger.info("listening", extra={"address": show_address(address)})
            await stopped.wait()
            logger.info("stopping")
    finally:
        await worker.close()


async def _serve_with_workers(
    settings: SteeringSettings, read: Callable[[], SteeringSettings], ready: Path | None
) -> None:
    """Runs until SIGTERM or SIGINT. Raises ListenError, WorkerError."""
    workers = Workers(settings)
    try:
        # Before they start, so that none outlives a parent that is ended meanwhile.
        stopped = _stopped()
        async with _reloading(lambda: workers.reload(read)):
            starting = asyncio.create_task(workers.start())
            ending = asyncio.create_task(stopped.wait())
            await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                address = await starting
                announce(ready, *address)
                logger.info("listening", extra={"address": show_address(address), "workers": len(workers.process_ids)})
                await ending
            logger.info("stopping")
            starting.cancel()
            ending.cancel()
    finally:
        await workers.close()


@contextlib.asynccontextmanager
async def _reloading(reload: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Reloads at SIGHUP, one after another: of those that come during one, one is enough."""
    told = asyncio.Event()

    async def obey() -> None:
        while True:
            await told.wait()
            told.clear()
            await reload()

    obeying = asyncio.create_task(obey())
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, told.set)
    try:
        yield
    finally:
        obeying.cancel()


def _stopped() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


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
