"""The command `nearcast bench players`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import uvloop
from rich.console import Console

from bench import document
from bench.browser.outcome import Result, table
from bench.delivery.machine import commit, machine
from bench.errors import BenchError
from bench.fleet import STEERING_TTL_S
from config.progress import Reporter, is_terminal

_LOCK = Path(__file__).parents[2] / "steering" / "web" / "package-lock.json"
_LIBRARIES = ("hls.js", "dashjs", "shaka-player")


@click.command("players")
@click.option("--only", default="", metavar="PLAYERS", help="Comma-separated: hls, dash, shaka-hls, shaka-dash.")
@click.option("--rounds", type=click.IntRange(1, 100), default=1, show_default=True, help="Of each failure.")
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of tables.")
@click.option("--quiet", is_flag=True, help="No progress.")
def players(only: str, rounds: int, json_file: str | None, quiet: bool) -> None:
    """Real players in Chromium on a network of their own, when the appliance that serves them fails.

    Each plays with a full and with a thin buffer while its appliance is killed, answers 503, hangs, or is away with
    all others for six seconds: stalls, and the time to the first request elsewhere. Half a minute for each failure.
    """
    try:
        from bench.browser import matrix
        from bench.browser.screens import PLAYERS, chromium
    except ImportError as error:
        raise BenchError(f"{error}; Playwright drives the browser: pip install playwright, or make test") from error
    wanted = [name.strip() for name in only.split(",") if name.strip()] or list(PLAYERS)
    unknown = [name for name in wanted if name not in PLAYERS]
    if unknown:
        raise click.BadParameter(f"no player is called {', '.join(unknown)}", param_hint="--only")
    document.demand_writable(json_file)
    reporter = Reporter(quiet=quiet)

    async def measure(folder: Path) -> Result:
        async with chromium() as browser, matrix.network(folder, reporter) as fleet:
            outcomes = await matrix.run(
                browser, fleet, players=wanted, failures=matrix.FAILURES, rounds=rounds, reporter=reporter
            )
            return Result(
                machine=machine(),
                commit=commit(),
                browser=f"Chromium {browser.version}",
                versions=_versions(),
                ttl_s=STEERING_TTL_S,
                segment_s=matrix.SEGMENT_S,
                outcomes=outcomes,
            )

    with tempfile.TemporaryDirectory(prefix="nearcast-") as folder:
        result = uvloop.run(measure(Path(folder)))
    if not document.write(result, json_file):
        console = Console() if is_terminal() else Console(width=160)
        console.print(table(result.outcomes))


def _versions() -> dict[str, str]:
    """Of the players' libraries, as they are pinned."""
    packages = json.loads(_LOCK.read_text())["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in _LIBRARIES}
