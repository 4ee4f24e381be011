"""The `nearcast` command: finds each command by name and loads it only when it is asked for."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError, NearcastError, Problem
from config.lazy import LazyGroup, Where
from config.loader import load, read_file, show
from config.sections import SECTIONS

COMMANDS = {
    "demo": Where("bench.cli:demo", "The whole network on this machine, on a real film."),
    "bench": Where("bench.cli:bench", "Numbers that we stand behind, each beside its peers: delivery, fill."),
    "encode": Where("encoder.cli:encode", "Encode a film into a package."),
    "origin": Where("origin.cli:origin", "Keep packages and the catalog: serve, publish, withdraw, list, audit."),
    "licences": Where("origin.licences.cli:licences", "Give players the keys of protected films: serve."),
    "oca": Where("oca.cli:oca", "Run an appliance: serve, status, drain, resume, scrub."),
    "steering": Where("steering.cli:steering", "Send each player to the best appliance: serve, explain."),
    "fill": Where("fill.cli:fill", "Decide what goes where, and move it: plan, run, report, simulate."),
    "config": Where("config.cli:config", "Check and show configuration files."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nearcast")
def nearcast() -> None:
    """Nearcast: an Open Connect for everyone."""


@click.group()
def config() -> None:
    """Check and show configuration files."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Read FILE as every service would and say all that is wrong with it."""
    sections = _load_all(file)
    click.echo(f"{file}: good ({', '.join(sections) or 'no sections'})")


@config.command("show")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--effective", is_flag=True, help="Also what is not written in FILE: defaults and environment.")
@click.option("--json", "as_json", is_flag=True)
def show_settings(file: Path | None, effective: bool, as_json: bool) -> None:
    """Print settings as an operator would write them."""
    sections = _load_all(file)
    written = read_file(file) if file else {}
    shown = {
        section: {key: value for key, value in show(settings).items() if effective or key in written.get(section, {})}
        for section, settings in sections.items()
    }
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for section, values in shown.items():
        click.echo(
            "\n".join([f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]) + "\n"
        )


def _load_all(file: Path | None) -> dict[str, Any]:
    """Every section of the file (or, without one, every section that needs none). Raises ConfigError."""
    document = read_file(file) if file else {}
    problems = [
        Problem(str(file), name, "an unknown section", "one of " + ", ".join(SECTIONS))
        for name in document
        if name not in SECTIONS
    ]
    loaded = {}
    for name, cls in SECTIONS.items():
        if file is not None and name not in document:
            continue
        if file is None and any(f.default is dataclasses.MISSING for f in dataclasses.fields(cls)):
            continue
        try:
            loaded[name] = load(cls, name, file=file)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return loaded


def run_command(command: click.Command) -> None:
    """Runs a command; our own errors end in one clear sentence and their exit code, never in a traceback."""
    try:
        code = command.main(standalone_mode=False)  # what a command gave to ctx.exit comes back as a value
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except NearcastError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    if isinstance(code, int):
        sys.exit(code)


def main() -> None:
    run_command(nearcast)
