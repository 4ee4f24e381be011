"""The command `nearcast bench fill`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import document
from bench.delivery.machine import commit, machine
from bench.fill.result import FillResult, Row, ratios
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
    for case in dict.fromkeys(row.case for row in result.results):
        table = Table(title=case, title_justify="left")
        for name in ("metric", "who", "mean", "range", "must / aim / limit", "reaches", "note"):
            table.add_column(name, no_wrap=name != "note")
        for row in (row for row in result.results if row.case == case):
            spread = f"{row.min:.4g} to {row.max:.4g}" if row.min != row.max else ""
            goals = " / ".join("-" if goal is None else f"{goal:.3g}" for goal in (row.must, row.aim, row.limit))
            goals = "" if goals == "- / - / -" else goals
            cells = [row.metric, row.subject, f"{row.median:.4g}", spread, goals, row.verdict, row.note]
            table.add_row(*(Text(cell) for cell in cells))
        console.print(table)
    for note in result.notes:
        click.echo(f"note: {note}")
