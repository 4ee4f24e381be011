"""One process of the local network: started, awaited until it is ready, ended with everything that it started itself.

Each leads a process group of its own: Ctrl-C in a terminal reaches only the demo, which then ends the others in order,
and an appliance is killed, or stopped in its tracks, together with its workers. If the demo is killed, the kernel ends
them (prctl PR_SET_PDEATHSIG, through setpriv); workers end when their parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from bench.errors import ProcessFailed

# A cold start of Python with aiohttp takes 0.5 s here, several at once on a busy machine some seconds.
START_LIMIT_S = 30.0
STOP_LIMIT_S = 6.0
_LOOK_EVERY_S = 0.02
# A worker dies within milliseconds of its SIGKILL.
_DEATH_LIMIT_S, _DEATH_LOOK_EVERY_S = 1.0, 0.002
_LAST_LINES = 8


class Process:
    """`python -m MODULE ARGUMENTS`, its output in `{folder}/{name}.log`; `environment` comes on top of ours."""

    def __init__(
        self,
        name: str,
        folder: Path,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._ready_file = folder / f"{name}.ready"
        self._command = [*_dying_with_us(), sys.executable, "-m", module, *arguments]
        self._variables = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, announces: bool = True) -> None:
        """Starts it; `announces` is whether it has an option --ready-file."""
        assert not self.is_running
        self._ready_file.unlink(missing_ok=True)
        ready = ["--ready-file", str(self._ready_file)] if announces else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *ready],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**_environment(), **self._variables},
            )

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def ready(self, limit_s: float = START_LIMIT_S) -> str:
        """The "host:port" that it listens on, once it does. Raises ProcessFailed."""
        until = time.monotonic() + limit_s
        while not self._ready_file.exists():
            if not self.is_running:
                raise ProcessFailed(f"{self.name} could not start: {self.last_words()}")
            if time.monotonic() > until:
                raise ProcessFailed(f"{self.name} was not ready after {limit_s:.0f} s: {self.last_words()}")
            await asyncio.sleep(_LOOK_EVERY_S)
        return self._ready_file.read_text().strip()

    async def finished(self, limit_s: float) -> None:
        """Waits until it has done its work and ended. Raises ProcessFailed if it failed, or is not done in time."""
        code = await self._ended(limit_s)
        if code != 0:
            how = f"failed (exit code {code})" if code is not None else f"was not done after {limit_s:.0f} s"
            raise ProcessFailed(f"{self.name} {how}: {self.last_words()}")

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """SIGTERM; what is left of it after the limit is killed."""
        if self.is_running:
            assert self._process is not None
            self.signal(signal.SIGCONT)  # one that was paused could not hear the other
            self._process.terminate()
            await self._ended(limit_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to it and to everything that it started; returns when all of them are gone, and their ports free."""
        if self._process is None:
            return
        self.signal(signal.SIGKILL)
        self._process.wait()
        until = time.monotonic() + _DEATH_LIMIT_S
        while _lives(self._process.pid) and time.monotonic() < until:  # its children are not ours to wait for
            time.sleep(_DEATH_LOOK_EVERY_S)

    def signal(self, number: signal.Signals) -> None:
        """A signal to it and to everything that it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def last_words(self) -> str:
        """The sentence with which our commands end when they fail, or else the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        told = next((line for line in reversed(lines) if line.startswith("error: ")), "")
        return told.removeprefix("error: ") or "\n".join(["its log ends so:", *lines[-_LAST_LINES:]])

    async def _ended(self, limit_s: float) -> int | None:
        """The exit code, or None if it is still running after the limit."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, limit_s)
        return self._process.returncode


def _lives(group: int) -> bool:
    """Whether a process of this group lives (Linux). Unlike for killpg, the dead that nobody buried do not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


def _dying_with_us() -> list[str]:
    """The kernel's promise that a process ends when we do; where there is no setpriv (macOS), only we can keep it.

    The promise holds from setpriv's own start on: if we were gone before it, the shell finds another parent than us.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    return [setpriv, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]


def _environment() -> dict[str, str]:
    """Ours, without settings for services: those of this machine's real appliance are not meant for these."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NEARCAST_")}
