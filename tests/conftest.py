"""What all tests share: the clip, its package, a real S3 API server, a PostgreSQL, and a guard against what is left."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings

from bench.demo import CLIP, cache_folder, encode_films
from config.progress import Reporter
from tests.postgres import Postgres

# A busy machine is no failure; and in CI the same tree gives the same result, while at a desk each run tries others.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "desk")

# A shell's job in the background ignores SIGINT, and so would all that we start and end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Command lines of processes that fixtures of a wider scope than one test started. By command and not by process ID: a
# test may restart what such a fixture runs.
_lasting: set[str] = set()


# The server says its port itself once it listens on it, so nobody has to guess a free one.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="session")
def clip() -> Path:
    """30 s of film, 1280x720, AAC in English and English captions."""
    return CLIP


@pytest.fixture(scope="session")
def package(clip: Path) -> Path:
    """The clip's package folder (.../TITLE/PACKAGE). Encoded once for each content of clip and encoder."""
    return encode_films({clip.stem: clip}, cache_folder(), Reporter(quiet=True))[0]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; whoever stops it starts it again."""
    # Not in pytest's folders, which are closed to the user that the server runs as.
    with TemporaryDirectory(prefix="nearcast-postgres-") as folder:
        postgres = Postgres(Path(folder))
        postgres.start()
        yield postgres
        postgres.kill()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The server ends when its standard input does: with us, however we end."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout and server.stdin
        port = server.stdout.readline().strip()
        assert port, "the S3 server did not start"
        previous = {name: os.environ.get(name) for name in _KEYS}
        os.environ.update(_KEYS)
        yield f"http://127.0.0.1:{port}"
        for name, value in previous.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        server.stdin.close()
        server.wait(10)


@pytest.fixture
def s3_url(s3_endpoint: str) -> str:
    """s3://BUCKET/PREFIX of a bucket made for this test."""
    bucket = f"test-{secrets.token_hex(6)}"
    with urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/{bucket}", method="PUT"), timeout=10):
        return f"s3://{bucket}/some/prefix"


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """Fails a test that leaves a child process behind."""
    before = _children()
    yield
    left = {pid: command for pid, command in _children().items() if pid not in before and command not in _lasting}
    if left:
        pytest.fail("left running: " + "; ".join(f"{pid} {command[:200]}" for pid, command in left.items()))


class _Lasting:
    """Notes what session and module fixtures start, wherever in a test they are first asked for.

    A plugin, for the hooks of a conftest do not hear of session fixtures: those belong to the folder above.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        before = _children()
        value = yield
        if fixturedef.scope != "function":
            _lasting.update(command for pid, command in _children().items() if pid not in before)
        return value


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Lasting())


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
