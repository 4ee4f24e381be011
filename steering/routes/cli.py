"""`nearcast steering routes`: run the process that hears BGP, and ask it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import click
import msgspec

from config.logs import start_logging
from config.options import settings_options
from config.steering import SteeringSettings
from steering.errors import AskError

# To look a prefix up is a moment; a full table to import is some minutes at most.
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LONG_TIMEOUT = aiohttp.ClientTimeout(total=900, sock_connect=10)

_url = click.option("--url", default="http://127.0.0.1:8061", show_default=True, help="The running routes process.")
_json = click.option("--json", "as_json", is_flag=True, help="For a program.")


@click.group()
def routes() -> None:
    """Whose prefixes are whose: what ISPs announce over BGP."""


@routes.command()
@settings_options(SteeringSettings, "steering", reloadable=True)
@click.option("--ready-file", type=click.Path(path_type=Path), hidden=True, help="Written when listening: host:port.")
def serve(settings: SteeringSettings, reload: Callable[[], SteeringSettings], ready_file: Path | None) -> None:
    """Hear BGP and keep the table of prefixes up to date, until SIGTERM. SIGHUP re-reads what routes are judged by."""
    from steering.routes.process import run  # what it imports takes a third of a second, and --help shall not wait

    start_logging()
    asyncio.run(run(settings, reload, ready_file))


@routes.command()
@_url
@_json
def status(url: str, as_json: bool) -> None:
    """The sessions: up or down, what they announced, and what of it is not believed."""
    from steering.routes.rib import SessionState
    from steering.routes.status import as_text

    answer = asyncio.run(_get(f"{url.rstrip('/')}/api/v1/sessions"))
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(as_text(msgspec.convert(answer["sessions"], list[SessionState], strict=False), time.time()))
    for trouble in answer["troubles"]:
        click.echo(f"trouble: {trouble}")


@routes.command()
@click.argument("prefix", metavar="PREFIX_OR_ADDRESS")
@_url
@_json
def show(prefix: str, url: str, as_json: bool) -> None:
    """Who announced what covers a prefix or an address, the longest first, and what became of it."""
    answer = asyncio.run(_get(f"{url.rstrip('/')}/api/v1/routes", {"prefix": prefix}))
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for route in answer["routes"]:
        click.echo(f"{route['prefix']}: " + (" then ".join(route["sites"]) or "of no site"))
        for seen in route["seen"]:
            stale = ", of before the session went down" if seen["stale"] else ""
            verdict = "believed" if seen["accepted"] else f"not believed: {seen['reason']}"
            click.echo(f"  {seen['session']} (to {seen['site']}, path {seen['as_path'] or 'empty'}{stale}): {verdict}")
    if not answer["routes"]:
        click.echo(f"nobody announced anything that covers {prefix}")


@routes.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--session", default="", metavar="NAME", help="Whose routes they are; else those that an MRT dump names.")
@_url
@_json
def import_file(file: Path, session: str, url: str, as_json: bool) -> None:
    """Take over FILE: an MRT dump (.gz, .bz2), or what `birdc show route all` printed.

    It replaces what the session had, whole or not at all.
    """
    place = f"/api/v1/sessions/{quote(session, safe='')}/routes" if session else "/api/v1/routes"
    answer = asyncio.run(_put(f"{url.rstrip('/')}{place}", file))
    if as_json:
        click.echo(json.dumps(answer))
        return
    for name, count in answer["imported"].items():
        click.echo(f"{name}: {count} routes")
    for note in answer["notes"]:
        click.echo(f"note: {note}")


@routes.command()
@click.option("--session", "sessions", multiple=True, metavar="NAME", help="Only of this one; may be repeated.")
@_url
def dump(sessions: tuple[str, ...], url: str) -> None:
    """All routes as JSON lines, with what became of each; `steering prefixes check --routes` reads it."""
    asyncio.run(_dump(f"{url.rstrip('/')}/api/v1/dump", sessions))


async def _get(url: str, query: dict[str, str] | None = None) -> dict[str, Any]:
    """Raises AskError with what the process said, or that it could not be reached."""
    return await _ask(url, method="GET", timeout=_TIMEOUT, params=query)


async def _put(url: str, file: Path) -> dict[str, Any]:
    async def pieces() -> AsyncIterator[bytes]:
        with file.open("rb") as source:
            while piece := source.read(1024 * 1024):
                yield piece

    headers = {"Content-Type": "application/octet-stream"}
    return await _ask(url, method="PUT", timeout=_LONG_TIMEOUT, data=pieces(), headers=headers)


async def _ask(url: str, **request: Any) -> dict[str, Any]:
    try:
        async with aiohttp.ClientSession() as session, session.request(url=url, **request) as answer:
            body = await answer.json(content_type=None)
            if answer.status != 200:
                raise AskError(f"{url}: {body.get('detail', answer.status)}")
            assert isinstance(body, dict)
            return body
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise AskError(f"{url} could not be asked: {error or 'it took too long'}") from error


async def _dump(url: str, sessions: tuple[str, ...]) -> None:
    query = [("session", name) for name in sessions]
    try:
        async with (
            aiohttp.ClientSession(timeout=_LONG_TIMEOUT) as session,
            session.get(url, params=query) as answer,
        ):
            if answer.status != 200:
                raise AskError(f"{url}: {(await answer.json(content_type=None)).get('detail', answer.status)}")
            async for piece in answer.content.iter_any():
                sys.stdout.buffer.write(piece)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise AskError(f"{url} could not be asked: {error or 'it took too long'}") from error
