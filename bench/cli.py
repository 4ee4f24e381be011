"""The commands `nearcast demo` and `nearcast bench`."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import uvloop
from rich.console import Console

from bench.control import Control
from bench.demo import (
    CLIP,
    cache_folder,
    demand_space,
    encode_films,
    fill_network,
    play_through,
    titles_of,
    with_ledger,
)
from bench.errors import BenchError, NetworkError
from bench.fleet import Fleet
from bench.interrupt import interrupt
from bench.result import Result, tables
from config.lazy import LazyGroup, Where
from config.progress import Reporter

if TYPE_CHECKING:
    pass

BENCHMARKS = {
    "delivery": Where("bench.delivery.cli:delivery", "Our appliance beside nginx, Varnish, Caddy, ATS."),
    "encode": Where("bench.encode.cli:encode", "Each title's own ladder beside Apple's rungs, every frame scored."),
    "failover": Where("bench.failover.cli:failover", "A region is cut off while a thousand simulated players watch."),
    "players": Where(
        "bench.browser.cli:players", "hls.js, dash.js and Shaka in a real browser, and appliances that fail."
    ),
    "steering": Where("bench.steering.cli:steering", "Session starts, polls and latency of steering at full size."),
    "fill": Where("bench.fill.cli:fill", "Forecasts, plans and transfers on real popularity data."),
}
# Where the page is if nobody says, and if it is free there.
USUAL_PORT = 8060
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@click.command()
@click.argument("films", metavar="[FILM...]", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--appliances", type=click.IntRange(1, 60), default=3, show_default=True, help="How many; 2 of 3 north.")
@click.option("--once", is_flag=True, help="Play the films through with simulated players, say what came of it, end.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"Of the page. [default: {USUAL_PORT}, else any that is free]"
)
@click.option("--keep", is_flag=True, help="Leave what the network wrote (logs, volumes) when it ends.")
@click.option("--json", "as_json", is_flag=True, help="The result (without --once: the addresses) as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def demo(
    films: tuple[Path, ...], appliances: int, once: bool, port: int | None, keep: bool, as_json: bool, quiet: bool
) -> None:
    """The whole network on this machine: encodes FILM (or a clip that comes along), publishes, fills, serves, steers.

    Runs until Ctrl-C, and leaves nothing behind but the encodes in .cache.
    """
    reporter = Reporter(quiet=quiet)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        titles, page_port = titles_of(films or (CLIP,)), _free_port(port)
        packages = encode_films(titles, cache_folder(), reporter)
        demand_space(packages, appliances, Path(tempfile.gettempdir()))
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="nearcast-"))
            if keep:
                reporter.say(f"what the network writes stays in {folder}")
            else:
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
            fleet = Fleet(folder, appliances=appliances, port=page_port, reporter=reporter)
            began = time.time()
            result = uvloop.run(_until_told(_run(fleet, packages, reporter, once=once, as_json=as_json)))
            if result is not None:
                result = with_ledger(result, fleet, began)
    except asyncio.CancelledError as error:
        raise click.Abort from error
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise BenchError(f"the disk is full: {error.filename or tempfile.gettempdir()}: {error.strerror}") from error
    if result is not None:
        _print_result(result, as_json)
        if not result.passed:
            raise click.exceptions.Exit(1)


@click.group(cls=LazyGroup, lazy=BENCHMARKS)
def bench() -> None:
    """Numbers that we stand behind."""


def _free_port(wanted: int | None) -> int:
    """The port for the page, checked before an hour is spent on encoding. Raises NetworkError."""
    port = USUAL_PORT if wanted is None else wanted
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
            trial.listen(1)
        except OSError as error:
            if wanted is None:
                return 0
            raise NetworkError(f"127.0.0.1:{port} cannot be used: {error.strerror}; choose another --port") from error
    return port


async def _until_told(work: Coroutine[Any, Any, Result | None]) -> Result | None:
    """Runs `work` until it is done or a signal ends it. Raises CancelledError then, unless `work` ends well."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def end() -> None:
        for number in _ENDING:  # a second Ctrl-C must not cut the cleaning up short
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, end)
    return await task


async def _run(
    fleet: Fleet, packages: Sequence[Path], reporter: Reporter, *, once: bool, as_json: bool
) -> Result | None:
    async with AsyncExitStack() as stack:
        if not once:
            control = Control(fleet)
            stack.push_async_callback(control.close)
            fleet.control_url = await control.start()
        await stack.enter_async_context(fleet)
        await fill_network(fleet, packages, reporter)
        if once:
            return await play_through(fleet, packages, reporter)
        _print_addresses(fleet, [package.parent.name for package in packages], as_json)
        with suppress(asyncio.CancelledError):  # Ctrl-C is how this is meant to end
            await fleet.watch()
        reporter.say("ending")
    return None


def _print_addresses(fleet: Fleet, titles: Sequence[str], as_json: bool) -> None:
    url = fleet.steering_url
    if as_json:
        addresses = {
            "page": f"{url}/",
            "titles": {
                title: {"hls": f"{url}/play/{title}/master.m3u8", "dash": f"{url}/play/{title}/manifest.mpd"}
                for title in titles
            },
            "steering": url,
            "origin": fleet.origin_url,
            "control": fleet.control_url,
            "appliances": {name: fleet.url(name) for name in fleet.places},
            "folder": str(fleet.folder),
        }
        click.echo(json.dumps(addresses))
        return
    lines = [f"Page         {url}/"]
    for title in titles:
        lines += [f"HLS          {url}/play/{title}/master.m3u8", f"DASH         {url}/play/{title}/manifest.mpd"]
    lines += [f"{name:<12} {fleet.url(name)}" for name in fleet.places]
    lines += [f"origin       {fleet.origin_url}", f"logs         {fleet.folder / 'logs'}", "Ctrl-C ends it."]
    click.echo("\n".join(lines))


def _print_result(result: Result, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(result), indent=2))
        return
    console = Console()
    for table in tables(result):
        console.print(table)
    verdict = "all right" if result.passed else "NOT all right"
    click.echo(f"{verdict}: offload {result.offload:.1%}, {len(result.plays)} plays in {result.seconds:.0f} s")
