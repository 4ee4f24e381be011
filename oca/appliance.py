"""The parent of one appliance: owns the volume, the fetcher, the workers, the reports and the signals.

    workers --Need--> fetcher --blocks--> volume          agent --Fill, Drop--> fetcher
    every `report_every`: volume + workers' counters -> Report -> steering

Serving goes on without steering, without the origin and without the agent. The order of start is lock, sockets,
workers, first report; the order of the end is report (draining), workers, fetcher, lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec

from config.errors import NearcastError
from config.field import show_address
from config.oca import OcaSettings
from encoder.package import MANIFEST_NAME
from oca import messages, report
from oca.errors import MessageError, NameInUse, OcaError
from oca.messages import Message
from oca.miss.fetcher import Fetcher, sources_of
from oca.miss.upstream import Source, Upstreams
from oca.report import Answer, Report
from oca.store.scrub import scrub
from oca.store.volume import FileKey, Volume, lock
from oca.worker import WorkerSettings

logger = logging.getLogger(__name__)

SOCKET_NAME = "appliance.sock"
ACCESS_LOG_NAME = "access.log"
# sockaddr_un.sun_path holds 108 bytes with the closing zero (unix(7)).
_LONGEST_SOCKET_PATH = 107
# A worker that dies is started again at once, but not more often than this: something is wrong with all of them then.
_RESTART_AFTER_S = 0.5
_BACKLOG = 1024
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})


class Appliance:
    def __init__(self, settings: OcaSettings) -> None:
        self.settings = settings
        self.instance = uuid.uuid4().hex
        self.problems: dict[str, str] = {}  # subject -> sentence; empty means healthy
        self.state: Literal["serving", "draining"] = "serving"
        self.volume = Volume(settings.volume, settings.disk, self._gone)
        self.workers: list[Worker] = []
        self.unsteered = ""  # why steering did not take the last report
        self.worker_restarts = 0
        self.ended = asyncio.Event()
        self.failure: NearcastError | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []
        self._sequence = 0
        self._known_held = ""
        self._lock = -1
        self._report_now = asyncio.Event()
        self.load = Workload()
        self.listening = settings.listen

    # Lifecycle

    async def start(self) -> None:
        """Raises OcaError where volume, address or local socket are not to be had."""
        settings = self.settings
        if settings.steering and not settings.url and settings.listen[0] in _WILDCARDS:
            raise OcaError(f"url: found nothing, expected how players reach {show_address(settings.listen)}")
        settings.state.mkdir(parents=True, exist_ok=True)
        self._lock = lock(settings.state)
        self.volume.start()
        # No limit of connections: a bounded pool would make one silent upstream hold up all the others.
        self._session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        # Half the limit: one upstream may fail and another answer before a player's answer has to be cut.
        self.upstreams = Upstreams(self._session, settings.stall_limit / 2)
        self.fetcher = Fetcher(self.volume, self.upstreams, sources_of(settings.peers, settings.origin))
        self._listeners = listen(settings.listen, settings.workers or os.cpu_count() or 1)
        host, port = self._listeners[0].getsockname()[:2]
        self.listening = (host, port)
        await self._listen_locally()
        for number, listener in enumerate(self._listeners):
            worker = Worker(self, number, listener)
            self.workers.append(worker)
            await worker.start()
            self._spawn(worker.watch())
        if settings.steering:
            self._spawn(self._report_forever())
        logger.info("serving", extra={"appliance": settings.name, "url": self.url})

    async def drain(self) -> None:
        """Tells steering, closes the port, lets downloads under way finish within the limit, and ends."""
        self.state = "draining"
        try:
            await self._report_once()
            await asyncio.gather(*(worker.drain(self.settings.drain_limit) for worker in self.workers))
        finally:
            self.ended.set()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            await worker.close()
        for listener in self._listeners:
            listener.close()
        if hasattr(self, "_server"):
            self._server.close()
        for writer in list(self._links):
            writer.close()
        if hasattr(self, "fetcher"):
            await self.fetcher.close()
            await self._session.close()
        self.volume.close()
        if self._lock >= 0:
            os.close(self._lock)
        logger.info("ended", extra={"appliance": self.settings.name})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        _log_failure(task)

    @property
    def url(self) -> str:
        return (self.settings.url or f"http://{show_address(self.listening)}").rstrip("/")

    # The local socket

    async def _listen_locally(self) -> None:
        path = self.settings.state / SOCKET_NAME
        if len(str(path).encode()) > _LONGEST_SOCKET_PATH:
            raise OcaError(f"{path} is too long for a local socket, expected at most {_LONGEST_SOCKET_PATH} bytes")
        path.unlink(missing_ok=True)  # ours: the lock of the state directory says that no other appliance is alive
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve_link, str(path))
        finally:
            os.umask(before)

    async def _serve_link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One worker, agent or operator. What it asked for ends when it goes."""
        self._links.add(writer)
        under_way: dict[int, asyncio.Task[None]] = {}
        counters = messages.Load(0, 0, 0, 0, 0)

        def say(message: Message) -> None:
            if not writer.is_closing():
                writer.write(messages.frame(message))

        try:
            while True:
                message = await messages.read(reader)
                if isinstance(message, messages.Load):
                    self.load.count(counters, message)
                    counters = message
                elif isinstance(message, messages.Forget):
                    if task := under_way.pop(message.id, None):
                        task.cancel()
                else:
                    task = asyncio.ensure_future(self._answer(message, say))
                    id = getattr(message, "id", 0)
                    under_way[id] = task
                    task.add_done_callback(partial(_end, under_way, id))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except MessageError as error:
            logger.error("nonsense on the local socket", extra={"why": str(error)})
        finally:
            self._links.discard(writer)
            self.load.forget(counters)
            for task in under_way.values():
                task.cancel()
            writer.close()

    async def _answer(self, message: Message, say: Callable[[Message], None]) -> None:
        id = getattr(message, "id", 0)
        try:
            if isinstance(message, messages.Need):
                await self._need(message, say)
            elif isinstance(message, messages.Fill):
                key = FileKey(message.title, message.package, message.file)
                origin = self.settings.origin.rstrip("/")
                sources = [Source(url.rstrip("/"), cached_only=url.rstrip("/") != origin) for url in message.sources]
                await self.fetcher.fill(key, sources, lambda done, size: say(messages.Moved(id, done, size)))
                self._report_now.set()
                say(messages.Done(id))
            elif isinstance(message, messages.Drop):
                await self.fetcher.drop(FileKey(message.title, message.package, message.file))
                self._report_now.set()
                say(messages.Done(id))
            elif isinstance(message, messages.Ask):
                say(messages.Told(id, await self._ask(message.what)))
        except NearcastError as error:
            say(messages.Failed(id, error.status, str(error)))
        except OSError as error:
            if "volume" not in self.problems:
                logger.error("the volume failed", extra={"why": str(error)})
            self.problems["volume"] = f"the volume failed: {error.strerror}"
            say(messages.Failed(id, 503, "the appliance's volume failed"))
        except Exception:
            say(messages.Failed(id, 500, "the appliance failed"))
            raise
        else:
            if isinstance(message, messages.Need | messages.Fill):
                self.problems.pop("volume", None)

    async def _need(self, need: messages.Need, say: Callable[[Message], None]) -> None:
        if need.file == MANIFEST_NAME or need.cached_only:
            await self.fetcher.index(need.title, need.package, None, cached_only=need.cached_only)
        if need.file == MANIFEST_NAME:
            say(messages.Done(need.id))
            return
        key = FileKey(need.title, need.package, need.file)
        if need.cached_only and not self.volume.holds(key):
            raise OcaError(f"{need.file} of {need.title} is not held here", status=504)
        await self.fetcher.watch(
            key,
            need.first,
            need.end,
            lambda path, inode: say(messages.Located(need.id, str(path), inode)),
            lambda upto: say(messages.Landed(need.id, upto)),
        )

    async def _ask(self, what: str) -> dict[str, Any]:
        if what == "scrub":
            return msgspec.to_builtins(await scrub(self.volume, self.fetcher.drop))  # type: ignore[no-any-return]
        if what in ("drain", "resume"):
            self.state = "draining" if what == "drain" else "serving"
            self._report_now.set()
        return {**msgspec.to_builtins(self.report(with_held=True)), "workers": [w.process_id for w in self.workers]}

    def _gone(self, path: Path) -> None:
        for writer in self._links:
            writer.write(messages.frame(messages.Gone(str(path))))

    # Reports

    def report(self, *, with_held: bool) -> Report:
        held = self.volume.held()
        version = report.held_version(held)
        return Report(
            format=report.FORMAT,
            name=self.settings.name,
            instance=self.instance,
            sequence=self._sequence,
            site=self.settings.site,
            url=self.url,
            state=self.state,
            problems=tuple(self.problems.values()),
            capacity_bps=self.settings.capacity,
            serving_bps=self.load.bits_per_second(),
            connections=self.load.connections,
            disk_bytes=self.volume.size_bytes,
            disk_used_bytes=self.volume.used_bytes,
            held_version=version,
            held=held if with_held or version != self._known_held else None,
        )

    async def _report_forever(self) -> None:
        while True:
            await self._report_once()
            try:
                await asyncio.wait_for(self._report_now.wait(), self.settings.report_every)
                self._report_now.clear()
            except TimeoutError:
                pass

    async def _report_once(self) -> None:
        """Tells steering; steering away is steering's trouble, and ours only as a line in the log and the metrics."""
        if not self.settings.steering:
            return
        self._sequence += 1
        url = self.settings.steering.rstrip("/") + "/api/v1/reports"
        timeout = aiohttp.ClientTimeout(total=self.settings.report_every * 2)
        try:
            body = msgspec.json.encode(self.report(with_held=False))
            async with self._session.post(
                url, data=body, headers={"Content-Type": "application/json"}, timeout=timeout
            ) as answer:
                if answer.status == 409:
                    raise NameInUse(f"steering knows another living appliance named {self.settings.name!r}")
                answer.raise_for_status()
                self._known_held = msgspec.json.decode(await answer.read(), type=Answer).held_version
        except NameInUse as error:
            self.failure = error
            self.ended.set()
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            if not self.unsteered:  # once, not every two seconds
                logger.warning(
                    "steering takes no reports", extra={"url": url, "why": str(error) or type(error).__name__}
                )
            self.unsteered = str(error) or type(error).__name__
            self._known_held = ""
        else:
            self.unsteered = ""


