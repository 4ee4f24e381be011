"""What tests of all packages share: the clip, its package, and a guard against processes that are left behind."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from bench.demo import CLIP, cache_folder, encode_films
from config.progress import Reporter

# A busy machine is no failure; and in CI the same tree gives the same result, while at a desk each run tries others.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "desk")

# Command lines of processes that fixtures of a wider scope than one test started. By command and not by process ID: a
# test may restart what such a fixture runs.
_lasting: set[str] = set()


@pytest.fixture(scope="session")
def clip() -> Path:
    """30 s of film, 1280x720, AAC in English and English captions."""
    return CLIP


@pytest.fixture(scope="session")
def package(clip: Path) -> Path:
    """The clip's package folder (.../TITLE/PACKAGE). Encoded once for each content of clip and encoder."""
    return encode_films({clip.stem: clip}, cache_folder(), Reporter(quiet=True))[0]


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """Fails a test that leaves a child process behind."""
    before = _children()
    yield
    left = {pid: command for pid, command in _children().items() if pid not in before and command not in _lasting}
    if left:
        pytest.fail("left running: " + "; ".join(f"{pid} {command[:200]}" for pid, command in left.items()))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Notes what session and module fixtures start, wherever in a test they are first asked for."""
    before = _children()
    value = yield
    if fixturedef.scope != "function":
        _lasting.update(command for pid, command in _children().items() if pid not in before)
    return value


def _children() -> dict[int, str]:
    """Command lines of this process's children that have not ended; none where there is no /proc."""
    children = {}
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            pids = [int(pid) for pid in task.read_text().split()]
        except OSError:  # the thread has ended since
            continue
        for pid in pids:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if command:  # one that has ended and was not waited for has none
                children[pid] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return children
