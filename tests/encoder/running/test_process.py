from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from encoder.errors import EncodeError, SpaceError, ToolError
from encoder.running.process import Tools, ffmpeg_path, full_disk_is_space_error, versions
from tests.encoder.conftest import pattern
from tests.waiting import is_alive, until

# Tells its process ID, then waits for a signal.
FOREVER = [sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"]


def test_progress_and_what_was_written_are_reported(tools: Tools, tmp_path: Path) -> None:
    seen: list[float] = []
    written = tools.ffmpeg(
        ["-f", "lavfi", "-i", pattern(seconds=2), "-f", "null", "-"], cwd=tmp_path, on_seconds=seen.append
    )
    assert written.frames == 50
    assert seen and seen == sorted(seen) and seen[-1] == written.seconds == pytest.approx(2.0, abs=0.05)


def test_failure_carries_the_cause_in_the_tools_words(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="ffmpeg failed with exit code") as caught:
        tools.ffmpeg(["-i", "none.mp4", "-f", "null", "-"], cwd=tmp_path)
    assert "No such file or directory" in caught.value.reason
    assert "@ 0x" not in str(caught.value)


def test_tool_that_is_not_there_is_named(tools: Tools) -> None:
    with pytest.raises(ToolError, match="/none/tool"):
        tools.run(["/none/tool"], "".join)


def test_tool_that_a_signal_ends_is_told_by_its_name(tools: Tools) -> None:
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    with pytest.raises(ToolError, match="was killed by SIGKILL"):
        tools.run(killed, "".join)


@pytest.mark.parametrize("complaint", ["av_interleaved_write_frame(): No space left on device", "Disk quota exceeded"])
def test_full_disk_in_a_tools_words_is_a_space_error(tools: Tools, complaint: str) -> None:
    script = f"import sys; print({complaint!r}, file=sys.stderr); sys.exit(228)"
    with pytest.raises(SpaceError, match="is full; finished steps are kept"):
        tools.run([sys.executable, "-c", script], "".join)


def test_real_full_device_is_a_space_error(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(SpaceError):
        tools.ffmpeg(["-f", "lavfi", "-i", pattern(seconds=1), "-f", "rawvideo", "file:/dev/full"], cwd=tmp_path)


def test_only_a_full_disk_is_translated(tmp_path: Path) -> None:
    with pytest.raises(SpaceError), full_disk_is_space_error(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), full_disk_is_space_error(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_closing_ends_what_runs_and_starts_nothing_more(tools: Tools) -> None:
    started = threading.Event()
    failures: list[EncodeError] = []
    running: list[int] = []

    def read(lines: object) -> None:
        for line in lines:  # type: ignore[attr-defined]
            running.append(int(line))
            started.set()

    def run() -> None:
        try:
            tools.run(FOREVER, read)
        except EncodeError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    tools.close()
    thread.join(20)
    assert not thread.is_alive() and not is_alive(running[0])
    assert "given up" in str(failures[0])
    with pytest.raises(EncodeError, match="was not started"):
        tools.run(FOREVER, read)


def test_reader_that_fails_ends_the_tool(tools: Tools) -> None:
    running: list[int] = []

    def read(lines: object) -> None:
        running.append(int(next(iter(lines))))  # type: ignore[call-overload]
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        tools.run(FOREVER, read)
    assert not is_alive(running[0])


async def test_tool_dies_with_us_even_if_we_are_killed() -> None:
    script = (
        "from encoder.running.process import Tools\n"
        f"Tools().run({FOREVER!r}, lambda lines: [print(line, flush=True) for line in lines])"
    )
    ours = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert ours.stdout is not None
    with ours.stdout:
        tool = int(ours.stdout.readline())
    ours.kill()
    ours.wait()
    await until(lambda: not is_alive(tool))


def test_versions_name_both_tools(tools: Tools) -> None:
    assert versions(tools).startswith("ffmpeg ") and "shaka-packager v" in versions(tools)
    assert Path(ffmpeg_path()).is_file()


def test_packagers_unfinished_files_are_in_its_folder_for_nobody_else_to_read(
    grey_film: Path, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    tools.packager([f"in={grey_film},stream=video,output=out.mp4", "--mpd_output", "out.mpd"], cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.mpd"]
