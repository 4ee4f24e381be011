"""The `nearcast origin` commands."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from config.logs import start_logging
from config.options import settings_options
from config.origin import OriginSettings
from config.progress import Reporter
from config.units import show_bytes, show_duration
from origin.audit import Finding, Verdict
from origin.catalog import Catalog, Entry
from origin.storage import Storage, open_storage

Result = TypeVar("Result")


def _results(function: Callable[..., Any]) -> Callable[..., Any]:
    """The two flags of every command that ends with a result."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output."),
        click.option("--quiet", is_flag=True, help="No progress, only the result and errors."),
    ):
        function = option(function)
    return function


@click.group()
def origin() -> None:
    """Keep packages and the catalog: serve, publish, withdraw, list, audit."""


@origin.command()
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@settings_options(OriginSettings, "origin")
def serve(settings: OriginSettings, ready_file: Path | None) -> None:
    """Serve catalog and content until SIGTERM."""
    from origin import service  # aiohttp takes a third of a second, and --help shall not wait for it

    start_logging()
    uvloop.run(service.serve(settings, ready_file))


class _Moment(click.ParamType[str]):
    """A time with its offset, kept as RFC 3339 in UTC; "none" takes a limit away."""

    name = "TIME|none"

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> str:
        if value == "none":
            return ""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; expected one such as 2026-12-24T18:00:00Z", parameter, context)
        if moment.tzinfo is None:
            self.fail(f"{value!r} does not say in which time zone; expected 2026-12-24T18:00:00Z", parameter, context)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@origin.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--from", "start", type=_Moment(), help="Players may play it from then on; appliances fill it before.")
@click.option("--until", "end", type=_Moment(), help="Players may play it until then; appliances drop it then.")
@click.option("--replace", is_flag=True, help="Put it in the place of the title's published package.")
@click.option("--repair", is_flag=True, help="Write files anew that storage seems to have.")
@_results
@settings_options(OriginSettings, "origin")
def publish(
    settings: OriginSettings,
    folder: Path,
    start: str | None,
    end: str | None,
    replace: bool,
    repair: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Publish the package in DIR (.../TITLE/PACKAGE), as `nearcast encode` leaves it.

    It is visible whole or not at all; a publish that was killed is completed by another. Of a published package,
    publishing it again with other times changes them.
    """
    from origin.publish import Availability, publish_folder

    entry = asyncio.run(
        publish_folder(
            folder,
            settings.storage,
            replace=replace,
            repair=repair,
            available=Availability(start, end),
            s3_endpoint=settings.s3_endpoint,
            reporter=Reporter(quiet=quiet or as_json),
        )
    )
    if as_json:
        _print_json(entry)
    else:
        click.echo(f"{entry.title} {entry.package}")


@origin.command()
@click.argument("title")
@click.option("--superseded", is_flag=True, help="Only its earlier packages, which --replace left for players.")
@_results
@settings_options(OriginSettings, "origin")
def withdraw(settings: OriginSettings, title: str, superseded: bool, as_json: bool, quiet: bool) -> None:
    """Take TITLE out of the catalog, then delete its files."""
    from origin.publish import withdraw as withdraw_title

    async def run(storage: Storage) -> int:
        return await withdraw_title(title, storage, superseded_only=superseded)

    objects = _with_storage(settings, run)
    if as_json:
        _print_json({"title": title, "objects": objects})
    elif not quiet:
        click.echo(f"{title}: {objects} objects deleted")


@origin.command("list")
@_results
@settings_options(OriginSettings, "origin")
def list_titles(settings: OriginSettings, as_json: bool, quiet: bool) -> None:
    """The catalog."""

    async def run(storage: Storage) -> tuple[Entry, ...]:
        catalog = Catalog()
        await catalog.refresh(storage)
        return tuple(catalog.entries.values())

    entries = _with_storage(settings, run)
    if as_json:
        _print_json({"titles": entries})
        return
    table = Table("title", "name", "duration", "size", "package", "published")
    for entry in entries:
        length, size = show_duration(entry.duration), show_bytes(entry.size)
        table.add_row(entry.title, entry.name, length, size, entry.package, entry.published_at)
    Console().print(table if entries else "The catalog is empty.", markup=False)


@origin.command()
@_results
@settings_options(OriginSettings, "origin")
def audit(settings: OriginSettings, as_json: bool, quiet: bool) -> None:
    """Read every stored byte again; say what is not what was published (exit code 1) and what belongs to nobody."""
    from origin.audit import audit as audit_storage

    reporter = Reporter(quiet=quiet or as_json)
    verdict = _with_storage(settings, lambda storage: audit_storage(storage, reporter))
    if as_json:
        _print_json(verdict)
    else:
        click.echo("\n".join(_verdict_lines(verdict)))
    if verdict.findings:
        sys.exit(1)


def _with_storage(settings: OriginSettings, run: Callable[[Storage], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        async with open_storage(settings.storage, s3_endpoint=settings.s3_endpoint) as storage:
            return await run(storage)

    return asyncio.run(opened())


def _print_json(result: Any) -> None:
    click.echo(json.dumps(msgspec.to_builtins(result), indent=2))


def _verdict_lines(verdict: Verdict) -> list[str]:
    lines = [_finding_line(finding) for finding in verdict.findings]
    lines += [
        f"orphan: {orphan.title} {orphan.package}: {orphan.objects} objects, {show_bytes(orphan.size)}, "
        "which no entry of the catalog names"
        for orphan in verdict.orphans
    ]
    state = f"{len(verdict.findings)} wrong" if verdict.findings else "all right"
    read = show_bytes(verdict.bytes_read)
    return [*lines, f"{verdict.titles} titles, {verdict.packages} packages, {read} read: {state}"]


def _finding_line(finding: Finding) -> str:
    block = f" block {finding.block}" if finding.block >= 0 else ""
    place = " ".join(filter(None, (finding.title, finding.package, finding.file)))
    return f"wrong: {place}{block}: {finding.problem}"
