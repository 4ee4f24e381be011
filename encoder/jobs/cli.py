"""`nearcast encode add | run | status | cancel | retry`, and what `nearcast encode` does with more than one film."""

from __future__ import annotations

import getpass
import json
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from config.encoder import EncoderSettings
from config.options import settings_options
from config.progress import Reporter
from encoder.jobs.batch import NamedFilm, find_films
from encoder.jobs.job_queue import Queue
from encoder.jobs.runner import Runner, given
from encoder.jobs.states import Job, Request, State
from encoder.jobs.table import COLUMNS, as_json, colour, places, row, tally
from encoder.report.write import report_path

_WATCH_S = 1.0
# Such a setting is the runner's business, whoever asks for a job.
_OF_RUNNER = ("queue", "keep_jobs", "workers", "min_free_space")


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every film of a request has in common."""
    for option in (
        click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
                     help="Write DIR/ID/PACKAGE/."),
        click.option("--publish", default="", metavar="URL",
                     help="Publish to this storage: file:///DIR, s3://BUCKET/PREFIX."),
        click.option("--replace", is_flag=True,
                     help="With --publish: take the place of the title's present package."),
        click.option("--s3-endpoint", default="", metavar="URL",
                     help="With --publish: S3 API to use instead of Amazon's."),
        click.option("--list", "lists", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
                     help="Films one a line; behind tabs a title and a name, if wanted."),
        click.option("--priority", type=int, default=0, metavar="N", help="Higher is earlier. [default: 0]"),
    ):  # fmt: skip
        function = option(function)
    return function


def demand_destination(out: Path | None, publish: str) -> None:
    if out is None and not publish:
        raise click.UsageError("say where the package goes: --out DIR, --publish URL, or both")


@click.command()
@click.argument("films", type=click.Path(path_type=Path), nargs=-1)
@where_options
@click.option("--json", "in_json", is_flag=True, help="The jobs for a script.")
@settings_options(EncoderSettings, "encoder")
def add(
    films: tuple[Path, ...], lists: tuple[Path, ...], out: Path | None, publish: str, replace: bool, s3_endpoint: str,
    priority: int, in_json: bool, settings: EncoderSettings,
) -> None:  # fmt: skip
    """Queue films: files, folders with films in them at any depth, and lists.

    A title is made of a file's name, as in big-buck-bunny-2008 of "Big Buck Bunny (2008).mkv".
    """
    demand_destination(out, publish)
    common = Request(
        film=Path(), title="", name="", out=out, publish=publish, replace=replace, s3_endpoint=s3_endpoint,
        priority=priority,
    )  # fmt: skip
    with open_queue(settings) as queue:
        ids = enqueue(queue, find_films(films, lists), common, settings)
        jobs = queue.jobs(ids)
    _print(jobs, in_json=in_json)


def enqueue(queue: Queue, films: Sequence[NamedFilm], common: Request, settings: EncoderSettings) -> list[int]:
    """Adds a job for each film. Raises JobError."""
    if not films:
        raise click.UsageError("name films, folders, or a list (--list FILE)")
    own = {name: text for name, text in given(settings, EncoderSettings()).items() if name not in _OF_RUNNER}
    out = common.out.absolute() if common.out is not None else None
    requests = [
        changed(common, film=film.film, title=film.title, name=film.name, out=out, settings=own) for film in films
    ]
    return queue.add(requests, time.time(), f"{_user()}@{platform.node()}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


@click.command()
@click.option("--until-done", is_flag=True, help="End when nothing is queued, running or waiting any more.")
@click.option("--quiet", is_flag=True, help="No progress.")
@settings_options(EncoderSettings, "encoder")
def run(until_done: bool, quiet: bool, settings: EncoderSettings) -> None:
    """Take jobs by priority and encode them, until SIGTERM; several of these may run.

    Killed, its job is queued again and goes on behind its finished steps. SIGTERM gives the job back.
    """
    with open_queue(settings) as queue:
        if not run_jobs(queue, settings, Reporter(quiet=quiet), until_done=until_done):
            raise click.exceptions.Exit(1)


def run_jobs(
    queue: Queue, settings: EncoderSettings, reporter: Reporter, only: Collection[int] | None = None,
    *, until_done: bool,
) -> bool:  # fmt: skip
    return Runner(queue, f"{platform.node()}:{os.getpid()}", settings, reporter).run(only, until_done=until_done)


@click.command()
@click.argument("ids", type=int, nargs=-1, metavar="[ID]...")
@click.option("--json", "in_json", is_flag=True, help="The jobs for a script.")
@click.option("--watch", is_flag=True, help="Show them anew each second, until all are over.")
@settings_options(EncoderSettings, "encoder")
def status(ids: tuple[int, ...], in_json: bool, watch: bool, settings: EncoderSettings) -> None:
    """Show the jobs: state, progress, errors; of those that are done, where package and report are."""
    with open_queue(settings) as queue:
        for id_ in ids:
            queue.job(id_)  # for an ID that there is not, an error and no empty table
        if watch and not in_json:
            _watch(queue, ids or None)
        else:
            _print(queue.jobs(ids or None), in_json=in_json)


def _watch(queue: Queue, ids: Collection[int] | None) -> None:
    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            jobs = queue.jobs(ids)
            live.update(_table(jobs), refresh=True)
            if all(job.state.is_over for job in jobs):
                return
            time.sleep(_WATCH_S)


@click.command()
@click.argument("ids", type=int, nargs=-1, required=True, metavar="ID...")
@settings_options(EncoderSettings, "encoder")
def cancel(ids: tuple[int, ...], settings: EncoderSettings) -> None:
    """End jobs; a running one within seconds, and what it had finished is kept for a retry."""
    with open_queue(settings) as queue:
        for id_ in ids:
            state = queue.cancel(id_, time.time())
            click.echo(f"job {id_} {'is cancelled' if state is State.CANCELLED else 'is told to end'}")


@click.command()
@click.argument("ids", type=int, nargs=-1, required=True, metavar="ID...")
@settings_options(EncoderSettings, "encoder")
def retry(ids: tuple[int, ...], settings: EncoderSettings) -> None:
    """Queue jobs again that failed, were cancelled or wait."""
    with open_queue(settings) as queue:
        for id_ in ids:
            queue.retry(id_)
            click.echo(f"job {id_} is queued")


def encode_many(
    films: Sequence[NamedFilm], common: Request, settings: EncoderSettings, reporter: Reporter, *, in_json: bool
) -> bool:
    """Queues films and encodes them here; True if all are done. Jobs that others queued are left alone."""
    with open_queue(settings) as queue:
        ids = enqueue(queue, films, common, settings)
        run_jobs(queue, settings, reporter, ids, until_done=True)
        jobs = queue.jobs(ids)
    _print(jobs, in_json=in_json)
    return all(job.state is State.DONE for job in jobs)


@contextmanager
def open_queue(settings: EncoderSettings) -> Iterator[Queue]:
    """The queue that the settings name; beside the finished steps if they name none."""
    url = settings.queue or f"sqlite:///{settings.work.absolute()}/queue.db"
    queue = Queue(url)
    try:
        yield queue
    finally:
        queue.close()


def _print(jobs: Sequence[Job], *, in_json: bool) -> None:
    if in_json:
        click.echo(json.dumps([as_json(job, _report(job)) for job in jobs], indent=2, ensure_ascii=False))
        return
    Console().print(_table(jobs))
    for job in jobs:
        if job.state is State.DONE:
            click.echo(places(job, _report(job)))


def _report(job: Job) -> str:
    """Where the report of a job's package is; "" if there is none, or none that this machine sees."""
    if not job.package:
        return ""
    path = report_path(Path(job.package))
    with suppress(OSError):  # in a folder that is another user's
        return str(path) if path.exists() else ""
    return ""


def _table(jobs: Sequence[Job]) -> Table:
    table = Table(title=tally(jobs))
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("job", "tries") else "left", overflow="fold")
    now = time.time()
    for job in jobs:
        table.add_row(*row(job, now), style=colour(job))
    return table
