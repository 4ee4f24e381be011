"""One film and the means to work on it: resumable steps, tools that end with us, several pieces at once.

What is decided stands elsewhere; here a piece of the film goes to ffmpeg, its folder is kept under a key of all that
its bytes depend on, and a failure ends what else runs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from config.encoder import EncoderSettings
from config.progress import Bar, Reporter
from encoder.errors import CheckError, EncodeError
from encoder.film.source import Source
from encoder.running.process import Tools
from encoder.running.steps import Steps
from encoder.running.units import Order, Place, Unit
from encoder.running.workers import Workers, at_once
from encoder.video.chunks import Chunk, Plan

# Part of every key: raised when our own code makes other bytes of the same commands.
RECIPE = "nearcast-4"
# Stands for the film's path in the arguments that name a step: the same film elsewhere is the same step.
FILM = "FILM"

Result = TypeVar("Result")


class SeekAstray(EncodeError):
    """A chunk that was reached by seeking does not have its frames: this film cannot be cut."""


@dataclass(frozen=True)
class Work:
    film: str  # as an ffmpeg URL
    digest: str
    tools_version: str
    source: Source
    tools: Tools
    steps: Steps
    place: Place  # of the same film and steps, for the workers
    workers: Workers
    settings: EncoderSettings
    reporter: Reporter

    def run(self, name: str, inputs: Sequence[str], make: Callable[[Path], object]) -> Path:
        """The folder of a step. `inputs` is all that its bytes depend on beside the film and the tools."""
        return self.steps.run(name, self._inputs(inputs), make)

    def _inputs(self, inputs: Sequence[str]) -> tuple[str, ...]:
        return (RECIPE, self.digest, self.tools_version, *inputs)

    def chunked(self, plan: Plan, make: Callable[[Plan], Result]) -> Result:
        """What `make` makes of the film in chunks; in one, if a chunk that was sought does not have its frames."""
        # Found out once, remembered: a killed encode must not find it out again.
        astray = self.steps.folder / "one-chunk"
        if not astray.exists():
            try:
                return make(plan)
            except SeekAstray as error:
                self.reporter.say(f"{error}; the film is encoded in one piece instead")
                astray.touch()
        return make(plan.whole())

    def units(self, label: str, units: Sequence[Unit]) -> list[Path]:
        """The folder of each unit, made by the workers, under one bar. The first failure ends the others."""
        steps = [self.steps.name(unit.name, self._inputs(unit.inputs())) for unit in units]
        orders = [
            Order(unit, step, self.place, self.workers.versions)
            for unit, step in zip(units, steps, strict=True)
            if not (self.steps.folder / step).exists()
        ]
        # The longest first: a long one begun last would run alone at the end.
        orders.sort(key=lambda order: order.unit.seconds, reverse=True)
        with self.reporter.bar(label, sum(order.unit.seconds for order in orders)) as bar:
            self._fulfil(orders, _Parts(bar))
        return [self.steps.folder / step for step in steps]

    def _fulfil(self, orders: Sequence[Order], parts: _Parts) -> None:
        submitted: dict[Future[None], Order] = {}
        try:
            for order in orders:
                submitted[self.workers.submit(order, functools.partial(parts.update, order.step))] = order
            for future in as_completed(submitted):
                order = submitted[future]
                self.workers.result(future, order)
                self.place.collect(order.step)
                parts.update(order.step, order.unit.seconds)
        except SeekAstray:
            wait([future for future in submitted if not future.cancel()])  # the workers are still needed
            raise
        except BaseException:
            self.workers.give_up()
            raise

    def in_parallel(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results, in order. The first failure ends the others."""
        pool = ThreadPoolExecutor(at_once(self.settings.workers))
        try:
            futures = [pool.submit(call) for call in calls]
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in sorted(finished, key=futures.index)]
        except SeekAstray:
            raise  # the tools are still needed; what runs now may end
        except BaseException:
            self.tools.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


class _Parts:
    """A bar of several parts, that are told of by several threads."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._done: dict[str, float] = {}
        self._lock = threading.Lock()

    def update(self, part: str, done: float) -> None:
        with self._lock:
            # A cluster may tell of a piece after it is done, or begin it again.
            self._done[part] = max(done, self._done.get(part, 0.0))
            self._bar.update(sum(self._done.values()))


def demand_frames(found: int, plan: Plan, chunk: Chunk) -> None:
    """Raises SeekAstray, or CheckError where nothing was sought, if a chunk does not have its frames."""
    if found != chunk.frames:
        error = SeekAstray if plan.by_seek else CheckError
        raise error(f"chunk {chunk.number} has {found or 'no'} frames, expected {chunk.frames}")
