"""The command `nearcast bench steering`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import uvloop
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import document
from bench.delivery.machine import commit, machine
from bench.steering import compiled, world
from bench.steering.measure import Plan, measure
from bench.steering.result import SteeringResult
from config.progress import Reporter, is_terminal

# Each appliance reports every two seconds (config/oca.py), to one of the workers. A fleet of full size has ten of them
# at least: its sessions begin ten times as fast as one worker's must.
_REPORTS_EVERY_S, _WORKERS = 2.0, 10


@click.command("steering")
@click.option("--quick", is_flag=True, help="A hundredth of the size and half a second each: whether it runs.")
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Of each measurement.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--reports",
    type=click.FloatRange(1.0),
    metavar="N",
    help="A second, to this worker; default a tenth of the fleet's.",
)
@click.option(
    "--even", is_flag=True, help="No title and no site is more popular than another: the worst case of caches."
)
@click.option("--interpreted", is_flag=True, help="Steering as `pip install` has it, which is not compiled.")
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of tables.")
@click.option("--quiet", is_flag=True, help="No progress.")
def steering(
    quick: bool,
    seconds: float,
    rounds: int,
    reports: float | None,
    even: bool,
    interpreted: bool,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Session starts and polls of one worker: 18,000 appliances, 6,000 sites, 10,000 titles, 1.25 M prefixes.

    Tokens and decision log are on, and reports come in. The service has one core, everything else the others. It is
    compiled first, where mypy and a C compiler are.
    """
    document.demand_writable(json_file)
    size = (world.QUICK if quick else world.FULL)._replace(is_even=even)
    if quick:
        seconds, rounds = 0.5, 1
    reporter = Reporter(quiet=quiet)
    plan = Plan(size, seconds, rounds, reports or size.appliances / _REPORTS_EVERY_S / _WORKERS)
    with tempfile.TemporaryDirectory(prefix="nearcast-bench-") as folder:
        environment = {} if interpreted or quick else _compiled(Path(folder) / "compiled", reporter)
        rows, notes = uvloop.run(measure(plan, Path(folder), reporter, environment))
    result = SteeringResult(
        machine=machine(),
        commit=commit(),
        size=size._asdict(),
        seconds=seconds,
        rounds=rounds,
        reports_per_s=plan.reports_per_s,
        is_compiled=bool(environment),
        results=rows,
        notes=notes,
    )
    if not document.write(result, json_file):
        _print(result)


def _compiled(folder: Path, reporter: Reporter) -> dict[str, str]:
    """The environment of a compiled service, or nothing where it cannot be compiled."""
    reason = compiled.why_not()
    if reason:
        reporter.say(f"steering is measured as it is, interpreted: {reason}")
        return {}
    reporter.say("compiling steering, which takes a minute")
    return compiled.install(folder)


def _print(result: SteeringResult) -> None:
    console = Console() if is_terminal() else Console(width=150)
    table = Table(title=f"steering, {result.size['sites'] * result.size['per_site']} appliances", title_justify="left")
    for name in ("case", "metric", "value", "range", "must / aim", "reaches", "note"):
        table.add_column(name, no_wrap=name != "note")
    for row in result.results:
        spread = f"{row.min:.4g} to {row.max:.4g}" if row.min != row.max else ""
        goals = f"{row.must:g} / {row.aim:g}" if row.must is not None and row.aim is not None else ""
        cells = [row.case, row.metric, f"{row.median:.4g}", spread, goals, row.verdict, row.note]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for note in result.notes:
        click.echo(f"note: {note}")
