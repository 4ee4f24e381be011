"""The `nearcast fill plan`, `follow`, `bulk` and `keys` commands."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

import click

from config.errors import ConfigError, Problem
from config.fill import FillSettings
from config.logs import start_logging
from config.options import duration_option, settings_options
from config.progress import Reporter
from config.units import show_bytes


def _problems(settings: FillSettings) -> list[Problem]:
    return [Problem("settings", "copies", str(settings.copies), "at least 1")] if settings.copies < 1 else []


@click.command()
@click.option("--dry-run", is_flag=True, help="Make the plans and show them, but do not write them.")
@click.option(
    "--explain", "explained", metavar="TITLE/FILE", help="Say why this file goes where it goes; writes nothing."
)
@click.option("--diff", "is_diff", is_flag=True, help="Also say what comes and goes against the plans before.")
@click.option("--accept-drops", "accepts_drops", is_flag=True, help="Even if most of the catalog has gone.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@click.option("--quiet", is_flag=True, help="No progress, only the result and errors.")
@settings_options(FillSettings, "fill")
def plan(
    settings: FillSettings,
    dry_run: bool,
    explained: str | None,
    is_diff: bool,
    accepts_drops: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decide what each appliance should hold, from what was watched, and publish its plan.

    The gap is that of a cluster's plan to the best that any plan could be worth.
    """
    if problems := _problems(settings):
        raise ConfigError(problems)
    # Imported here: numpy and what else planning needs would be in the way of the group's other commands.
    from fill.planner.evening import make_plans

    reporter = Reporter(quiet=quiet or as_json)
    asyncio.run(make_plans(settings, dry_run, explained, is_diff, accepts_drops, as_json, reporter))


@click.command()
@click.option("--every", callback=duration_option, default="5m", show_default=True, help="Time between looks.")
@click.option("--once", is_flag=True, help="Look once, plan what is due, print it and end.")
@click.option("--json", "as_json", is_flag=True, help="With --once: the result as JSON on standard output.")
@settings_options(FillSettings, "fill")
def follow(settings: FillSettings, every: float, once: bool, as_json: bool) -> None:
    """Plan as long as it runs: each night before a site's window, new titles at once, and what is watched more than
    expected within the day.

    It takes in the access logs itself; `events` says where what was watched is kept.
    """
    problems = _problems(settings)
    if not settings.events:
        problems.append(Problem("settings", "events", "nothing", "file:///DIRECTORY, where what was watched is kept"))
    if problems:
        raise ConfigError(problems)
    from fill.planner.follow import follow_once, serve

    if not once:
        start_logging("info")
        asyncio.run(serve(settings, every))
        return
    start_logging("warning")
    looked = asyncio.run(follow_once(settings))
    click.echo(json.dumps(looked.as_json(), indent=2) if as_json else looked.sentence())
    if looked.doubt:
        sys.exit(1)


@click.command()
@click.argument("feed", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("diffs", type=click.Path(path_type=Path))
@click.option("--held", type=click.Path(path_type=Path, exists=True, file_okay=False), help="What appliances hold.")
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True, help="Regions planned at once.")
@click.option("--json", "as_json", is_flag=True, help="What it came to, as JSON on standard output.")
@click.option("--quiet", is_flag=True, help="No progress.")
def bulk(feed: Path, diffs: Path, held: Path | None, threads: int, as_json: bool, quiet: bool) -> None:
    """Plan thousands of clusters over millions of files: FEED, a folder, in; DIFFS, a new folder, out.

    The formats are in fill/planner/bulk_files.py; `nearcast bench fill --only planning` makes such a feed.
    """
    from fill.planner.bulk import plan_bulk

    made = plan_bulk(feed, held, diffs, threads=threads, reporter=Reporter(quiet=quiet))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(made)))
        return
    click.echo(
        f"{made.clusters} clusters, {made.appliances} appliances, {made.files} files: "
        f"{made.fetches} fetches ({show_bytes(made.fetch_kib * 1024)}), {made.drops} drops"
    )


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def keys(directory: Path) -> None:
    """Make the pair of keys that plans are signed with, in DIRECTORY."""
    from fill.planner.keys import make_pair

    private, public = make_pair(directory)
    click.echo(f"{private}: for the planner (plan_key); keep it there")
    click.echo(f"{public}: for every appliance (plan_keys)")
