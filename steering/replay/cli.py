"""`nearcast steering replay`, and what `explain` says of the past."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from config.loader import environment_name, load
from config.progress import Reporter
from config.steering import SteeringSettings
from steering.errors import ReplayError
from steering.journal.moments import parse_moment
from steering.journal.segments import Journal
from steering.replay.change import Change, read_policy
from steering.replay.compare import compare
from steering.replay.show import show


def moment_option(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """A callback of click's: seconds since the epoch of "2026-11-21T19:00:00Z" or "10m ago"."""
    if value is None:
        return None
    try:
        return parse_moment(value, time.time())
    except ValueError:
        expected = 'a time such as "2026-11-21T19:00:00Z" or "10m ago"'
        raise click.BadParameter(f"found {value!r}, expected {expected}") from None


def journal_option(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The folder is one of the service's settings, and is found where the service finds it."""
    return click.option(
        "--journal",
        required=required,
        envvar=environment_name("steering", "journal"),
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="The journal of steering.",
    )


@click.command()
@journal_option(required=True)
@click.option(
    "--decisions", type=click.Path(path_type=Path, dir_okay=False), multiple=True, help="The same as LOG; repeatable."
)
@click.argument("logs", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, metavar="[LOG ...]")
@click.option("--from", "since", callback=moment_option, metavar="TIME", help="Only sessions from then on.")
@click.option("--to", "until", callback=moment_option, metavar="TIME", help="Only sessions up to then.")
@click.option("--site-down", "sites_down", multiple=True, metavar="NAME", help="As if all of a site had been lost.")
@click.option("--appliance-down", "appliances_down", multiple=True, metavar="NAME", help="As if it had been lost.")
@click.option(
    "--policy",
    multiple=True,
    metavar="KEY=VALUE",
    help="As if that had been set, such as pathways=2 or weigh=capacity.",
)
@click.option(
    "--sites",
    "sites_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="As if these sites had been configured, of a file with [[steering.sites]].",
)
@click.option(
    "--watched",
    type=click.FloatRange(0, 1, min_open=True),
    help="Which part of its title a session lasts; else told by what was served.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole result for a program.")
@click.option("--quiet", is_flag=True, help="No progress, only the result and errors.")
def replay(
    journal: Path,
    decisions: tuple[Path, ...],
    logs: tuple[Path, ...],
    since: float | None,
    until: float | None,
    sites_down: tuple[str, ...],
    appliances_down: tuple[str, ...],
    policy: tuple[str, ...],
    sites_file: Path | None,
    watched: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decide the sessions of a log again, as it was and with one thing changed.

    LOG: logs of decisions, also those that were moved away, compressed or not. Without a change it says how far the
    replay decides as was logged, and where sessions went; with one, what is different.
    """
    if not (*decisions, *logs):
        raise ReplayError("found no log, expected at least one log of decisions")
    change = _change(sites_down, appliances_down, policy, sites_file)
    reporter = Reporter(quiet=quiet or as_json)
    span = (since or 0.0, until if until is not None else float("inf"))
    outcome = compare(Journal(journal), (*decisions, *logs), *span, change, reporter, watched=watched)
    if as_json:
        click.echo(msgspec.json.encode(outcome))
    else:
        Console(highlight=False, soft_wrap=True).print(show(outcome))


def _change(
    sites_down: tuple[str, ...], appliances_down: tuple[str, ...], policy: tuple[str, ...], sites_file: Path | None
) -> Change:
    """Raises ReplayError, ConfigError."""
    settings, experiment = read_policy(policy)
    words = [f"site {name} is down" for name in sites_down] + [f"appliance {name} is down" for name in appliances_down]
    words += [*policy, *([f"sites of {sites_file}"] if sites_file is not None else [])]
    declared = load(SteeringSettings, "steering", file=sites_file, environ={}) if sites_file is not None else None
    return Change(
        frozenset(sites_down),
        frozenset(appliances_down),
        settings,
        experiment,
        declared.sites if declared is not None else None,
        declared.default_site if declared is not None else "",
        tuple(words),
    )
