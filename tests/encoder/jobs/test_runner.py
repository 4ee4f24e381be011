"""A runner on a real queue; what it "encodes" is a function of the test's, and time stands still."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.errors import CheckError, JobError, SourceError, SpaceError, ToolError
from encoder.jobs.job_queue import Queue
from encoder.jobs.runner import Progress, Runner, given, overlaid
from encoder.jobs.states import LEASE_S, Event, Request, State
from tests.encoder.jobs.test_job_queue import request

NOW = 1000.0
QUIET = Reporter(quiet=True)
Ran = list[str]


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    opened = Queue(f"sqlite:///{tmp_path}/queue.db")
    yield opened
    opened.close()


def runner(
    queue: Queue, make: Callable[..., Path], *, beat_s: float = 60.0, settings: EncoderSettings | None = None
) -> Runner:
    return Runner(queue, "me:1", settings or EncoderSettings(), QUIET, make, clock=lambda: NOW, beat_s=beat_s)


def test_one_jobs_failure_does_not_stop_the_others(queue: Queue) -> None:
    def make(asked: Request, *_: object) -> Path:
        if asked.title == "b":
            raise SourceError("/films/b.mkv is empty (0 bytes), expected a film")
        return Path("/out") / asked.title

    ids = queue.add([request("a"), request("b"), request("c")], 0.0, "me")
    assert runner(queue, make).run(until_done=True) is False
    assert [job.state for job in queue.jobs(ids)] == [State.DONE, State.FAILED, State.DONE]
    assert queue.job(ids[1]).error == "/films/b.mkv is empty (0 bytes), expected a film"
    assert queue.job(ids[2]).package == "/out/c"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SpaceError("the disk is full"), State.WAITING),
        (ToolError("ffmpeg was killed by SIGKILL", retryable=True), State.WAITING),
        (OSError(5, "Input/output error"), State.WAITING),
        (ToolError("ffmpeg failed with exit code 1"), State.FAILED),
        (CheckError("v360.mp4 does not decode"), State.FAILED),
        (ZeroDivisionError("ours"), State.FAILED),
    ],
)
def test_what_passes_is_tried_again_and_what_does_not_is_not(error: Exception, state: State, queue: Queue) -> None:
    def make(*_: object) -> Path:
        raise error

    (id_,) = queue.add([request("a")], 0.0, "me")
    once(queue, make)
    job = queue.job(id_)
    assert job.state is state and str(error) in job.error
    assert job.not_before == (NOW + 30 if state is State.WAITING else 0)


def once(queue: Queue, make: Callable[..., Path]) -> None:
    """One job, and the runner ends at the next."""
    (last,) = queue.add([request("last", priority=-1)], 0.0, "me")

    def made(asked: Request, *more: object) -> Path:
        if asked.title == "last":
            raise SystemExit(0)
        return make(asked, *more)

    with pytest.raises(SystemExit):
        runner(queue, made).run()
    queue.cancel(last, NOW)


def test_runner_that_is_told_to_end_gives_its_job_back(queue: Queue) -> None:
    def make(*_: object) -> Path:
        raise SystemExit(143)

    (id_,) = queue.add([request("a")], 0.0, "me")
    with pytest.raises(SystemExit):
        runner(queue, make).run(until_done=True)
    assert (queue.job(id_).state, queue.job(id_).attempts) == (State.QUEUED, 0)


def interrupted_by(act: Callable[[], object]) -> NoReturn:
    """An encode that takes long, and what somebody else does meanwhile.

    In another thread: an interrupt in the middle of a transaction would leave that open, and an encode has none.
    """
    threading.Thread(target=act).start()
    threading.Event().wait(60)
    raise AssertionError("nobody interrupted it")


def test_runner_forgets_jobs_that_are_over_for_long_unless_it_was_told_which_to_run(queue: Queue) -> None:
    for title in "ab":
        queue.add([request(title)], 0.0, "me")
        job = queue.claim("me", 0.0)
        assert job is not None
        queue.end(job, Event.FINISH, NOW - 100.0 if title == "a" else NOW - 50.0)
    (id_,) = queue.add([request("c")], NOW, "me")
    runs = runner(queue, lambda *_: Path("/out/c"), settings=EncoderSettings(keep_jobs=60.0))
    runs.run([id_], until_done=True)
    assert [job.id for job in queue.jobs()] == [1, 2, id_]
    runs.run(until_done=True)
    assert [job.id for job in queue.jobs()] == [2, id_]


def test_cancelled_job_is_interrupted_and_the_next_one_runs(queue: Queue) -> None:
    first, second = queue.add([request("a"), request("b")], 0.0, "me")
    unwound: Ran = []

    def make(asked: Request, *_: object) -> Path:
        if asked.title == "b":
            return Path("/out/b")
        try:
            interrupted_by(lambda: queue.cancel(first, NOW))
        finally:
            unwound.append(asked.title)

    assert runner(queue, make, beat_s=0.01).run(until_done=True) is False
    assert unwound == ["a"]
    assert (queue.job(first).state, queue.job(second).state) == (State.CANCELLED, State.DONE)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_runner_whose_job_another_took_lets_go_of_it(queue: Queue) -> None:
    (id_,) = queue.add([request("a")], 0.0, "me")

    def take() -> None:
        other = queue.claim("other", NOW + 2 * LEASE_S)
        assert other is not None
        queue.end(other, Event.FINISH, NOW, package="/out/others")

    assert runner(queue, lambda *_: interrupted_by(take), beat_s=0.01).run(until_done=True)
    assert (queue.job(id_).runner, queue.job(id_).package) == ("other", "/out/others")


def test_progress_is_in_the_queue_while_a_job_runs(queue: Queue) -> None:
    (id_,) = queue.add([request("a")], 0.0, "me")
    seen = threading.Event()
    told: list[tuple[str, int]] = []

    def make(_asked: Request, _settings: EncoderSettings, reporter: Reporter) -> Path:
        with reporter.bar("video", 200.0) as bar:
            bar.update(86.0)
            for _ in range(3000):
                job = queue.job(id_)
                if job.step:
                    told.append((job.step, job.per_mille))
                    break
                seen.wait(0.01)
        return Path("/out/a")

    assert runner(queue, make, beat_s=0.01).run(until_done=True)
    assert told == [("video", 430)]


def test_what_is_left_is_guessed_from_what_it_took() -> None:
    times = iter([10.0, 40.0, 40.0])
    progress = Progress(lambda: next(times))
    progress.begin("video", 100.0)
    progress.update(25.0)
    assert progress.read() == ("video", 250, 90.0)
    nothing = Progress(lambda: 0.0)
    assert nothing.read() == ("", 0, None)


def test_jobs_settings_lie_over_the_runners(tmp_path: Path) -> None:
    asked = dataclasses.replace(EncoderSettings(), preset="slow", segment_duration=3.84, work=Path("work"))
    kept = given(asked, EncoderSettings())
    assert kept == {"preset": "slow", "segment_duration": "3.84s", "work": str(Path("work").absolute())}
    own = EncoderSettings(preset="fast", workers="3")
    assert overlaid(own, request("a", settings=kept)) == dataclasses.replace(
        own, preset="slow", segment_duration=3.84, work=Path("work").absolute()
    )
    with pytest.raises(JobError, match="setting colour = 'red' is none that this version knows"):
        overlaid(own, request("a", settings={"colour": "red"}))
