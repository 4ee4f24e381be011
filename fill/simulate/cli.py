"""The commands `nearcast fill simulate` and `nearcast fill size`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import msgspec
from rich.console import Console

from config.errors import ConfigError, Problem
from config.progress import Reporter
from config.units import parse_rate
from fill.simulate import show
from fill.simulate.cores import each_on_its_core
from fill.simulate.fleet import Fleet, Site, read_fleet, window_hours
from fill.simulate.inputs import gather
from fill.simulate.models import Shape
from fill.simulate.outcome import Outcome, as_json
from fill.simulate.replay import POLICIES, Plan, simulate
from fill.simulate.whatif import change
from fill.transfer.window import parse_window

_FILE = click.Path(path_type=Path, dir_okay=False)
_MOST_DAYS = 400


def _catalogue_options(command: click.decorators.FC) -> click.decorators.FC:
    """What the synthetic catalogue is like, where there is no trace."""
    options = (
        click.option("--titles", type=click.IntRange(10, 200_000), default=5000, show_default=True, help="Titles."),
        click.option("--exponent", type=click.FloatRange(0, 3), default=0.9, show_default=True, help="Of Zipf's law."),
        click.option(
            "--drift", type=click.FloatRange(0, 2), default=0.03, show_default=True, help="Of popularity a day."
        ),
        click.option(
            "--new", type=click.FloatRange(0, 1), default=0.002, show_default=True, help="Share new each day."
        ),
        click.option(
            "--scheduled", type=click.FloatRange(0, 1), default=0.8, show_default=True, help="Of these, known before."
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same result."
        ),
        click.option("--days", type=click.IntRange(1, _MOST_DAYS), default=14, show_default=True, help="That count."),
        click.option(
            "--warm-up",
            type=click.IntRange(0, _MOST_DAYS),
            default=7,
            show_default=True,
            help="Days before, that teach.",
        ),
        click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead."),
        click.option("--quiet", is_flag=True, help="No progress."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("simulate")
@click.argument("traces", type=_FILE, nargs=-1, metavar="[TRACE ...]")
@click.option("--fleet", "fleet_file", type=_FILE, required=True, metavar="FLEET.toml", help="Sites and appliances.")
@click.option("--policies", default="all", show_default=True, help=f"Comma-separated, of {', '.join(POLICIES)}.")
@click.option(
    "--what-if", "questions", multiple=True, metavar="SENTENCE", help="Such as 'site north fails'; repeatable."
)
@_catalogue_options
def simulate_command(
    traces: tuple[Path, ...],
    fleet_file: Path,
    policies: str,
    questions: tuple[str, ...],
    titles: int,
    exponent: float,
    drift: float,
    new: float,
    scheduled: float,
    seed: int,
    days: int,
    warm_up: int,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Replay days of watching against a fleet, under our planner and under what others do.

    TRACE: access logs, CSV of requests (time,object,size[,site]), daily lists, half-years; else a synthetic catalogue.
    A what-if is simulated beside the fleet as it is: site NAME fails, disk x2 at NAME, window 04:00-06:00 at NAME, add
    appliance at NAME, remove appliance at NAME, rate 2 Gbit/s at NAME, capacity x2 at NAME, demand x1.5 [at NAME]; also
    several, joined by " and ".
    """
    reporter = Reporter(quiet=quiet or json_file == "-")
    fleet = read_fleet(fleet_file)
    wanted = _policies(policies)
    questions = tuple(" ".join(question.split()) for question in questions)
    changed = [(question, change(fleet, question)) for question in questions]  # what is wrong is said at once
    shape = Shape(titles, exponent, drift, new, scheduled)
    inputs = gather(fleet, str(fleet_file), traces, shape, days, warm_up, seed)
    if inputs.fleet != fleet:
        changed = [(question, change(inputs.fleet, question)) for question in questions]
    for note in inputs.notes:
        reporter.say(note)
    plan = Plan(wanted, inputs.warm_up, seed)
    apart = {site.name for _, to in changed for site in {*to.fleet} ^ {*inputs.fleet}}
    with each_on_its_core(len(fleet) * inputs.source.days * len(inputs.source.catalogue.size)) as each:

        def run(name: str, simulated: Fleet) -> Outcome:
            with reporter.bar(name, 1.0) as bar:
                return simulate(name, simulated, inputs.source, plan, bar.update, each, apart)

        base = run("base", inputs.fleet)
        variants = [msgspec.structs.replace(run(text, to.fleet), notes=to.notes) for text, to in changed]
    about: dict[str, object] = {
        "sites": sum(site.count for site in fleet),
        "appliances": sum(site.count * len(site.boxes) for site in fleet),
        "files": len(inputs.source.catalogue.size),
        "seed": seed,
        "inputs": [str(path) for path in traces] or [f"synthetic: {shape}"],
        "notes": list(inputs.notes),
    }
    if _write(json_file, as_json([base, *variants], about)):
        return
    _print(base, variants)


