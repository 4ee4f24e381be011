"""Takes jobs, one after the other, and tells the queue how far each is.

The encode runs in the main thread, a second one renews the lease. When the queue says that the job is cancelled or
another's, the second interrupts the first by a signal: it unwinds like any failure, so running tools are ended, and
finished steps are kept for who comes next.
"""

from __future__ import annotations

import dataclasses
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from config.encoder import EncoderSettings
from config.errors import NearcastError
from config.progress import Bar, Reporter
from config.units import show_duration
from encoder.errors import JobError
from encoder.jobs.job_queue import Answer, Queue
from encoder.jobs.states import BEAT_S, Event, Job, Request, after_failure, pause_s
from encoder.jobs.titles import shown
from encoder.packages.publishing import publish
from encoder.pipeline import encode
from encoder.running.films import film_at

log = logging.getLogger(__name__)

# How often an idle runner looks for a job.
_LOOK_S = 1.0
# How often a runner removes jobs that are over for long.
_FORGET_EVERY_S = 3600.0

Make: TypeAlias = Callable[[Request, EncoderSettings, Reporter], Path]


class _Interrupted(BaseException):
    """The job is to end now. No Exception: nothing on the way up may take it for a failure of its own."""


class Progress:
    """How far a job is, written by the encode and read by who renews the lease."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._step, self._total, self._done, self._began = "", 0.0, 0.0, 0.0

    def begin(self, step: str, total: float) -> None:
        with self._lock:
            self._step, self._total, self._done, self._began = step, total, 0.0, self._clock()

    def update(self, done: float) -> None:
        with self._lock:
            self._done = done

    def read(self) -> tuple[str, int, float | None]:
        """The step, how much of it is done per mille, and the seconds that are left of it, as it looks."""
        with self._lock:
            share = min(1.0, self._done / self._total) if self._total else 0.0
            left_s = (self._clock() - self._began) * (1 - share) / share if share > 0 else None
            return self._step, round(1000 * share), left_s


class _Followed:
    def __init__(self, bar: Bar, progress: Progress) -> None:
        self._bar, self._progress = bar, progress

    def update(self, done: float, note: str = "") -> None:
        self._progress.update(done)
        self._bar.update(done, note)


class FollowedReporter(Reporter):
    """Shows what another reporter shows, and keeps how far it is."""

    def __init__(self, shown_by: Reporter, progress: Progress) -> None:
        super().__init__(quiet=True)
        self._shown_by, self._progress = shown_by, progress

    def say(self, text: str) -> None:
        self._shown_by.say(text)

    @contextmanager
    def bar(self, label: str, total: float) -> Iterator[Bar]:
        self._progress.begin(label, total)
        with self._shown_by.bar(label, total) as bar:
            yield _Followed(bar, self._progress)


def encode_request(request: Request, settings: EncoderSettings, reporter: Reporter) -> Path:
    """Encodes and publishes as was asked; the package's folder."""
    out = request.out or settings.work / "packages"
    with film_at(request.film, settings, reporter) as here:
        folder = encode(here.path, request.title, out, settings, reporter, request.name, beside=here.beside)
    if request.publish:
        publish(folder, request.publish, replace=request.replace, s3_endpoint=request.s3_endpoint)
    return folder