class Worker:
    """One delivery process, started again when it dies. Its listening socket stays open here, so none is lost then."""

    def __init__(self, appliance: Appliance, number: int, listener: socket.socket) -> None:
        self._appliance, self._number, self._listener = appliance, number, listener
        self._process: asyncio.subprocess.Process | None = None
        self._ends = False

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        settings = self._appliance.settings
        told = WorkerSettings(
            appliance=settings.name,
            number=self._number,
            listen_fd=self._listener.fileno(),
            socket=str(settings.state / SOCKET_NAME),
            volume=str(settings.volume),
            access_log=str(settings.state / ACCESS_LOG_NAME),
            stall_limit_s=settings.stall_limit,
            idle_limit_s=settings.idle_limit,
            log_level=logging.getLevelName(logging.getLogger().getEffectiveLevel()),
        )
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "oca.worker",
            msgspec.json.encode(told).decode(),
            pass_fds=(self._listener.fileno(),),
            stdin=subprocess.DEVNULL,
        )

    async def watch(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if self._ends:
                return
            logger.error("a worker ended and is started again", extra={"worker": self._number, "code": code})
            self._appliance.worker_restarts += 1
            await asyncio.sleep(_RESTART_AFTER_S)
            try:
                await self.start()
            except OSError as error:  # no memory, no descriptors: the old process object still says "ended"
                logger.error("a worker cannot be started", extra={"worker": self._number, "why": str(error)})

    async def drain(self, limit_s: float) -> None:
        self._ends = True
        if self._process is None or not self.is_running:
            return
        self._process.send_signal(signal.SIGTERM)
        # Not accepting is not enough: the kernel would go on shaking hands with clients whom nobody will answer.
        self._listener.shutdown(socket.SHUT_RDWR)
        try:
            await asyncio.wait_for(self._process.wait(), limit_s)
        except TimeoutError:
            logger.warning("downloads were cut at the end of the drain", extra={"worker": self._number})

    async def close(self) -> None:
        self._ends = True
        if self._process is not None and self.is_running:
            self._process.kill()
            await self._process.wait()


class Workload:
    """Workers' counters summed up, and the bits a second of about the last two seconds."""

    WINDOW_S = 2.0

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0
        self.bytes_sent = 0
        self.bytes_missed = 0
        self.errors = 0
        self._history: list[tuple[float, int]] = []

    def count(self, before: messages.Load, now: messages.Load) -> None:
        self.connections += now.connections - before.connections
        self.requests += now.requests - before.requests
        self.bytes_sent += now.bytes_sent - before.bytes_sent
        self.bytes_missed += now.bytes_missed - before.bytes_missed
        self.errors += now.errors - before.errors
        at = time.monotonic()
        self._history.append((at, self.bytes_sent))
        while len(self._history) > 2 and self._history[1][0] < at - self.WINDOW_S:
            self._history.pop(0)

    def forget(self, last: messages.Load) -> None:
        """A worker is gone: its connections are, its bytes were sent."""
        self.connections -= last.connections

    def bits_per_second(self) -> int:
        if len(self._history) < 2:
            return 0
        (start, first), (_, last) = self._history[0], self._history[-1]
        return int((last - first) * 8 / max(time.monotonic() - start, 0.1))


def _end(under_way: dict[int, asyncio.Task[None]], id: int, task: asyncio.Task[None]) -> None:
    """An answer is complete."""
    under_way.pop(id, None)
    _log_failure(task)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Our own failure must be seen: nobody awaits these tasks."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the appliance failed at something", exc_info=error)


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
