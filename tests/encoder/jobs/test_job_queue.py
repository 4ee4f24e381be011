"""The queue on a real SQLite file; time is what the test says it is."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from encoder.errors import JobError
from encoder.jobs.job_queue import Answer, Queue
from encoder.jobs.states import LEASE_S, MOST_ATTEMPTS, Event, Job, Request, State
from tests.postgres import Postgres


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    opened = Queue(f"sqlite:///{tmp_path}/deep/queue.db")
    yield opened
    opened.close()


def request(title: str, **changes: object) -> Request:
    plain = Request(film=Path(f"/films/{title}.mkv"), title=title, name=title.title(), out=Path("/out"))
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def claimed(queue: Queue, now: float = 0.0, runner: str = "a") -> Job:
    job = queue.claim(runner, now)
    assert job is not None
    return job


def test_request_comes_back_as_it_was_added(queue: Queue) -> None:
    asked = request(
        "film", film=Path(os.fsdecode(b"/films/\xff\n.mkv")), out=Path(os.fsdecode(b"/out/\xfe")), publish="file:///o",
        replace=True, s3_endpoint="http://s", priority=3, settings={"preset": "slow"},
    )  # fmt: skip
    (id_,) = queue.add([asked], 5.0, "me@here")
    job = queue.job(id_)
    assert (job.request, job.state, job.added_at, job.added_by) == (asked, State.QUEUED, 5.0, "me@here")


def test_higher_priority_is_first_and_then_the_older(queue: Queue) -> None:
    queue.add([request("a"), request("b"), request("c", priority=1)], 0.0, "me")
    assert [claimed(queue).request.title for _ in range(3)] == ["c", "a", "b"]
    assert queue.claim("a", 0.0) is None


def test_runner_may_be_limited_to_some_jobs(queue: Queue) -> None:
    _, second = queue.add([request("a"), request("b")], 0.0, "me")
    job = queue.claim("a", 0.0, {second})
    assert job is not None and job.request.title == "b"
    assert queue.claim("a", 0.0, {second}) is None


def test_title_is_given_to_one_film_at_a_time(queue: Queue) -> None:
    (first,) = queue.add([request("a")], 0.0, "me")
    assert queue.add([request("a", priority=9)], 1.0, "you") == [first]
    assert queue.job(first).request.priority == 9
    with pytest.raises(JobError, match=r"/other\.mkv: job 1 of /films/a\.mkv has the title 'a' and is queued"):
        queue.add([request("b"), request("a", film=Path("/other.mkv"))], 1.0, "you")
    with pytest.raises(JobError, match="job 1 with other settings has the title 'a'"):
        queue.add([request("a", settings={"preset": "slow"})], 1.0, "you")
    assert len(queue.jobs()) == 1
    queue.end(claimed(queue), Event.FINISH, 2.0)
    assert queue.add([request("a", film=Path("/other.mkv"))], 3.0, "you") == [2]


def test_finished_job_says_where_its_package_is(queue: Queue) -> None:
    queue.add([request("a")], 0.0, "me")
    job = claimed(queue, 1.0)
    assert (job.state, job.attempts, job.started_at, job.runner) == (State.RUNNING, 1, 1.0, "a")
    assert queue.end(job, Event.FINISH, 9.0, package="/out/a/0123")
    ended = queue.job(job.id)
    assert (ended.state, ended.ended_at, ended.package) == (State.DONE, 9.0, "/out/a/0123")


def test_waiting_job_is_claimed_when_its_time_has_come(queue: Queue) -> None:
    queue.add([request("a")], 0.0, "me")
    queue.end(claimed(queue), Event.PUT_OFF, 1.0, error="the disk is full", not_before=31.0)
    assert queue.claim("a", 30.0) is None
    again = claimed(queue, 31.0)
    assert (again.attempts, again.error) == (2, "the disk is full")


def test_job_of_a_runner_that_is_silent_goes_to_another(queue: Queue) -> None:
    queue.add([request("a")], 0.0, "me")
    lost = claimed(queue, 0.0, "killed")
    assert queue.beat(lost, 20.0, step="video", per_mille=430, left_s=7.0) is Answer.GO_ON
    seen = queue.job(lost.id)
    assert (seen.step, seen.per_mille, seen.left_s) == ("video", 430, 7.0)
    assert queue.claim("b", 20.0 + LEASE_S) is None
    again = claimed(queue, 21.0 + LEASE_S, "b")
    assert (again.attempts, again.error, again.runner) == (2, "its runner was lost", "b")
    assert queue.beat(lost, 60.0, step="video", per_mille=1, left_s=None) is Answer.LOST
    assert not queue.end(lost, Event.FINISH, 60.0)
    assert queue.job(lost.id).state is State.RUNNING


def test_film_that_kills_its_runners_is_given_up(queue: Queue) -> None:
    queue.add([request("a"), request("b")], 0.0, "me")
    for number in range(MOST_ATTEMPTS):
        assert claimed(queue, number * 100.0).request.title == "a"
    assert claimed(queue, 1000.0).request.title == "b"
    assert (queue.job(1).state, queue.job(1).error) == (State.FAILED, f"its runner was lost {MOST_ATTEMPTS} times")


def test_job_that_is_given_back_does_not_count_the_try(queue: Queue) -> None:
    queue.add([request("a")], 0.0, "me")
    queue.end(claimed(queue), Event.GIVE_BACK, 1.0)
    assert (queue.job(1).state, queue.job(1).attempts) == (State.QUEUED, 0)


def test_cancel_ends_a_queued_job_and_tells_a_running_ones_runner(queue: Queue) -> None:
    queue.add([request("a"), request("b")], 0.0, "me")
    running = claimed(queue)
    assert queue.cancel(2, 1.0) is State.CANCELLED
    assert queue.cancel(1, 1.0) is State.RUNNING
    assert queue.beat(running, 2.0, step="", per_mille=0, left_s=None) is Answer.CANCELLED
    assert queue.end(running, Event.CANCEL, 3.0)
    assert [job.state for job in queue.jobs()] == [State.CANCELLED] * 2
    with pytest.raises(JobError, match=r"job 1 \(a\) is cancelled; to cancel it must be queued or waiting or running"):
        queue.cancel(1, 4.0)


def test_cancelled_job_of_a_lost_runner_is_not_tried_again(queue: Queue) -> None:
    queue.add([request("a")], 0.0, "me")
    claimed(queue)
    queue.cancel(1, 1.0)
    assert queue.claim("b", 100.0) is None
    assert queue.job(1).state is State.CANCELLED


def test_retry_starts_over_and_needs_the_title(queue: Queue) -> None:
    queue.add([request("a")], 0.0, "me")
    queue.end(claimed(queue), Event.FAIL, 1.0, error="bad film")
    queue.add([request("a", film=Path("/better.mkv"))], 2.0, "me")
    with pytest.raises(JobError, match="another job has this title and is not over"):
        queue.retry(1)
    queue.cancel(2, 3.0)
    queue.retry(1)
    assert (queue.job(1).state, queue.job(1).attempts, queue.job(1).error) == (State.QUEUED, 0, "")
    with pytest.raises(JobError, match="there is no job 77"):
        queue.retry(77)


def test_jobs_that_are_over_for_long_are_forgotten_and_their_ids_with_them(queue: Queue) -> None:
    queue.add([request(name) for name in "abcd"], 0.0, "me")
    for event, ended_at in ((Event.FINISH, 10.0), (Event.FAIL, 20.0), (Event.PUT_OFF, 5.0)):
        queue.end(claimed(queue), event, ended_at, not_before=1000.0)
    queue.cancel(4, 15.0)
    queue.forget(20.0)
    assert {job.id: job.state for job in queue.jobs()} == {2: State.FAILED, 3: State.WAITING}
    assert queue.add([request("a")], 30.0, "me") == [5]


def test_new_queue_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    everybody = threading.Barrier(6)

    def begin() -> None:
        everybody.wait(20)
        Queue(f"sqlite:///{tmp_path}/queue.db").close()

    with ThreadPoolExecutor(6) as pool:
        for one in [pool.submit(begin) for _ in range(6)]:
            one.result(20)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+pg8000://nobody@127.0.0.1:1/nowhere", r"^queue: postgresql\+pg8000:// has no driver here"),
        ("postgresql://nobody@127.0.0.1:1/nowhere", r"^queue: .*127\.0\.0\.1.*port 1[^\n]*$"),
    ],
)
def test_queue_that_cannot_be_reached_is_said_in_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(JobError, match=sentence):
        Queue(url)


def test_no_two_runners_get_one_job(tmp_path: Path) -> None:
    shared_out(f"sqlite:///{tmp_path}/queue.db")


def shared_out(url: str) -> None:
    """Four runners take jobs until there are none."""
    count = 24
    first = Queue(url)
    first.add([request(f"f{number}") for number in range(count)], 0.0, "me")
    got: list[int] = []

    def take(name: str) -> None:
        own = Queue(url)
        while (job := own.claim(name, 1.0)) is not None:
            got.append(job.id)
        own.close()

    threads = [threading.Thread(target=take, args=(f"r{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(got) == list(range(1, count + 1))
    first.close()


def test_postgresql_serves_the_runners_of_several_machines(postgres: Postgres) -> None:
    shared_out(postgres.new_database())
    lifecycle(postgres.new_database())


def lifecycle(url: str) -> None:
    """What SQLite's tests show one by one."""
    queue = Queue(url)
    odd = request("a", film=Path(os.fsdecode(b"/\xff.mkv")), settings={})
    queue.add([odd, request("b"), request("c")], 0.0, "me")
    with pytest.raises(JobError, match="has the title 'a' and is queued"):
        queue.add([request("a")], 0.0, "me")
    first = claimed(queue)
    assert first.request == odd and queue.beat(first, 1.0, step="video", per_mille=1, left_s=None) is Answer.GO_ON
    assert queue.end(first, Event.PUT_OFF, 1.0, error="full", not_before=99.0)
    lost = claimed(queue)
    again = claimed(queue, 50.0)
    assert (again.id, again.attempts) == (lost.id, 2)
    assert queue.cancel(again.id, 51.0) is State.RUNNING
    assert queue.beat(again, 52.0, step="", per_mille=0, left_s=None) is Answer.CANCELLED
    assert queue.end(again, Event.CANCEL, 53.0)
    queue.retry(again.id)
    assert [job.state for job in queue.jobs()] == [State.WAITING, State.QUEUED, State.QUEUED]
    queue.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite:////proc/none/queue.db"])
def test_queue_that_cannot_be_opened_is_said_so(url: str) -> None:
    with pytest.raises(JobError, match="queue"):
        Queue(url)


def test_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_text("not a database, but long enough to be read as one" * 10)
    with pytest.raises(JobError, match="queue: file is not a database"):
        Queue(f"sqlite:///{tmp_path}/queue.db")
