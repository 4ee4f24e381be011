"""The `nearcast fill plan` and `nearcast fill keys` commands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from config.errors import ConfigError, Problem
from config.fill import FillSettings
from config.options import settings_options
from config.progress import Reporter


@click.command()
@click.option("--dry-run", is_flag=True, help="Make the plans and show them, but do not write them.")
@click.option(
    "--explain", "explained", metavar="TITLE/FILE", help="Say why this file goes where it goes; writes nothing."
)
@click.option("--diff", "is_diff", is_flag=True, help="Also say what comes and goes against the plans before.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@click.option("--quiet", is_flag=True, help="No progress, only the result and errors.")
@settings_options(FillSettings, "fill")
def plan(
    settings: FillSettings, dry_run: bool, explained: str | None, is_diff: bool, as_json: bool, quiet: bool
) -> None:
    """Decide what each appliance should hold, from what was watched, and publish its plan.

    The gap is that of a cluster's plan to the best that any plan could be worth.
    """
    if settings.copies < 1:
        raise ConfigError([Problem("settings", "copies", str(settings.copies), "at least 1")])
    # Imported here: numpy and what else planning needs would be in the way of the group's other commands.
    from fill.planner.evening import make_plans

    reporter = Reporter(quiet=quiet or as_json)
    asyncio.run(make_plans(settings, dry_run, explained, is_diff, as_json, reporter))


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def keys(directory: Path) -> None:
    """Make the pair of keys that plans are signed with, in DIRECTORY."""
    from fill.planner.keys import make_pair

    private, public = make_pair(directory)
    click.echo(f"{private}: for the planner (plan_key); keep it there")
    click.echo(f"{public}: for every appliance (plan_keys)")
