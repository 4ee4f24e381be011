"""The command `nearcast bench fill`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from bench import document
from bench.delivery.machine import commit, machine
from bench.fill.result import FillResult, ratios
from bench.rows import Row, tables
from config.progress import Reporter, is_terminal

# Of demand; and of the planner and the transfer, which read no files.
DEMAND = ("daily", "within", "policies", "halves")
OTHERS = ("planning", "transfer")


@click.command("fill")
@click.argument("files", metavar="[FILE...]", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--quick", is_flag=True, help="Fewer days, countries and rounds: under a minute for demand.")
@click.option("--only", default="", metavar="CASES", help=f"Comma-separated: {', '.join((*DEMAND, *OTHERS))}.")
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of tables.")
@click.option("--quiet", is_flag=True, help="No progress.")
def fill(files: tuple[Path, ...], quick: bool, only: str, json_file: str | None, quiet: bool) -> None:
    """Fill on real demand: forecasts beside yesterday's ranking, LRU, S3-FIFO and an oracle; planner; transfer.

    FILE is CSV, also gzipped: daily lists (date,country,video_id,published_at,...,views,likes) or half-years
    (report,kind,title,available_globally,release_date,hours_viewed,...). Without FILE a made-up sample is measured.
    """
    wanted = _wanted(only)
    document.demand_writable(json_file)
    reporter = Reporter(quiet=quiet)
    rows: list[Row] = []
    notes: list[str] = []
    demand = [case for case in wanted if case in DEMAND]
    if demand:
        from bench.fill.demand import measure

        rows, notes = measure(files, quick=quick, reporter=reporter, only=demand)
    if "planning" in wanted:
        from bench.fill import planning

        rows += planning.measure(files, quick=quick, reporter=reporter)
    if "transfer" in wanted:
        import uvloop

        from bench.fill import transfer

        rows += uvloop.run(transfer.measure(quick=quick, reporter=reporter))
    result = FillResult(machine=machine(), commit=commit(), results=rows, ratios=ratios(rows), notes=notes)
    if not document.write(result, json_file):
        _print(result)


def _wanted(only: str) -> Sequence[str]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in (*DEMAND, *OTHERS)]
    if unknown:
        known = ", ".join((*DEMAND, *OTHERS))
        raise click.BadParameter(f"no case is called {', '.join(unknown)}; there are {known}", param_hint="--only")
    return names or (*DEMAND, *OTHERS)


def _print(result: FillResult) -> None:
    """A table for each case; wide ones where nobody's terminal limits them."""
    console = Console() if is_terminal() else Console(width=160)
    for table in tables(result.results):
        console.print(table)
    for note in result.notes:
        click.echo(f"note: {note}")
