"""The command `nearcast bench delivery`."""

from __future__ import annotations

import signal
import sys

import click
from rich.console import Console

from bench import document
from bench.delivery.cases import QUICK, all_cases, chosen
from bench.delivery.plan import Plan
from bench.delivery.result import Delivery
from bench.delivery.rounds import measure
from bench.delivery.table import grids, headline, to_markdown, to_rich
from bench.errors import BenchError
from bench.interrupt import interrupt
from config.progress import Reporter


@click.command()
@click.option("--cases", default="*", show_default=True, help="Shell patterns, comma-separated: 'http/1M/*,latency/*'.")
@click.option("--subjects", default="*", show_default=True, help="The same, of who is measured: 'nearcast-1,nginx-*'.")
@click.option("--seconds", type=click.IntRange(1, 60), help="Of each measurement. [default: 3; 1 with --quick]")
@click.option("--rounds", type=click.IntRange(1, 20), help="Of each case; medians count. [default: 3; 1 with --quick]")
@click.option("--quick", is_flag=True, help="The cases that comparisons are made of, once each: some three minutes.")
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of tables.")
@click.option("--markdown", is_flag=True, help="Tables in Markdown.")
@click.option("--quiet", is_flag=True, help="No progress.")
def delivery(
    cases: str,
    subjects: str,
    seconds: int | None,
    rounds: int | None,
    quick: bool,
    json_file: str | None,
    markdown: bool,
    quiet: bool,
) -> None:
    """Our appliance beside nginx, Varnish, Caddy, ATS and a bare sendfile loop: same files, same load, in turns.

    What each case means and what is fair about it: docs/benchmarks.md.
    """
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    wanted = chosen(all_cases(), QUICK if quick and cases == "*" else cases.split(","))
    if not wanted:
        names = ", ".join(case.name for case in all_cases())
        raise click.BadParameter(f"no case is called {cases}; there are {names}", param_hint="--cases")
    if sys.platform != "linux":
        raise BenchError("it reads /proc and sets what runs on which core: it needs Linux")
    document.demand_writable(json_file)
    usual = 1 if quick else 3
    plan = Plan(wanted, subjects.split(","), seconds=seconds or usual, rounds=rounds or usual)
    result = measure(plan, Reporter(quiet=quiet))
    if not document.write(result, json_file):
        _print_delivery(result, markdown=markdown)


def _print_delivery(result: Delivery, *, markdown: bool) -> None:
    click.echo(headline(result) + "\n")
    console = Console()
    for grid in grids(result):
        if markdown:
            click.echo(to_markdown(grid))
        else:
            console.print(to_rich(grid))
    click.echo("\n".join(f"note: {note}" for note in result.notes))
