"""The `nearcast licences` commands."""

from __future__ import annotations

from pathlib import Path

import click
import uvloop

from config.licences import LicenceSettings
from config.logs import start_logging
from config.options import settings_options


@click.group()
def licences() -> None:
    """Give players the keys of protected films (ClearKey): serve."""


@licences.command()
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@settings_options(LicenceSettings, "licences")
def serve(settings: LicenceSettings, ready_file: Path | None) -> None:
    """Answer licence requests until SIGTERM."""
    from origin.licences import service  # aiohttp takes a third of a second, and --help shall not wait for it

    start_logging()
    uvloop.run(service.serve(settings, ready_file))
