"""The commands over a real queue and real encodes of tiny films."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from encoder.cli import encode
from encoder.package import Package, decode
from tests.encoder.conftest import Film, pattern
from tests.waiting import until

FAST = ("--ladder", "fixed", "--preset", "ultrafast", "--segment-duration", "1s", "--min-free-space", "0")


@pytest.fixture
def films(film: Film, tmp_path: Path) -> Path:
    """A folder with two films and one that is none."""
    whole = film("tiny.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=0.4), "-c:v", "libx264", "-preset",
                 "ultrafast")  # fmt: skip
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "First Film.mp4").symlink_to(whole)
    (folder / "broken.mp4").write_text("This is no film.\n" * 100)
    (folder / os.fsdecode(b"Third \xff\nfilm.mp4")).write_bytes(whole.read_bytes())
    return folder


def command(tmp_path: Path, *arguments: object) -> Result:
    everywhere = ["--work", str(tmp_path / "work")]
    return CliRunner().invoke(encode, [*map(str, arguments), *everywhere], catch_exceptions=False)


def jobs(tmp_path: Path) -> dict[str, dict[str, Any]]:
    result = command(tmp_path, "status", "--json")
    assert result.exit_code == 0, result.output
    return {job["title"]: job for job in json.loads(result.stdout)}


def manifest(folder: str) -> Package:
    return decode((Path(folder) / "package.json").read_bytes())


def test_folder_is_encoded_and_one_bad_film_fails_alone(films: Path, tmp_path: Path) -> None:
    result = command(tmp_path, films, "--out", tmp_path / "out", "--json", "--quiet", *FAST)
    assert result.exit_code == 1
    states = {job["title"]: (job["state"], job["error"]) for job in json.loads(result.stdout)}
    assert states["first-film"] == states["third-film"] == ("done", "")
    state, error = states["broken"]
    assert state == "failed" and "is not a film" in error
    ended = jobs(tmp_path)
    assert manifest(ended["first-film"]["package"]).name == "First Film"
    assert manifest(ended["third-film"]["package"]).name == "Third film"
    assert ended["first-film"]["report"] == ended["first-film"]["package"] + ".report.html"
    assert Path(ended["first-film"]["report"]).exists() and ended["broken"]["report"] == ""
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"first-film", "third-film"}
    table = command(tmp_path, "status").output
    assert f"package {ended['first-film']['package']}, report {ended['first-film']['report']}\n" in table
    assert "2 done, 1 failed" in table and "is not a film" in " ".join(table.replace("│", " ").split())


def test_queued_films_are_encoded_by_a_runner_in_another_process(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    added = command(tmp_path, "add", films / "First Film.mp4", "--out", out, "--priority", 2, "--json", *FAST)
    (job,) = json.loads(added.stdout)
    assert (job["state"], job["priority"], job["settings"]["preset"]) == ("queued", 2, "ultrafast")
    arguments = [sys.executable, "-m", "encoder", "run", "--until-done", "--quiet", "--work", str(tmp_path / "work")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert jobs(tmp_path)["first-film"]["state"] == "done"


def test_cancelled_and_retried_job_is_over_and_queued(films: Path, tmp_path: Path) -> None:
    command(tmp_path, "add", films / "First Film.mp4", "--out", tmp_path, *FAST)
    assert command(tmp_path, "cancel", 1).output == "job 1 is cancelled\n"
    assert command(tmp_path, "retry", 1).output == "job 1 is queued\n"
    assert jobs(tmp_path)["first-film"]["state"] == "queued"
    arguments = [sys.executable, "-m", "encoder", "cancel", "9", "--work", str(tmp_path / "work")]
    wrong = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr == "error: there is no job 9; `nearcast encode status` lists those there are\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["add"], "say where the package goes"),
        (["add", "--out", "out"], "name films, folders, or a list"),
        (["a.mkv", "b.mkv", "--out", "out", "--title", "x"], "--title and --name are for one film"),
        (["a.mkv", "--out", "out"], "say what title it is to have"),
    ],
)
def test_what_is_missing_is_a_usage_error(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    result = command(tmp_path, *arguments)
    assert result.exit_code == 2
    assert complaint in result.output


@pytest.fixture
def long_film(film: Film, tmp_path: Path) -> Path:
    """Queued, and seconds of work: time for its runner to be interrupted."""
    path = film("long.mp4", "-f", "lavfi", "-i", pattern("640x360", "25", 6), "-c:v", "libx264", "-preset",
                "ultrafast")  # fmt: skip
    slow = ("--ladder", "fixed", "--segment-duration", "1s", "--chunk-duration", "1s", "--min-free-space", "0")
    assert command(tmp_path, "add", path, "--out", tmp_path / "out", "--preset", "medium", *slow).exit_code == 0
    return path


async def interrupted(tmp_path: Path, signal_number: int) -> int:
    """Sends a signal to a runner after its first chunk; its exit code."""
    work = tmp_path / "work"
    runner = start_runner(work)
    try:
        await until(lambda: bool(chunks(work)) or runner.poll() is not None, 60)
        runner.send_signal(signal_number)
    finally:
        runner.wait(timeout=60)
    return runner.returncode


def start_runner(work: Path) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "encoder", "run", "--quiet", "--workers", "1", "--work", str(work)]
    return subprocess.Popen(arguments, stderr=subprocess.DEVNULL)


def run_later(work: Path) -> subprocess.CompletedProcess[str]:
    """A runner whose clock goes a minute ahead, so that leases have run out."""
    code = (
        "import sys, time; now = time.time; time.time = lambda: now() + 60\n"
        "from encoder.cli import encode\n"
        "encode(['run', '--until-done', '--quiet', '--work', sys.argv[1]])"
    )
    arguments = [sys.executable, "-c", code, str(work)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)


def chunks(work: Path) -> dict[str, int]:
    """Finished ones, and when."""
    return {path.name: path.stat().st_mtime_ns for path in work.glob("*/chunk-*") if path.suffix != ".tmp"}


@pytest.mark.usefixtures("long_film")
async def test_killed_runners_job_goes_on_behind_its_finished_chunks(tmp_path: Path) -> None:
    assert await interrupted(tmp_path, signal.SIGKILL) == -signal.SIGKILL
    assert chunks(tmp_path / "work")
    assert jobs(tmp_path)["long"]["state"] == "running"
    again = run_later(tmp_path / "work")
    assert again.returncode == 0, again.stderr
    ended = jobs(tmp_path)["long"]
    assert (ended["state"], ended["attempts"], ended["error"]) == ("done", 2, "")


@pytest.mark.usefixtures("long_film")
async def test_terminated_runner_gives_its_job_back_at_once(tmp_path: Path) -> None:
    assert await interrupted(tmp_path, signal.SIGTERM) == 128 + signal.SIGTERM
    given_back = jobs(tmp_path)["long"]
    assert (given_back["state"], given_back["attempts"]) == ("queued", 0)
    assert chunks(tmp_path / "work")
