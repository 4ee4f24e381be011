"""Bad input of `nearcast demo` and `nearcast bench`: one sentence, an exit code, nothing left behind.

What they do is in tests/system and tests/bench/delivery.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "demo", "--quiet", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )


def test_a_port_that_is_taken_is_said_before_anything_is_encoded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo(tmp_path, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == f"error: 127.0.0.1:{port} cannot be used: Address already in use; choose another --port\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing.mp4", "not-a-film.mp4", "empty.mp4"])
def test_what_is_not_a_film_is_one_sentence(tmp_path: Path, name: str) -> None:
    films, rest = tmp_path / "films", tmp_path / "rest"
    films.mkdir()
    rest.mkdir()
    (films / "not-a-film.mp4").write_text("a letter to my aunt")
    (films / "empty.mp4").touch()
    done = demo(rest, str(films / name), "--port", "0")
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error: ")
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (done.stdout, list(rest.iterdir())) == ("", [])


@pytest.mark.parametrize("arguments", [["--appliances", "0"], ["--port", "70000"], ["--nonsense"]])
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    done = demo(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_case_that_there_is_not_is_a_usage_error_that_names_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "delivery", "--cases", "nonsense"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "no case is called nonsense; there are http/16K/1, " in done.stderr