class Runner:
    """Runs jobs of a queue in the main thread of this process."""

    def __init__(
        self, queue: Queue, name: str, settings: EncoderSettings, reporter: Reporter, make: Make = encode_request,
        *, clock: Callable[[], float] = time.time, beat_s: float = BEAT_S,
    ) -> None:  # fmt: skip
        self._queue, self._name, self._settings, self._reporter = queue, name, settings, reporter
        self._make, self._clock, self._beat_s = make, clock, beat_s
        self._is_interruptible = False
        self._told = Answer.GO_ON
        self._forget_at = 0.0

    def run(self, only: Collection[int] | None = None, *, until_done: bool = False) -> bool:
        """Takes jobs until SIGTERM, or `until_done`: until none is left to wait for.

        `only`: jobs of these IDs, and no other is touched. True if all that it ran are done.
        """
        all_done = True
        before = signal.signal(signal.SIGUSR1, self._interrupt)
        try:
            while True:
                if only is None:
                    self._forget()
                job = self._queue.claim(self._name, self._clock(), only)
                if job is not None:
                    all_done &= self._run(job)
                elif until_done and not self._is_any_left(only):
                    return all_done
                else:
                    time.sleep(_LOOK_S)
        finally:
            signal.signal(signal.SIGUSR1, before)

    def _forget(self) -> None:
        now = self._clock()
        if now >= self._forget_at:
            self._queue.forget(now - self._settings.keep_jobs)
            self._forget_at = now + _FORGET_EVERY_S

    def _is_any_left(self, only: Collection[int] | None) -> bool:
        return any(not job.state.is_over for job in self._queue.jobs(only))

    def _run(self, job: Job) -> bool:
        """One try of a job. True if it is done, or is not over yet."""
        self._reporter.say(f"job {job.id}: {shown(job.request.film)} as {job.request.title}")
        progress, over = Progress(time.monotonic), threading.Event()
        self._told = Answer.GO_ON
        beat = threading.Thread(target=self._renew, args=(job, progress, over), name="lease", daemon=True)
        beat.start()
        try:
            self._is_interruptible = True
            settings = overlaid(self._settings, job.request)
            folder = self._make(job.request, settings, FollowedReporter(self._reporter, progress))
        except _Interrupted:
            return self._interrupted(job)
        except NearcastError as error:
            return self._failed(job, str(error), is_passing=error.retryable)
        except OSError as error:
            return self._failed(job, str(error), is_passing=True)
        except Exception as error:
            log.exception("a job met an error of our own", extra={"job": job.id})
            return self._failed(job, f"an error of the encoder's own: {error!r}", is_passing=False)
        except BaseException:
            # SIGTERM or Ctrl-C: who comes next goes on where this one stopped.
            self._is_interruptible = False
            self._queue.end(job, Event.GIVE_BACK, self._clock())
            raise
        finally:
            self._is_interruptible = False
            over.set()
            beat.join()
        self._queue.end(job, Event.FINISH, self._clock(), package=str(folder))
        self._reporter.say(f"job {job.id}: done, {folder}")
        return True

    def _failed(self, job: Job, error: str, *, is_passing: bool) -> bool:
        self._is_interruptible = False
        event, now = after_failure(job.attempts, is_passing=is_passing), self._clock()
        again_s = pause_s(job.attempts)
        self._queue.end(job, event, now, error=error, not_before=now + again_s if event is Event.PUT_OFF else 0.0)
        if event is Event.PUT_OFF:
            self._reporter.say(f"job {job.id}: {error}; tried again in {show_duration(again_s)}")
            return True
        self._reporter.say(f"job {job.id}: failed: {error}")
        return False

    def _interrupted(self, job: Job) -> bool:
        if self._told is Answer.CANCELLED:
            self._queue.end(job, Event.CANCEL, self._clock())
            self._reporter.say(f"job {job.id}: cancelled")
            return False
        self._reporter.say(f"job {job.id}: another runner has it, for this one was silent for too long")
        return True

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        # Between two jobs there is nothing to interrupt, and the signal may come late.
        if self._is_interruptible and self._told is not Answer.GO_ON:
            self._is_interruptible = False
            raise _Interrupted

    def _renew(self, job: Job, progress: Progress, over: threading.Event) -> None:
        while not over.wait(self._beat_s):
            step, per_mille, left_s = progress.read()
            try:
                told = self._queue.beat(job, self._clock(), step=step, per_mille=per_mille, left_s=left_s)
            except JobError as error:
                log.warning("the lease of a job cannot be renewed", extra={"job": job.id, "error": str(error)})
                continue
            if told is not Answer.GO_ON:
                self._told = told
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                return


def overlaid(settings: EncoderSettings, request: Request) -> EncoderSettings:
    """A runner's settings with those over them that the job was given. Raises JobError for one that is none here."""
    fields = {field.name: field.metadata["kind"] for field in dataclasses.fields(settings)}
    values = {}
    for name, text in (request.settings or {}).items():
        try:
            values[name] = fields[name].parse(text)
        except (KeyError, ValueError) as error:
            raise JobError(f"the job's setting {name} = {text!r} is none that this version knows") from error
    return dataclasses.replace(settings, **values)


def given(settings: EncoderSettings, defaults: EncoderSettings) -> dict[str, str]:
    """The settings that differ from the defaults, as an operator writes them; paths do not depend on where he is."""
    found = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value != getattr(defaults, field.name):
            found[field.name] = field.metadata["kind"].show(value.absolute() if isinstance(value, Path) else value)
    return found
