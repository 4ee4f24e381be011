"""The command `nearcast encode`."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table

from config.encoder import EncoderSettings
from config.options import settings_options
from config.progress import Reporter
from config.units import show_bytes, show_duration, show_rate
from encoder import package
from encoder.package import Package
from encoder.pipeline import encode as encode_film


def _possible_title(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not package.TITLE_PATTERN.fullmatch(value):
        raise click.BadParameter(f"{value!r}, expected 1 to 64 of a-z 0-9 . _ - and a letter or digit first")
    return value


@click.command()
@click.argument("film", type=click.Path(path_type=Path))
@click.option("--title", required=True, metavar="ID", callback=_possible_title, help="The title's ID in URLs.")
@click.option("--name", default="", metavar="TEXT", help="What people call it. [default: the ID]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write DIR/ID/PACKAGE/.")
@click.option("--publish", default="", metavar="URL", help="Publish to this storage: file:///DIR, s3://BUCKET/PREFIX.")
@click.option("--replace", is_flag=True, help="With --publish: take the place of the title's present package.")
@click.option("--s3-endpoint", default="", metavar="URL", help="With --publish: S3 API to use instead of Amazon's.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for a script.")
@settings_options(EncoderSettings, "encoder")
def encode(
    film: Path,
    title: str,
    name: str,
    out: Path | None,
    publish: str,
    replace: bool,
    s3_endpoint: str,
    quiet: bool,
    as_json: bool,
    settings: EncoderSettings,
) -> None:
    """Encode FILM into a package: a ladder, all audio and captions, HLS and DASH over one set of files.

    Killed or out of disk, the same command goes on where it stopped.
    """
    if out is None and not publish:
        raise click.UsageError("say where the package goes: --out DIR, --publish URL, or both")
    signal.signal(signal.SIGTERM, _end)
    reporter = Reporter(quiet=quiet)
    # Published without --out, the package stays with the work until storage has it.
    folder = encode_film(film, title, out or settings.work / "packages", settings, reporter, name)
    if publish:
        _publish(folder, publish, replace=replace, s3_endpoint=s3_endpoint)
    manifest = package.decode((folder / package.MANIFEST_NAME).read_bytes())
    if as_json:
        click.echo(json.dumps(_summary(folder, manifest, publish), indent=2, ensure_ascii=False))
    else:
        Console().print(_table(manifest))
        click.echo(f"{manifest.title}/{folder.name}: {folder}{f', published to {publish}' if publish else ''}")


def _end(signal_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like any failure, so that running tools are ended; finished steps are kept."""
    raise SystemExit(128 + signal_number)


def _publish(folder: Path, storage: str, *, replace: bool, s3_endpoint: str) -> None:
    # By name: the origin imports the encoder's package format, so the encoder must not import the origin.
    publish_folder = importlib.import_module("origin.publish").publish_folder
    asyncio.run(publish_folder(folder, storage, replace=replace, s3_endpoint=s3_endpoint))


def _summary(folder: Path, manifest: Package, published: str) -> dict[str, object]:
    return {
        "title": manifest.title,
        "package": folder.name,
        "folder": str(folder),
        "published": published,
        "duration": manifest.duration,
        "size": manifest.size,
        "renditions": [
            {
                "name": rendition.name,
                "kind": rendition.kind,
                "codecs": rendition.codecs,
                "bandwidth": rendition.bandwidth,
                "average_bandwidth": rendition.average_bandwidth,
                "size": rendition.media_offset + sum(rendition.sizes),
            }
            for rendition in manifest.renditions
        ],
    }


def _table(manifest: Package) -> Table:
    table = Table(title=f"{manifest.name}, {show_duration(manifest.duration)}, {show_bytes(manifest.size)}")
    for column in ("rendition", "what", "codecs"):
        table.add_column(column)
    for column in ("average", "peak", "size"):
        table.add_column(column, justify="right")
    for rendition in manifest.renditions:
        what = f"{rendition.width}x{rendition.height}" if rendition.kind == "video" else rendition.label
        table.add_row(
            rendition.name,
            what,
            rendition.codecs or "webvtt",
            show_rate(rendition.average_bandwidth),
            show_rate(rendition.bandwidth),
            show_bytes(rendition.media_offset + sum(rendition.sizes)),
        )
    return table
