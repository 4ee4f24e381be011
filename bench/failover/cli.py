"""The command `nearcast bench failover`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import document
from bench.delivery.machine import commit, machine
from bench.failover.outcome import Outcome
from bench.failover.result import FailoverResult, falls_short, rows
from bench.failover.scenario import Scenario, scenarios
from bench.failover.simulation import Simulation
from bench.failover.trace_files import read_traces
from bench.failover.traces import made_up_traces
from bench.failover.world import World, make_world
from config.progress import Reporter, is_terminal

_FILM_S = 300
_ARRIVE_S = 60.0
# Everybody watches by then; and most of the film is still to come.
_CUT_AT_S, _BACK_AT_S = 120.0, 200.0


@click.command("failover")
@click.option(
    "--traces", type=click.Path(path_type=Path, exists=True), help="Links: file, folder or .tgz; else made up."
)
@click.option("--sites", type=click.IntRange(4, 200), default=20, show_default=True, help="In four regions.")
@click.option("--players", type=click.IntRange(20, 20_000), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all that is drawn.")
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of a table.")
@click.option("--quiet", is_flag=True, help="No progress.")
def failover(traces: Path | None, sites: int, players: int, seed: int, json_file: str | None, quiet: bool) -> None:
    """A region is cut off while players watch; simulated players, steered by the real director.

    Exit code 1 if sessions fail, or pictures stand still longer than they may.
    """
    document.demand_writable(json_file)
    links = read_traces(traces) if traces is not None else made_up_traces(seed)
    world = make_world(links, sites=sites, players=players, film_s=_FILM_S, arrive_s=_ARRIVE_S, seed=seed)
    reporter = Reporter(quiet=quiet)
    outcomes = [
        _run(world, scenario, seed, reporter) for scenario in scenarios(world.regions[0], _CUT_AT_S, _BACK_AT_S)
    ]
    result = FailoverResult(
        machine=machine(),
        commit=commit(),
        players=players,
        sites=sites,
        traces=str(traces or "made up"),
        results=rows(outcomes),
        notes=[f"{outcome.scenario.name}: {outcome.scenario.about}" for outcome in outcomes],
    )
    if not document.write(result, json_file):
        _print(result)
    raise SystemExit(1 if falls_short(result.results) else 0)


def _run(world: World, scenario: Scenario, seed: int, reporter: Reporter) -> Outcome:
    with reporter.bar(scenario.name, _FILM_S + _ARRIVE_S) as bar:
        return Simulation(world, scenario, seed=seed).run(bar.update)


def _print(result: FailoverResult) -> None:
    console = Console() if is_terminal() else Console(width=140)
    table = Table(
        title=f"{result.players} players at {result.sites} sites; links: {result.traces}", title_justify="left"
    )
    for name in ("run", "what", "value", "must", "reaches", "note"):
        table.add_column(name)
    for row in result.results:
        must = "-" if row.must is None else f"{row.must:.3g}"
        table.add_row(
            *(Text(cell) for cell in (row.case, row.metric, f"{row.median:.4g}", must, row.verdict, row.note))
        )
    console.print(table)
    for note in result.notes:
        click.echo(note)
