from __future__ import annotations

import dataclasses

import pytest

from encoder.jobs.states import Job, State
from encoder.jobs.table import COLUMNS, as_json, places, row, tally
from tests.encoder.jobs.test_job_queue import request

NOW = 10_000.0
QUEUED = Job(id=7, request=request("film"), state=State.QUEUED, added_at=NOW - 200, added_by="me@here")


def what(**changes: object) -> str:
    return row(dataclasses.replace(QUEUED, **changes), NOW)[COLUMNS.index("what")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "/films/film.mkv"),
        ({"state": State.RUNNING}, "begins"),
        ({"state": State.RUNNING, "step": "video", "per_mille": 434, "left_s": 150.0}, "video 43%, 2m 30s left"),
        (
            {"state": State.WAITING, "not_before": NOW + 25, "error": "the disk is full"},
            "again in 25s: the disk is full",
        ),
        ({"state": State.DONE, "package": "/out/film/0123"}, "/out/film/0123"),
        ({"state": State.FAILED, "error": "not a film:\n  moov atom not found"}, "not a film: moov atom not found"),
        ({"state": State.FAILED, "error": "x" * 500}, "x" * 157 + "..."),
    ],
)
def test_row_says_what_a_person_wants_to_know(changes: dict[str, object], expected: str) -> None:
    assert what(**changes) == expected


def test_everything_of_a_done_job_is_said_whole_on_one_line() -> None:
    folder, report = f"/out/{'x' * 200}/film", "/out/film\n.report.html"
    done = dataclasses.replace(QUEUED, state=State.DONE, package=folder)
    assert places(done, "") == f"job 7: package {folder}"
    published = dataclasses.replace(done, request=request("film", publish="s3://bucket/prefix"))
    told = "report /out/film\N{REPLACEMENT CHARACTER}.report.html, published to s3://bucket/prefix"
    assert places(published, report) == f"job 7: package {folder}, {told}"


def test_row_names_the_runner_of_a_running_job_and_else_who_asked() -> None:
    assert row(QUEUED, NOW) == ("7", "film", "queued", "0", "/films/film.mkv", "3m 20s ago", "me@here")
    running = dataclasses.replace(QUEUED, state=State.RUNNING, runner="there:12", started_at=NOW - 5)
    assert row(running, NOW)[-2:] == ("5s ago", "there:12")
    assert row(dataclasses.replace(QUEUED, request=request("film", priority=3)), NOW)[1] == "film (priority 3)"


def test_tally_counts_states_in_their_order() -> None:
    done = dataclasses.replace(QUEUED, state=State.DONE)
    assert tally([done, QUEUED, done]) == "1 queued, 2 done"
    assert tally([]) == "no jobs"


def test_script_reads_null_for_what_was_not_yet() -> None:
    told = as_json(QUEUED, "")
    assert (told["started_at"], told["ended_at"], told["film"]) == (None, None, "/films/film.mkv")
