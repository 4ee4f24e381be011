"""The delivery processes as the parent sees them: their sockets, their starts and ends, and what they say they did.

Listening sockets belong to the parent, so a worker that dies or is replaced loses no client that waits to be accepted.
A worker is replaced by starting its successor on the same sockets; once that one serves, the old one takes nothing new,
says so in each answer, and ends with its last connection.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from config.field import show_address
from oca import messages
from oca.errors import OcaError
from oca.worker import WorkerSettings

logger = logging.getLogger(__name__)

# A worker that dies is started again at once, but not more often than this: something is wrong with all of them then.
_RESTART_AFTER_S = 0.5
# A cold start of Python takes 0.5 s here; one that takes this long has a reason that a second one would have too.
_START_LIMIT_S = 20.0
_BACKLOG = 4096


# All but how late a worker was: that is of a moment, and nothing to add up.
_COUNTERS = tuple(name for name in messages.Load.__struct_fields__ if name != "late_s")


class Workers:
    """All of them: one for each tuple of `listeners`. `settings` makes what worker N is told when it starts."""

    def __init__(
        self, listeners: Sequence[tuple[socket.socket, ...]], settings: Callable[[int], WorkerSettings]
    ) -> None:
        self._workers = [_Worker(number, own, settings) for number, own in enumerate(listeners)]
        self.byte_path = ""

    async def start(self) -> None:
        for worker in self._workers:
            await worker.start()

    async def replace(self) -> None:
        """Starts each anew with today's settings, one after another, without closing a connection.

        Raises OcaError if a successor does not come to serve; those that serve then go on.
        """
        for worker in self._workers:
            await worker.replace()

    async def drain(self, limit_s: float) -> None:
        """Closes the port, lets answers under way finish within the limit, and ends."""
        await asyncio.gather(*(worker.drain(limit_s) for worker in self._workers))

    async def close(self) -> None:
        for worker in self._workers:
            await worker.close()

    def serves(self, process_id: int, byte_path: str) -> None:
        """A worker said that it accepts clients, and how it sends over TLS."""
        self.byte_path = byte_path
        for worker in self._workers:
            worker.serves(process_id)

    @property
    def process_ids(self) -> list[int]:
        return [worker.process_id for worker in self._workers]

    @property
    def restarts(self) -> int:
        """How many died and were started again."""
        return sum(worker.restarts for worker in self._workers)

    @property
    def dead(self) -> list[int]:
        """Numbers of those that do not run at this moment."""
        return [number for number, worker in enumerate(self._workers) if not worker.is_running]


class _Worker:
    """One of them: the process that serves now, and those before it that still finish answers."""

    def __init__(
        self, number: int, listeners: tuple[socket.socket, ...], settings: Callable[[int], WorkerSettings]
    ) -> None:
        self._number, self._listeners, self._settings = number, listeners, settings
        self._process: asyncio.subprocess.Process | None = None
        self._leaving: set[asyncio.subprocess.Process] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: dict[int, asyncio.Event] = {}
        self._ends = False
        self._may_map = True
        self.restarts = 0

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        self._process = await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "oca.worker",
            pass_fds=[listener.fileno() for listener in self._listeners],
            stdin=subprocess.PIPE,
        )
        assert process.stdin is not None
        # Not on the command line, which every user of the machine can read: secrets of TLS and tokens are among them.
        settings = self._settings(self._number)
        if not self._may_map:
            settings = msgspec.structs.replace(settings, byte_path="read")
        process.stdin.write(msgspec.json.encode(settings))
        process.stdin.close()
        self._serving[process.pid] = asyncio.Event()
        self._spawn_task(self._watch(process))
        return process

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self._serving.pop(process.pid, None)
        self._leaving.discard(process)
        if process is self._process and not self._ends:
            await self._restart(process, code)

    async def _restart(self, process: asyncio.subprocess.Process, code: int) -> None:
        """Starts another in the place of one that died, unless somebody else has taken its place meanwhile."""
        logger.error("a worker ended and is started again", extra={"worker": self._number, "code": code})
        if code == -signal.SIGBUS:  # a page of a mapped file could not be read: from now on files are read
            self._may_map = False
        self.restarts += 1
        while True:
            await asyncio.sleep(_RESTART_AFTER_S)
            if process is not self._process or self._ends:
                return
            try:
                new = await self._spawn()
                if process is not self._process or self._ends:  # a successor came to serve meanwhile
                    new.kill()
                else:
                    self._process = new
                return
            except OSError as error:  # no memory, no descriptors
                logger.error("a worker cannot be started", extra={"worker": self._number, "why": str(error)})

    def serves(self, process_id: int) -> None:
        if process_id in self._serving:
            self._serving[process_id].set()

    async def replace(self) -> None:
        if self._ends:
            raise OcaError(f"worker {self._number} ends, it gets no successor")
        new = await self._spawn()
        serving, ended = asyncio.create_task(self._serving[new.pid].wait()), asyncio.create_task(new.wait())
        await asyncio.wait([serving, ended], timeout=_START_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        serves = serving.done()
        serving.cancel()
        ended.cancel()
        if not serves or self._ends:  # or the drain began meanwhile, and does not know of it
            if new.returncode is None:
                new.kill()
            raise OcaError(f"the successor of worker {self._number} did not come to serve, the old one goes on")
        # `old` is whoever serves now: one may have been started again meanwhile.
        old, self._process = self._process, new
        if new.returncode is not None:  # it served, and died before this line
            self._spawn_task(self._restart(new, new.returncode))
        if old is not None and old.returncode is None:
            self._leaving.add(old)
            old.send_signal(signal.SIGUSR1)

    async def drain(self, limit_s: float) -> None:
        self._ends = True
        processes = [process for process in (self._process, *self._leaving) if process and process.returncode is None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        # Not accepting is not enough: the kernel would go on shaking hands with clients whom nobody will answer.
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
        try:
            await asyncio.wait_for(asyncio.gather(*(process.wait() for process in processes)), limit_s)
        except TimeoutError:
            logger.warning("downloads were cut at the end of the drain", extra={"worker": self._number})

    async def close(self) -> None:
        self._ends = True
        for process in (self._process, *self._leaving):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Workload:
    """What the workers did in sum, and the bits a second of about the last two seconds."""

    WINDOW_S = 2.0

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self._history: list[tuple[float, int]] = []

    def count(self, before: messages.Load | None, now: messages.Load) -> None:
        for name in _COUNTERS:
            self.total[name] += getattr(now, name) - (getattr(before, name) if before is not None else 0)
        at = time.monotonic()
        self._history.append((at, self.total["bytes_sent"]))
        while len(self._history) > 2 and self._history[1][0] < at - self.WINDOW_S:
            self._history.pop(0)

    def forget(self, last: messages.Load | None) -> None:
        """A worker is gone: so are its clients; what it did stays done."""
        for name in ("connections", "most_connections", "nominal_bps") if last is not None else ():
            self.total[name] -= getattr(last, name)

    def bits_per_second(self) -> int:
        """What was sent of late."""
        if len(self._history) < 2:
            return 0
        (start, first), (_, last) = self._history[0], self._history[-1]
        return int((last - first) * 8 / max(time.monotonic() - start, 0.1))

    def serving_bps(self, capacity_bps: int) -> int:
        """What a report says is taken of the capacity, whatever it is that runs short.

        That is the largest of: bits sent of late, bits that those who watch may ask for at any moment, and the share of
        the connections there may be.
        """
        connections, most = self.total["connections"], self.total["most_connections"]
        by_connections = capacity_bps * connections // most if most else 0
        return max(self.bits_per_second(), self.total["nominal_bps"], by_connections)


def listen(address: tuple[str, int], count: int) -> list[socket.socket]:
    """One listening socket for each worker, all on one port (SO_REUSEPORT spreads connections over them).

    Raises OcaError if the address is taken. SO_REUSEPORT alone would share it silently, so a plain bind tries first.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sockets: list[socket.socket] = []
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen(1)
            bound = trial.getsockname()[:2]
        for _ in range(count):
            listener = socket.socket(family)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(bound)
            listener.listen(_BACKLOG)
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise OcaError(f"cannot listen on {show_address(address)}: {error.strerror}") from error
    return sockets
