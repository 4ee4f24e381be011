"""One program under measurement: started on its cores, awaited, its CPU seconds and memory, ended for certain."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError, ProcessFailed

# ATS needs a second or two to make its cache; anything longer is a program that does not start.
_START_LIMIT_S, _STOP_LIMIT_S = 30.0, 5.0
_LOOK_EVERY_S = 0.02
_LAST_LINES = 8
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """Of a program and everything that it started, since the start."""

    cpu_s: float
    memory_bytes: int  # resident


@dataclass
class Program:
    """`command`, its output in {folder}/{name}.out. It is told SIGTERM by the kernel if we are gone."""

    name: str
    folder: Path
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self, cores: frozenset[int] = frozenset()) -> None:
        """On these cores, or on all."""
        with self.log.open("ab") as log, on_cores(cores):
            self._process = subprocess.Popen(
                [*_ended_with_us(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**_environment(), **self.environment},
            )

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.out"

    def await_port(self, port: int) -> None:
        """Returns when somebody accepts on 127.0.0.1. Raises ProcessFailed."""
        until = time.monotonic() + _START_LIMIT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
                return
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > until:
                raise ProcessFailed(f"{self.name} does not listen on port {port}: {self._last_words()}")
            time.sleep(_LOOK_EVERY_S)

    def usage(self) -> Usage:
        assert self._process is not None
        ticks = pages = 0
        for process_id in _family(self._process.pid):
            with suppress(OSError):  # it ended meanwhile
                fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5) fields 14 and 15
                pages += int(fields[21])  # rss, field 24
        return Usage(ticks / _TICKS_PER_S, pages * _PAGE_BYTES)

    def stop(self) -> None:
        """SIGTERM; after the limit SIGKILL to it and to all that it started."""
        if self._process is None:
            return
        family = _family(self._process.pid)
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_LIMIT_S)
        for process_id in family:
            if _session(process_id) == self._process.pid:  # and not somebody else's by now
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(["its output ends so:", *lines[-_LAST_LINES:]])


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """What is started within runs on these cores, with its threads and children; none means all."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_client(command: Sequence[str], cores: frozenset[int], *, limit_s: float, stdin: bytes = b"") -> str:
    """What a load generator printed. Raises BenchError if it failed or did not end in time."""
    name = Path(command[0]).name
    try:
        with on_cores(cores):
            done = subprocess.run(
                [*_ended_with_us(), *command],
                input=stdin,
                capture_output=True,
                timeout=limit_s,
                check=False,
                env=_environment(),
            )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} did not end within {limit_s:.0f} s") from error
    if done.returncode:
        told = (done.stderr or done.stdout).decode(errors="replace")[-500:]
        raise BenchError(f"{name} ended with code {done.returncode}: {told}")
    return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Ours, without settings for services, and with decimal points where a locale has commas."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NEARCAST_")}
    return {**ours, "LC_ALL": "C"}


def _family(process_id: int) -> list[int]:
    """A process and all that descends from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    family = [process_id]
    for member in family:
        family += children.get(member, [])
    return family


def _session(process_id: int) -> int:
    """0 if there is no such process."""
    try:
        return os.getsid(process_id)
    except ProcessLookupError:
        return 0


def _ended_with_us() -> list[str]:
    """SIGTERM and not SIGKILL: the workers of nginx outlive a master that was killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
