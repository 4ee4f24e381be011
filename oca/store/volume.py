"""One volume: a directory of content, the threads that work on it, and whether it is well.

    {title}/{package}/package.json      stored first; its digest is the package's name
    {title}/{package}/{file}...         see oca.store.blocks
    .lock .nearcast-*                   ours, and no content

Whatever touches the disk goes through `run`, in threads of this volume's own: a disk that hangs holds up nobody who
waits for another one. The event loop only ever waits for outcomes, and stops waiting when the volume is taken out.
A volume is taken out when an error says that it is the disk that failed, not a file (EROFS, ENODEV, EIO on a write...),
when a probe fails or does not come back, or when too many blocks cannot be read.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from oca.errors import VolumeFailed, VolumeInUse
from oca.store import health
from oca.store.health import Identity
from oca.store.inventory import FileKey

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_LOCK_NAME = ".lock"
# Enough to keep a disk's queue busy with reads, writes and digests; more would only wait for each other.
_THREADS = 8
# Errors that are the volume's and not one file's: unmounted or lost (ENODEV, ENXIO, ESTALE, ENOTCONN, ESHUTDOWN), its
# file system gave up (EROFS, EUCLEAN), or a write or a name could not be had from the disk (EIO, EREMOTEIO, ETIMEDOUT).
_FATAL = frozenset(
    {
        errno.EIO, errno.EREMOTEIO, errno.ETIMEDOUT, errno.EROFS, errno.EUCLEAN, errno.ENODEV, errno.ENXIO,
        errno.ESTALE, errno.ENOTCONN, errno.ESHUTDOWN,
    }
)  # fmt: skip
# One lost sector is repaired in place. A disk that has lost this many since the start loses more each minute.
_MOST_UNREADABLE = 16
# Blocks received in threads at once, and of those in threads that yield to players: two fills at once, and as many
# again. What is beyond comes through the event loop.
_RECEIVING = 24
_YIELDING = 8
# A volume that is filled to the last byte slows down and cannot even log; keep this much of it free.
_HEADROOM_BYTES = 64 * 1024 * 1024
_LAST = 19
_PROBE_LIMIT_S = 10.0
# How old the number of free bytes may be when something new is placed.
_FREE_FOR_S = 1.0


class Volume:
    """`failure` is a sentence while it is taken out, and empty while it is well; `failed` hears of it once.

    `limit_bytes` is what it may hold; 0 means what the file system has.
    """

    def __init__(self, number: int, root: Path, limit_bytes: int, failed: Callable[[Volume], None]) -> None:
        self.number, self.root = number, root
        self.failure = "it was not started yet"
        self.identity: Identity | None = None
        self.free_bytes = 0
        # Blocks found right in this run, by file that was touched, with the inode that they were found in.
        self.right: dict[FileKey, tuple[int, bytearray]] = {}
        self._limit_bytes = limit_bytes
        self._failed = failed
        self._measured_at = -_FREE_FOR_S
        self._new_threads()
        self._probing: asyncio.Future[int] | None = None
        self._waiting: set[asyncio.Future[Any]] = set()
        self._unreadable = 0
        self._lock_fd = -1

    @property
    def is_well(self) -> bool:
        return not self.failure

    async def open(self, remembered: Identity | None) -> None:
        """Takes the lock and finds out which volume it is. Raises VolumeInUse, VolumeFailed."""
        opening = self._outcome(self._threads, _open, self.root, remembered)
        try:
            self._lock_fd, self.identity, free_bytes = await asyncio.wait_for(opening, _PROBE_LIMIT_S)
        except (OSError, VolumeFailed) as error:  # TimeoutError is an OSError
            self.failure = _reason(error)
            raise VolumeFailed(f"volume {self.root} cannot be used: {self.failure}") from error
        self._note_free(free_bytes)
        self.failure = ""
        self._unreadable = 0

    async def close(self) -> None:
        if self.is_well:
            for threads in (self._threads, self._last_threads, self._receivers.threads, self._yielders.threads):
                await asyncio.to_thread(threads.shutdown)  # what is under way ends before the lock does
        self.failure = self.failure or "it was closed"
        self._end_threads()
        self._unlock()

    def _new_threads(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, f"volume-{self.number}")
        self._last_threads = ThreadPoolExecutor(1, f"scrub-{self.number}", initializer=_be_last)
        self._receivers = _Receivers(_RECEIVING, f"receive-{self.number}")
        self._yielders = _Receivers(_YIELDING, f"yield-{self.number}", _be_idle)

    def _end_threads(self) -> None:
        """Those that hang are left to hang."""
        for threads in (self._threads, self._last_threads, self._receivers.threads, self._yielders.threads):
            threads.shutdown(wait=False, cancel_futures=True)

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            with suppress(OSError):
                os.close(self._lock_fd)
            self._lock_fd = -1

    # Work

    async def run(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """What `work` gives, from a thread. Raises what it raises, VolumeFailed if that was the volume's fault.

        Cancelled, or when the volume is taken out, it returns at once, and the thread may still be at work.
        """
        return await self._run(self._threads, work, *arguments)

    async def run_last(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """The same for what can wait: one at a time, behind everybody else in the queues of processor and disk."""
        return await self._run(self._last_threads, work, *arguments)

    def can_receive(self, *, yields: bool) -> bool:
        """Whether a thread is free to receive a block."""
        return bool((self._yielders if yields else self._receivers).free)

    async def receive(self, work: Callable[[], None], *, yields: bool) -> None:
        """Runs what receives a block, in a thread for such: it waits for an upstream, and nobody may wait for it.

        Its OSErrors are a network's, and raised as they are; `judge` is for those of the disk. A thread that yields
        runs when nobody else wants the processor.
        """
        if self.failure:
            raise VolumeFailed(f"volume {self.root} was taken out: {self.failure}")
        receivers = self._yielders if yields else self._receivers
        receivers.free -= 1
        try:
            await self._outcome(receivers.threads, work)
        finally:
            receivers.free += 1

    def judge(self, error: OSError) -> Exception:
        """What an error of the disk, met while receiving, means: VolumeFailed, and the volume is taken out, or that."""
        if error.errno not in _FATAL:
            return error
        self.fail(_reason(error))
        return VolumeFailed(f"volume {self.root} failed: {_reason(error)}")

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[..., _Result], *arguments: Any) -> _Result:
        if self.failure:
            raise VolumeFailed(f"volume {self.root} was taken out: {self.failure}")
        try:
            return await self._outcome(threads, work, *arguments)
        except OSError as error:
            if error.errno in _FATAL:
                self.fail(_reason(error))
                raise VolumeFailed(f"volume {self.root} failed: {_reason(error)}") from error
            raise

    def _outcome(
        self, threads: ThreadPoolExecutor, work: Callable[..., _Result], *arguments: Any
    ) -> asyncio.Future[_Result]:
        # Not loop.run_in_executor: its future belongs to the thread, and could not be ended before the thread does.
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_Result] = loop.create_future()
        self._waiting.add(outcome)
        outcome.add_done_callback(self._waiting.discard)

        def settle(result: _Result | None, error: BaseException | None) -> None:
            if outcome.done():
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)  # type: ignore[arg-type]

        def carry_out() -> None:
            result, failure = None, None
            try:
                result = work(*arguments)
            except BaseException as error:
                failure = error
            with suppress(RuntimeError):  # the loop was closed before a disk that hung came back
                loop.call_soon_threadsafe(settle, result, failure)

        threads.submit(carry_out)
        return outcome

    # Health

    def fail(self, why: str) -> None:
        """Takes the volume out: whoever waits for it hears at once, and nothing new is begun."""
        if self.failure:
            return
        self.failure = why
        logger.error("a volume failed and was taken out", extra={"volume": str(self.root), "why": why})
        self._forsake(why)
        self._unlock()  # so that it can be unmounted
        self._failed(self)

    def _forsake(self, why: str) -> None:
        for outcome in list(self._waiting):
            if not outcome.done():
                outcome.set_exception(VolumeFailed(f"volume {self.root} failed: {why}"))
                outcome.exception()  # whoever waited may have gone meanwhile
        self._end_threads()
        self._new_threads()  # for a volume that comes back

    def unreadable(self) -> None:
        """A block could not be read."""
        self._unreadable += 1
        if self._unreadable > _MOST_UNREADABLE:
            self.fail(f"{self._unreadable} blocks cannot be read")

    async def probe(self) -> bool:
        """Looks whether the volume is well; one that is not any more is taken out. True if it could be used."""
        try:
            await self._probe()
        except (OSError, VolumeFailed) as error:  # TimeoutError is an OSError
            self.fail(_reason(error))
            return False
        return True

    async def _probe(self) -> None:
        if self._probing is None or self._probing.done():
            self._probing = self._outcome(self._threads, health.probe, self.root, self.identity)
        done, _ = await asyncio.wait([self._probing], timeout=_PROBE_LIMIT_S)
        if not done:
            raise TimeoutError(f"it has not answered for {_PROBE_LIMIT_S:.0f} s")
        self._note_free(self._probing.result())

    # Room

    async def measure(self) -> None:
        """Brings `free_bytes` up to date if it is not."""
        if time.monotonic() - self._measured_at > _FREE_FOR_S:
            await self.measure_now()

    async def measure_now(self) -> None:
        self._note_free(await self.run(health.free_bytes, self.root))

    def _note_free(self, free_bytes: int) -> None:
        self.free_bytes = free_bytes
        self._measured_at = time.monotonic()

    def size_bytes(self, used_bytes: int) -> int:
        """What it may hold, when it holds so much now."""
        whole = used_bytes + max(0, self.free_bytes - _HEADROOM_BYTES)
        return min(self._limit_bytes, whole) if self._limit_bytes else whole

    def room_bytes(self, used_bytes: int, unwritten_bytes: int) -> int:
        """What still fits, when it holds so much and so much of that was not written yet."""
        free = self.free_bytes - unwritten_bytes - _HEADROOM_BYTES
        return min(self._limit_bytes - used_bytes, free) if self._limit_bytes else free

    # Names

    def path(self, key: FileKey) -> Path:
        return self.root / key.title / key.package / key.file


class _Receivers:
    def __init__(self, count: int, name: str, initializer: Callable[[], None] | None = None) -> None:
        self.free = count
        self.threads = ThreadPoolExecutor(count, name, initializer=initializer)


def _be_idle() -> None:
    """Only on a processor that nobody else wants (sched(7)): a thread that serves a player takes it away at once.

    Where it is forbidden, or unknown (macOS), the niceness alone has to do.
    """
    _be_last()
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _be_last() -> None:
    """Linux has a niceness for each thread, and its disk schedulers follow it (ioprio_set(2))."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LAST)


def _open(root: Path, remembered: Identity | None) -> tuple[int, Identity, int]:
    if remembered is None:
        root.mkdir(parents=True, exist_ok=True)
    fd = lock(root)
    try:
        identity = health.identify(root, remembered)
        return fd, identity, health.probe(root, identity)
    except BaseException:
        os.close(fd)
        raise


def lock(directory: Path) -> int:
    """Takes a directory for this process; the lock goes with the descriptor that is returned. Raises VolumeInUse."""
    path = directory / _LOCK_NAME
    # Not for writing: that would keep an operator from making the file system read-only.
    fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise VolumeInUse(f"{directory} belongs to another appliance that is running (process {owner})") from error
    path.write_text(f"{os.getpid()}\n")
    return fd


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
