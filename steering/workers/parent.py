"""Several steering processes on one port, and their parent, which starts them, tells them what changes, and ends them.

Each worker is a replica: they share the database and the prefix table's file, nothing else. A worker listens on a
socket of its own, from when it is ready until it dies, and the kernel spreads connections over those that listen. So a
worker that is killed costs others nothing, and nobody waits in the queue of one that starts. The parent holds the
address, with a socket that does not listen.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable

import msgspec

from config.errors import ConfigError
from config.field import show_address
from config.steering import SteeringSettings
from steering.errors import ListenError, WorkerError, WorkerSettingsError
from steering.workers.worker import Change, Failed, Refused, Serving, Start, Taken, bind, encode_line

# One that dies is started again at once, but if it dies again and again, ever later: something is wrong with it.
_RESTART_AFTER_S, _RESTART_AFTER_AT_MOST_S = 0.5, 16.0
# One that lived for so long died of something else than the one before.
_SOUND_AFTER_S = 60.0
# To read a million prefixes takes ten seconds on a busy machine; one that takes this long hangs.
_CHANGE_LIMIT_S = 60.0
# Everything that a worker does at its end is bounded; one that is not through by then hangs.
_END_LIMIT_S = 10.0
_COMMAND = (sys.executable, "-m", "steering.workers.worker")
_LARGEST_LINE = 2**20
# What `Service.reload` takes over. A worker that is started again has to know all else as its siblings do.
_RELOADED = (
    "sites", "default_site", "routes", "geo", "trusted_proxies", "token_keys", "token_life", "token_issuer",
    "token_audience",
)  # fmt: skip

logger = logging.getLogger(__name__)


class Workers:
    def __init__(self, settings: SteeringSettings) -> None:
        # What one signs, all must read: players come to any of them.
        self._settings = dataclasses.replace(settings, session_key=settings.session_key or secrets.token_hex(32))
        count = settings.workers or os.cpu_count() or 1
        self._workers = [_Worker(number, self._order) for number in range(count)]
        self._folder = tempfile.TemporaryDirectory(prefix="nearcast-steering-")
        self._address: socket.socket | None = None

    async def start(self) -> tuple[str, int]:
        """Returns where they listen, once all do. Raises ListenError, and WorkerError with what the first one said."""
        self._address = _reserve(self._settings.listen)
        first, *others = self._workers
        await first.start()  # what is wrong with the settings is said once
        await asyncio.gather(*(worker.start() for worker in others))
        return self._where

    async def reload(self, read: Callable[[], SteeringSettings]) -> None:
        """Has a valid configuration taken over by all; the old one stays with all otherwise."""
        try:
            settings = read()
        except ConfigError as error:
            self._refuse(str(error))
            return
        old = self._settings
        taken = {name: getattr(settings, name) for name in _RELOADED}
        self._settings = dataclasses.replace(old, **taken)
        # One after another: what the first does not take is not for the others either.
        for number, worker in enumerate(self._workers):
            if refusal := await worker.change(self._settings):
                self._settings = old
                self._refuse(refusal)
                for other in self._workers[:number]:  # a file changed meanwhile
                    await other.change(old)
                return

    async def close(self) -> None:
        await asyncio.gather(*(worker.close() for worker in self._workers))
        if self._address is not None:
            self._address.close()
        self._folder.cleanup()

    @property
    def process_ids(self) -> list[int]:
        return [worker.process_id for worker in self._workers]

    @property
    def _where(self) -> tuple[str, int]:
        assert self._address is not None
        host, port = self._address.getsockname()[:2]
        return host, port

    def _order(self, number: int) -> Start:
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel())
        return Start(self._settings, number, len(self._workers), self._where, self._folder.name, level)

    def _refuse(self, reason: str) -> None:
        logger.error("the configuration is not taken over, the old one stays", extra={"reason": reason})
        for worker in self._workers:
            worker.tell(Refused())


class _Worker:
    """One of them: the process that serves now."""

    def __init__(self, number: int, order: Callable[[int], Start]) -> None:
        self._number, self._order = number, order
        self._process: asyncio.subprocess.Process | None = None
        self._first_word: asyncio.Future[Serving | Failed] | None = None
        self._answer: asyncio.Future[Taken] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_silent = False  # it says nothing any more
        self._ends = False

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Raises WorkerError if it does not come to serve."""
        try:
            process = await self._spawn()
        except OSError as error:
            why = error.strerror or str(error)
            raise WorkerError(f"worker {self._number} cannot be started: {why}") from error
        self._watching = asyncio.create_task(self._watch(process))
        assert self._first_word is not None
        word = await self._first_word
        if isinstance(word, Failed):
            self._ends = True
            raise (WorkerSettingsError if word.exit_code == WorkerSettingsError.exit_code else WorkerError)(word.reason)

    async def change(self, settings: SteeringSettings) -> str:
        """Tells it; why it does not take it over, or nothing. One that is being started gets it with the start."""
        self._answer = asyncio.get_running_loop().create_future()
        process = self._process
        if process is None or not self.tell(Change(settings)):
            return ""
        try:
            async with asyncio.timeout(_CHANGE_LIMIT_S):
                return (await self._answer).refusal
        except TimeoutError:
            logger.error("a worker hangs and is killed", extra={"worker": self._number})
            process.kill()
            return ""

    def tell(self, message: Change | Refused) -> bool:
        """Whether there is somebody to hear it."""
        process = self._process
        if process is None or process.stdin is None or self._is_silent:
            return False
        process.stdin.write(encode_line(message))
        return True

    async def close(self) -> None:
        self._ends = True
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_LIMIT_S)
            except TimeoutError:
                logger.warning("a worker did not end and was killed", extra={"worker": self._number})
                process.kill()
                await process.wait()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _spawn(self) -> asyncio.subprocess.Process:
        """Raises OSError: no memory, no descriptors."""
        self._first_word = asyncio.get_running_loop().create_future()
        self._is_silent = False
        process = self._process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=_LARGEST_LINE,
        )
        assert process.stdin is not None
        # Not on the command line, which every user of the machine can read: the key of sessions is among them.
        process.stdin.write(encode_line(self._order(self._number)))
        return process

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Hears what it says until it ends, and starts another, for ever."""
        clock, pause_s = asyncio.get_running_loop().time, _RESTART_AFTER_S
        while True:
            started_at = clock()
            reason = await self._listen(process)
            code = await process.wait()
            if self._ends:
                return
            if clock() - started_at >= _SOUND_AFTER_S:
                pause_s = _RESTART_AFTER_S
            facts = {"worker": self._number, "code": code, "reason": reason, "again_in_s": pause_s}
            logger.error("a worker ended and is started again", extra=facts)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RESTART_AFTER_AT_MOST_S)
            while True:
                try:
                    process = await self._spawn()
                    break
                except OSError as error:
                    logger.error("a worker cannot be started", extra={"worker": self._number, "why": str(error)})
                    await asyncio.sleep(_RESTART_AFTER_AT_MOST_S)

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Until it says nothing more: why it did not come to serve, or nothing."""
        assert process.stdout is not None and self._first_word is not None
        first = self._first_word
        while (word := await _hear(process.stdout)) is not None:
            if isinstance(word, Taken):
                self._settle(word)
            elif not first.done():
                first.set_result(word)
        self._is_silent = True
        self._settle(Taken())  # its successor gets the change with its start
        if not first.done():
            first.set_result(Failed(f"worker {self._number} ended before it served", 1))
        word = first.result()
        return word.reason if isinstance(word, Failed) else ""

    def _settle(self, answer: Taken) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


async def _hear(said: asyncio.StreamReader) -> Serving | Taken | Failed | None:
    """The next that a worker says; None at its end."""
    while True:
        try:
            line = await said.readline()
            return msgspec.json.decode(line, type=Serving | Taken | Failed) if line else None
        except (ValueError, msgspec.DecodeError) as error:  # a library may print there, too, or without an end
            logger.warning("what a worker says cannot be read", extra={"reason": str(error)})


def _reserve(address: tuple[str, int]) -> socket.socket:
    """A socket that keeps the address for the workers. Raises ListenError."""
    try:
        # SO_REUSEPORT alone would share an address silently that somebody else has, so a plain bind tries first.
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen(1)
            bound = trial.getsockname()[:2]
        return bind(bound)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError(f"listen: {show_address(address)} cannot be used: {reason}") from error
