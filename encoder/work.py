"""One film and the means to work on it: resumable steps, tools that end with us, several pieces at once.

What is decided stands elsewhere; here a piece of the film goes to ffmpeg, its folder is kept under a key of all that
its bytes depend on, and a failure ends what else runs.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from config.encoder import EncoderSettings
from config.progress import Bar, Reporter
from encoder import commands
from encoder.chunks import Chunk, Plan
from encoder.errors import CheckError, EncodeError
from encoder.process import OnSeconds, Tools
from encoder.source import Source
from encoder.steps import Steps

# Part of every key: raised when our own code makes other bytes of the same commands.
RECIPE = "nearcast-3"
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
    settings: EncoderSettings
    reporter: Reporter

    def run(self, name: str, inputs: Sequence[str], make: Callable[[Path], object]) -> Path:
        """The folder of a step. `inputs` is all that its bytes depend on beside the film and the tools."""
        return self.steps.run(name, (RECIPE, self.digest, self.tools_version, *inputs), make)

    def ffmpeg(self, name: str, arguments: Callable[[str], list[str]], bar: Bar) -> Path:
        """A step that is one run of ffmpeg on the film."""

        def make(folder: Path) -> None:
            self.tools.ffmpeg(arguments(self.film), cwd=folder, on_seconds=bar.update)

        return self.run(name, arguments(FILM), make)

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

    def each(
        self, label: str, plan: Plan, chunks: Sequence[Chunk], make: Callable[[Chunk, OnSeconds], Result]
    ) -> list[Result]:
        """What `make` makes of each chunk, several at once, under one bar."""
        done: dict[int, float] = {}
        lock = threading.Lock()
        total = float(sum(chunk.frames for chunk in chunks) / plan.frame_rate)
        with self.reporter.bar(label, total) as bar:

            def report(at: int, seconds: float) -> None:
                with lock:
                    done[at] = seconds
                    bar.update(sum(done.values()))

            def one(at: int, chunk: Chunk) -> Result:
                made = make(chunk, functools.partial(report, at))
                report(at, float(chunk.frames / plan.frame_rate))
                return made

            return self.in_parallel([functools.partial(one, at, chunk) for at, chunk in enumerate(chunks)])

    def in_parallel(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results, in order. The first failure ends the others."""
        jobs = self.settings.jobs or (os.cpu_count() or 1) // commands.X264_THREADS
        pool = ThreadPoolExecutor(max(1, jobs))
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


def demand_frames(found: int, plan: Plan, chunk: Chunk) -> None:
    """Raises SeekAstray, or CheckError where nothing was sought, if a chunk does not have its frames."""
    if found != chunk.frames:
        error = SeekAstray if plan.by_seek else CheckError
        raise error(f"chunk {chunk.number} has {found or 'no'} frames, expected {chunk.frames}")
