"""The command `nearcast bench encode`."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from bench import document
from bench.delivery.machine import commit, machine
from bench.demo import CLIP
from bench.encode.master import Limits
from bench.encode.measure import Cases, Clip, measure_clip, mixed_rows, rows
from bench.encode.programme import programme
from bench.encode.result import EncodeResult
from bench.errors import BenchError
from bench.interrupt import interrupt
from bench.rows import Row, tables
from config.encoder import PRESETS, EncoderSettings
from config.errors import NearcastError
from config.progress import Reporter, is_terminal
from encoder.running.process import Tools

_QUICK = Limits(seconds=4.0, lines=540)


@click.command("encode")
@click.argument("clips", metavar="[CLIP...]", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="medium",
    show_default=True,
    help="x264's, of all subjects but the peer.",
)
@click.option("--seconds", type=float, default=0.0, metavar="S", help="Only so much of each clip.")
@click.option("--lines", type=int, default=0, metavar="N", help="Scale clips down to so many lines first.")
@click.option(
    "--quick", is_flag=True, help="Four seconds of 540 lines, preset veryfast, and nothing but Apple's rungs."
)
@click.option("--exhaustive", is_flag=True, help="Also every size at every factor: what the search may have missed.")
@click.option("--kills", type=int, default=0, metavar="N", help="Also kill an encode of the first clip N times.")
@click.option("--json", "json_file", metavar="FILE|-", help="Also the result as JSON; - prints it instead of a table.")
@click.option("--quiet", is_flag=True, help="No progress.")
def encode(
    clips: tuple[Path, ...],
    preset: str,
    seconds: float,
    lines: int,
    quick: bool,
    exhaustive: bool,
    kills: int,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Encodes CLIP (or one that comes along) as the product does, to Apple's rungs, as AV1 and by shaka-streamer,
    and scores every frame. Of several clips also a programme of all of them, shot by shot and at one factor.

    Ten seconds of film take some ten minutes, with --quick half a one.
    """
    document.demand_writable(json_file)
    # Folders of gigabytes must not stay.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    reporter = Reporter(quiet=quiet)
    settings = EncoderSettings(preset="veryfast" if quick else preset, ladder="per-title")
    limits = Limits(seconds or (_QUICK.seconds if quick else 0.0), lines or (_QUICK.lines if quick else 0))
    cases = Cases(limits, av1=not quick, peer=not quick, chunks=not quick, exhaustive=exhaustive, kills=kills)
    notes: list[str] = []
    measured = _measured(clips or (CLIP,), settings, cases, reporter, notes)
    results = rows(measured)
    if len(clips) > 1 and not quick:
        results += _mixed(clips, settings, cases, reporter, notes)
    result = EncodeResult(
        machine=machine(), commit=commit(), preset=settings.preset, results=results,
        notes=[*notes, *(note for clip in measured for note in clip.notes)],
    )  # fmt: skip
    if not document.write(result, json_file):
        _print(result)


def _measured(
    clips: Sequence[Path], settings: EncoderSettings, cases: Cases, reporter: Reporter, notes: list[str]
) -> list[Clip]:
    """Raises what the encoder does if none of them can be encoded; of others that cannot be there is a note."""
    found = []
    for clip in clips:
        try:
            with _folder() as folder:
                found.append(measure_clip(clip, folder, settings, cases, reporter))
        except NearcastError as error:
            if len(clips) == 1:
                raise
            notes.append(f"{clip.name} is left out: {error}")
        cases = cases._replace(kills=0)
    if not found:
        raise BenchError("none of the clips can be encoded: " + "; ".join(notes))
    return found


def _mixed(
    clips: Sequence[Path], settings: EncoderSettings, cases: Cases, reporter: Reporter, notes: list[str]
) -> list[Row]:
    try:
        with _folder() as folder:
            with Tools() as tools:
                joined = programme(tools, clips, folder, cases.limits.lines)
            cases = Cases(apple=False, exhaustive=True)
            return list(mixed_rows(measure_clip(joined, folder, settings, cases, reporter)))
    except NearcastError as error:
        notes.append(f"the clips cannot be one programme: {error}")
        return []


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nearcast-bench-") as folder:
        yield Path(folder)


def _print(result: EncodeResult) -> None:
    console = Console() if is_terminal() else Console(width=160)
    for table in tables(result.results):
        console.print(table)
    for note in result.notes:
        console.print(note, markup=False)