@click.command("size")
@click.argument("traces", type=_FILE, nargs=-1, metavar="[TRACE ...]")
@click.option("--viewers-gbps", type=click.FloatRange(0.001, 100_000), required=True, help="Taken in the busiest hour.")
@click.option("--region", default="default", show_default=True, help="Of daily lists: which country's.")
@click.option("--window", default="02:00-14:00", show_default=True, help="Fill window.")
@click.option("--rate", default="1.2 Gbit/s", show_default=True, help="Of each appliance's fill.")
@_catalogue_options
def size_command(
    traces: tuple[Path, ...],
    viewers_gbps: float,
    region: str,
    window: str,
    rate: str,
    titles: int,
    exponent: float,
    drift: float,
    new: float,
    scheduled: float,
    seed: int,
    days: int,
    warm_up: int,
    json_file: str | None,
    quiet: bool,
) -> None:
    """What appliances of each size would serve at a new site, and what filling them costs.

    From a TRACE of its own (as for `simulate`), or from a synthetic catalogue.
    """
    from fill.simulate.sizing import size

    reporter = Reporter(quiet=quiet or json_file == "-")
    try:
        rate_bps = parse_rate(rate)
    except ValueError as error:
        raise ConfigError([Problem("command line", "rate", repr(rate), 'a rate such as "1.2 Gbit/s"')]) from error
    try:
        hours = window_hours(parse_window(window, "UTC"))
    except ConfigError as error:
        raise ConfigError([replace(problem, where="command line") for problem in error.problems]) from error
    site = Site(
        name="new",
        boxes=(),
        region=region,
        viewers=viewers_gbps * 1e9,
        window_h=hours,
        rate=rate_bps,
    )
    inputs = gather(
        (site,), "command line", traces, Shape(titles, exponent, drift, new, scheduled), days, warm_up, seed
    )
    for note in inputs.notes:
        reporter.say(note)
    with reporter.bar("sizes", 1.0) as bar:
        sizing = size(inputs.source, site, inputs.warm_up, seed, bar.update)
    if _write(json_file, {"benchmark": "size", "seed": seed, **msgspec.to_builtins(sizing)}):
        return
    Console(highlight=False).print(show.sizes(sizing), "")
    click.echo("\n".join(sizing.reasons))


def _policies(text: str) -> tuple[str, ...]:
    """In the order in which they are shown. Raises ConfigError."""
    named = [name.strip() for name in text.split(",") if name.strip()]
    if named == ["all"]:
        return POLICIES
    unknown = [name for name in named if name not in POLICIES]
    if unknown or not named:
        found = ", ".join(unknown) or "nothing"
        raise ConfigError([Problem("command line", "policies", found, f"all, or some of {', '.join(POLICIES)}")])
    return tuple(name for name in POLICIES if name in named)


def _write(file: str | None, document: dict[str, object]) -> bool:
    """True if it went to standard output, which then has nothing else."""
    if file is None:
        return False
    text = json.dumps(document, indent=2)
    if file == "-":
        click.echo(text)
        return True
    try:
        Path(file).write_text(text + "\n")
    except OSError as error:
        raise ConfigError([Problem("command line", "json", f"{file}: {error.strerror}", "a file to write")]) from error
    return False


def _print(base: Outcome, variants: list[Outcome]) -> None:
    console = Console(highlight=False)
    shown = next(name for name in (show.OURS, *POLICIES) if name in {result.policy for result in base.results})
    tables = [show.by_day(base), show.each_day(base.of(shown)), show.totals(base)]
    if len(base.results[0].sites) > 1:
        tables.append(show.busiest(base, shown))
    for table in tables:
        console.print(table, "")
    _say(show.overwhelmed(base))
    for variant in variants:
        console.print(show.differences(base, variant), "")
        _say([*variant.notes, *show.overwhelmed(variant)])


def _say(sentences: list[str]) -> None:
    for sentence in sentences:
        click.echo(sentence)
    if sentences:
        click.echo()
