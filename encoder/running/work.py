"""One film and the means to work on it: resumable steps, tools that end with us, several pieces at once.

What is decided stands elsewhere; here a piece of the film goes to ffmpeg, its folder is kept under a key of all that
its bytes depend on, and a failure ends what else runs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
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
        with self.flow(label, sum(unit.seconds for unit in units)) as flow:
            return flow.made(flow.begin(units))

    @contextmanager
    def flow(self, label: str, seconds: float) -> Iterator[Flow]:
        """Units of so many seconds of film in all, under one bar, of which some begin when others are made.

        The first failure ends the others.
        """
        with self.reporter.bar(label, seconds) as bar:
            flow = Flow(self, _Parts(bar))
            try:
                yield flow
            except SeekAstray:
                flow.take_back()  # the workers are still needed
                raise
            except BaseException:
                self.workers.give_up()
                raise

    def order(self, unit: Unit) -> Order:
        return Order(unit, self.steps.name(unit.name, self._inputs(unit.inputs())), self.place, self.workers.versions)

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


class Flow:
    """Units on their way to the workers. What the first of them leave may decide what the next ones are."""

    def __init__(self, work: Work, parts: _Parts) -> None:
        self._work, self._parts = work, parts
        self._orders: dict[Future[None], Order] = {}  # of what has not ended
        self._ended: SimpleQueue[Future[None]] = SimpleQueue()

    def begin(self, units: Sequence[Unit]) -> list[Path]:
        """Sends the units to the workers, but those that were made before; the folders that they will leave."""
        orders = [self._work.order(unit) for unit in units]
        # The longest first: a long one begun last would run alone at the end.
        for order in sorted(orders, key=lambda order: order.unit.seconds, reverse=True):
            self._begin(order)
        return [self._folder(order) for order in orders]

    def _begin(self, order: Order) -> None:
        if self._folder(order).exists():
            self._parts.update(order.step, order.unit.seconds)
            return
        future = self._work.workers.submit(order, functools.partial(self._parts.update, order.step))
        self._orders[future] = order
        future.add_done_callback(self._ended.put)

    def _folder(self, order: Order) -> Path:
        return self._work.steps.folder / order.step

    def made(self, folders: Sequence[Path]) -> list[Path]:
        """The same folders, when all of them are there. Raises what any unit failed with."""
        left = {folder.name for folder in folders} & {order.step for order in self._orders.values()}
        while left:
            left.discard(self._collect(self._ended.get()))
        return list(folders)

    def take_back(self) -> None:
        """Starts nothing more, and waits for what runs."""
        wait([future for future in self._orders if not future.cancel()])

    def _collect(self, future: Future[None]) -> str:
        """Brings here what a unit left; its step."""
        order = self._orders.pop(future)
        self._work.workers.result(future, order)
        self._work.place.collect(order.step)
        self._parts.update(order.step, order.unit.seconds)
        return order.step


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
