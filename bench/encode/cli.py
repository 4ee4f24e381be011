"""The command `nearcast bench encode`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console

from bench import document
from bench.delivery.machine import commit, machine
from bench.demo import CLIP
from bench.encode.measure import measure_clip, rows
from bench.encode.result import EncodeResult
from bench.rows import tables
from config.encoder import PRESETS, EncoderSettings
from config.progress import Reporter, is_terminal


@click.command("encode")
@click.argument("clips", metavar="[CLIP...]", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--preset", type=click.Choice(PRESETS), default="medium", show_default=True, help="x264's, of all subjects."
)
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of a table.")
@click.option("--quiet", is_flag=True, help="No progress.")
def encode(clips: tuple[Path, ...], preset: str, json_file: str | None, quiet: bool) -> None:
    """Encodes CLIP (or one that comes along) as the product does and to Apple's rungs, and scores every frame.

    Ten seconds of film take some minutes.
    """
    document.demand_writable(json_file)
    reporter = Reporter(quiet=quiet)
    settings = EncoderSettings(preset=preset, ladder="per-title")
    found = []
    for clip in clips or (CLIP,):
        with tempfile.TemporaryDirectory(prefix="nearcast-bench-") as folder:
            found.append(measure_clip(clip, Path(folder), settings, reporter))
    result = EncodeResult(machine=machine(), commit=commit(), preset=preset, results=rows(found), notes=[])
    if not document.write(result, json_file):
        _print(result)


def _print(result: EncodeResult) -> None:
    console = Console() if is_terminal() else Console(width=160)
    for table in tables(result.results):
        console.print(table)
