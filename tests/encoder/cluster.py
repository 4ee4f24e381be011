"""A real Dask cluster of processes on the loopback, and units that show how one fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from distributed import Client

from encoder.errors import EncodeError, ToolError
from encoder.running.process import OnSeconds, Tools
from tests.waiting import until

_ROOT = Path(__file__).parents[2]


class LocalCluster:
    """A scheduler and workers of one thread each, without nannies: what is lost stays lost."""

    def __init__(self, folder: Path, allowed_failures: int = 3) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._environment = {
            **os.environ, "PYTHONPATH": str(_ROOT),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
        }  # fmt: skip
        self.workers: list[subprocess.Popen[bytes]] = []
        scheduler = ("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show", "--no-jupyter")
        self._scheduler = self._start(*scheduler, "--scheduler-file", str(self._file))

    async def __aenter__(self) -> LocalCluster:
        await until(self._is_listening, limit_s=60)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()

    @property
    def url(self) -> str:
        return f"dask://{json.loads(self._file.read_text())['address'].removeprefix('tcp://')}"

    @property
    def file_url(self) -> str:
        return f"dask://{self._file}"

    def add_worker(self, **environment: str) -> None:
        arguments = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder))
        self.workers.append(self._start("dask_worker", "--scheduler-file", str(self._file), *arguments, **environment))

    async def joined(self) -> LocalCluster:
        """When all workers are there; before, they change their command lines."""
        async with Client(scheduler_file=str(self._file), asynchronous=True, set_as_default=False) as client:
            await client.wait_for_workers(len(self.workers), timeout=60)
        return self

    def lose_worker(self) -> None:
        lost = self.workers.pop(0)
        lost.send_signal(signal.SIGKILL)
        lost.wait()

    def tools(self) -> list[str]:
        """The command lines of what runs below the workers."""
        found = []
        for worker in self.workers:
            for task in Path(f"/proc/{worker.pid}/task").glob("*/children"):
                for child in task.read_text().split():
                    try:
                        command = Path(f"/proc/{child}/cmdline").read_bytes()
                    except OSError:
                        continue
                    if command:  # one that has ended and was not waited for has none
                        found.append(command.replace(b"\0", b" ").decode())
        return found

    def _is_listening(self) -> bool:
        assert self._scheduler.poll() is None, "the scheduler did not start"
        return self._file.exists() and self._file.read_text().endswith("}")

    def _start(self, program: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *arguments]
        own, quiet = {**self._environment, **environment}, subprocess.DEVNULL
        return subprocess.Popen(command, cwd=_ROOT, env=own, stdout=quiet, stderr=quiet)


@dataclass(frozen=True)
class Fails:
    """A unit that notes that it was tried, tells that it is half done, and fails: by itself, or with its worker."""

    note: Path
    kills: bool = False
    failure: EncodeError = ToolError("this film is bad")

    name = "fails"
    seconds = 1.0

    def inputs(self) -> Sequence[str]:
        return (str(self.note),)

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        with self.note.open("a") as file:
            file.write(f"{os.getpid()}\n")
        on_seconds(0.5)
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.failure
