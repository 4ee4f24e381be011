"""The command `nearcast encode`: one film now; several as jobs (see encoder/jobs/)."""

from __future__ import annotations

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
from encoder.jobs import cli as jobs
from encoder.jobs.batch import find_films
from encoder.jobs.states import Request
from encoder.package import Package
from encoder.packages.publishing import publish as publish_folder
from encoder.pipeline import encode as encode_film
from encoder.report.write import report_path
from encoder.running.films import film_at


class _FilmOrCommand(click.Group):
    """What is none of its commands is a film: the most usual thing needs no command."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in context.help_option_names:
            args = [_NOW, *args]
        return super().parse_args(context, args)


# A film of this name is encoded as ./now.
_NOW = "now"


@click.group(cls=_FilmOrCommand)
def encode() -> None:
    """Encode films into packages.

    `nearcast encode FILM --title ID --out DIR` encodes FILM now (`nearcast encode now --help` shows its options). More
    films, folders of films and lists (--list FILE) are queued and encoded one after the other; the commands below are
    for who queues them and has them encoded elsewhere or later.
    """
    signal.signal(signal.SIGTERM, _end)


for _command in (jobs.add, jobs.run, jobs.status, jobs.cancel, jobs.retry):
    encode.add_command(_command)


def _possible_title(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and not package.TITLE_PATTERN.fullmatch(value):
        raise click.BadParameter(f"{value!r}, expected 1 to 64 of a-z 0-9 . _ - and a letter or digit first")
    return value


@encode.command(_NOW)
@click.argument("films", type=click.Path(path_type=Path), nargs=-1, metavar="FILM...")
@click.option("--title", default="", metavar="ID", callback=_possible_title, help="The title's ID in URLs.")
@click.option("--name", default="", metavar="TEXT", help="What people call it. [default: the ID]")
@jobs.where_options
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for a script.")
@settings_options(EncoderSettings, "encoder")
def now(
    films: tuple[Path, ...],
    title: str,
    name: str,
    out: Path | None,
    publish: str,
    replace: bool,
    s3_endpoint: str,
    lists: tuple[Path, ...],
    priority: int,
    quiet: bool,
    as_json: bool,
    settings: EncoderSettings,
) -> None:
    """Encode FILM into a package: a ladder, all audio and captions, HLS and DASH over one set of files.

    Killed or out of disk, the same command goes on where it stopped. Of several films, of a folder or a list, each
    title is made of a file's name, as in big-buck-bunny-2008 of "Big Buck Bunny (2008).mkv".
    """
    jobs.demand_destination(out, publish)
    reporter = Reporter(quiet=quiet)
    if len(films) != 1 or lists or films[0].is_dir():
        if title or name:
            raise click.UsageError("--title and --name are for one film; in a list (--list) each has its own")
        common = Request(
            film=Path(), title="", name="", out=out, publish=publish, replace=replace, s3_endpoint=s3_endpoint,
            priority=priority,
        )  # fmt: skip
        if not jobs.encode_many(find_films(films, lists), common, settings, reporter, in_json=as_json):
            raise click.exceptions.Exit(1)
        return
    (film,) = films
    if not title:
        raise click.UsageError("say what title it is to have: --title ID")
    # Published without --out, the package stays with the work: with its report, and the same command is done at once.
    with film_at(film, settings, reporter) as here:
        packages = out or settings.work / "packages"
        folder = encode_film(here.path, title, packages, settings, reporter, name, beside=here.beside)
    if publish:
        publish_folder(folder, publish, replace=replace, s3_endpoint=s3_endpoint)
    manifest = package.decode((folder / package.MANIFEST_NAME).read_bytes())
    if as_json:
        click.echo(json.dumps(_summary(folder, manifest, publish), indent=2, ensure_ascii=False))
    else:
        Console().print(_table(manifest))
        click.echo(f"{manifest.title}/{folder.name}: {folder}{f', published to {publish}' if publish else ''}")
        if report_path(folder).exists():
            click.echo(f"report: {report_path(folder)}")


def _end(signal_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like any failure, so that running tools are ended; finished steps are kept."""
    raise SystemExit(128 + signal_number)


def _summary(folder: Path, manifest: Package, published: str) -> dict[str, object]:
    return {
        "title": manifest.title,
        "package": folder.name,
        "folder": str(folder),
        "report": str(report_path(folder)) if report_path(folder).exists() else "",
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
