"""The parent of one appliance: owns the volumes, the fetcher, the workers, the reports and the signals.

    workers --Need, Suspect--> fetcher --blocks--> volumes    agent --Fill, Drop--> fetcher
    scrub, all the time: blocks --> fetcher                   fetcher, volumes --Rotten, Gone--> workers
    every `report_every`: volumes + workers' counters -> Report -> steering

Serving goes on without steering, without the origin and without the agent. The order of start is lock, sockets,
workers, first report; the order of the end is report (draining), workers, fetcher, lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import aiohttp
import msgspec

from config.errors import NearcastError
from config.field import show_address
from config.oca import OcaSettings
from oca import messages, report
from oca.credentials import Credentials, read_credentials
from oca.embargoes import Embargoes, numeric_hosts
from oca.errors import MessageError, NameInUse, OcaError, UpstreamError
from oca.experience import Experience
from oca.messages import Message
from oca.miss.fetcher import Fetcher, Pacing, sources_of
from oca.miss.pace import Pace
from oca.miss.upstream import Source, Upstreams
from oca.report import Answer, MeasuredPath, Report
from oca.store.inventory import FileKey
from oca.store.scrub import Scrub
from oca.store.volume import lock
from oca.store.volumes import Volumes
from oca.worker import WorkerSettings
from oca.workers import Workers, Workload, listen

logger = logging.getLogger(__name__)

SOCKET_NAME = "appliance.sock"
ACCESS_LOG_NAME = "access.log"
EVENT_LOG_NAME = "events.log"
SCRUB_NAME = "scrub"
# sockaddr_un.sun_path holds 108 bytes with the closing zero (unix(7)).
_LONGEST_SOCKET_PATH = 107
# Read at the start only; see `reload`.
_FIXED = ("name", "site", "state", "volume", "disk", "listen", "tls_listen", "admin", "workers")
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})


class Appliance:
    def __init__(self, settings: OcaSettings) -> None:
        self.settings = settings
        self.instance = uuid.uuid4().hex
        self.state: Literal["serving", "draining"] = "serving"
        self.volumes = Volumes(settings.volume, settings.disk, settings.state)
        self.volumes.gone.append(self._gone)
        self.workers: Workers
        self.unsteered = ""  # why steering did not take the last report
        self.ended = asyncio.Event()
        self.failure: NearcastError | None = None
        self.reload_failure = ""  # why the last reload was not taken
        self.reloaded_at = time.time()
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[tuple[socket.socket, ...]] = []  # of each worker: HTTP, and HTTPS if there is any
        self._credentials = read_credentials(settings)
        self._sequence = 0
        self._known_held = ""
        self._lock = -1
        self._report_now = asyncio.Event()
        self.load = Workload()
        self.experience = Experience()
        self.pace = Pace(time.monotonic())
        self.embargoes = Embargoes(settings.state)
        self.listening = settings.listen

    # Lifecycle

    async def start(self) -> None:
        """Raises OcaError where volume, address or local socket are not to be had."""
        settings = self.settings
        if settings.steering and not settings.url and settings.listen[0] in _WILDCARDS:
            raise OcaError(f"url: found nothing, expected how players reach {show_address(settings.listen)}")
        settings.state.mkdir(parents=True, exist_ok=True)
        self._lock = lock(settings.state)
        self.embargoes.load()
        await self.volumes.start()
        # No limit of connections: a bounded pool would make one silent upstream hold up all the others.
        self._session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        # Half the limit: one upstream may fail and another answer before a player's answer has to be cut.
        self.upstreams = Upstreams(self._session, settings.stall_limit / 2, credentials=self._peer_token)
        sources = sources_of(settings.peers, settings.origin)
        pacing = Pacing(self._fill_pace, lambda: self.pace.yields, lambda: self.pace.piece_bytes)
        self.fetcher = Fetcher(self.volumes, self.upstreams, sources, self._rotten, pacing)
        self.scrub = Scrub(
            self.volumes,
            partial(self.fetcher.table, cached_only=True),
            self.fetcher.check,
            self.fetcher.check_manifest,
            settings.scrub_rate,
            settings.state / SCRUB_NAME,
        )
        count = settings.workers or os.cpu_count() or 1
        addresses = [settings.listen, *([settings.tls_listen] if settings.tls_listen else [])]
        self._listeners = list(zip(*(listen(address, count) for address in addresses), strict=True))
        host, port = self._listeners[0][0].getsockname()[:2]
        self.listening = (host, port)
        await self._listen_locally()
        self.workers = Workers(self._listeners, self._worker_settings)
        await self.workers.start()
        for work in (self.volumes.learn_names(), self.volumes.watch_health(), self.scrub.run()):
            self._spawn(work)
        if settings.steering:
            self._spawn(self._report_forever())
        logger.info("serving", extra={"appliance": settings.name, "url": self.url})

    async def drain(self) -> None:
        """Tells steering, closes the port, lets downloads under way finish within the limit, and ends."""
        self.state = "draining"
        try:
            await self._report_once()
            await self.workers.drain(self.settings.drain_limit)
        finally:
            self.ended.set()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "workers"):
            await self.workers.close()
        for listeners in self._listeners:
            for listener in listeners:
                listener.close()
        if hasattr(self, "_server"):
            self._server.close()
        for writer in list(self._links):
            writer.close()
        if hasattr(self, "fetcher"):
            await self.fetcher.close()
            self.upstreams.close()
            await self._session.close()
        await self.volumes.close()
        if self._lock >= 0:
            os.close(self._lock)
        logger.info("ended", extra={"appliance": self.settings.name})

    async def reload(self, settings: OcaSettings) -> None:
        """Goes on with other settings, and new workers, without closing a connection. Raises OcaError.

        What decides where content, state and sockets are stays as it was until the next start.
        """
        before = self.settings, self._credentials
        kept = {name: getattr(self.settings, name) for name in _FIXED}
        changed = [name for name in _FIXED if getattr(settings, name) != kept[name]]
        self._take(replace(settings, **kept), read_credentials(settings))
        try:
            await self.workers.replace()
        except BaseException:
            self._take(*before)  # workers that are started from now on are like those that go on
            raise
        if changed:
            logger.warning("some settings change only at the next start", extra={"settings": changed})
        logger.info("reloaded", extra={"appliance": self.settings.name})

    def _take(self, settings: OcaSettings, credentials: Credentials) -> None:
        self.settings, self._credentials = settings, credentials
        self.fetcher.use(sources_of(settings.peers, settings.origin))
        self.scrub.rate = settings.scrub_rate

    def noted_reload(self, failure: str) -> None:
        """For the metrics: whether the last reload was taken, and since when."""
        self.reload_failure = failure
        if not failure:
            self.reloaded_at = time.time()

    def _fill_pace(self, count: int) -> float:
        """Called in threads that fill: a lost update would only make one piece free."""
        return self.pace.take(count, time.monotonic())

    def _peer_token(self) -> dict[str, str]:
        """What upstreams are shown besides the question."""
        token = self._credentials.peer_token
        return token.header() if token is not None else {}

    def _worker_settings(self, number: int) -> WorkerSettings:
        settings, http, *https = self.settings, *self._listeners[number]
        return WorkerSettings(
            appliance=settings.name,
            number=number,
            listen_fd=http.fileno(),
            tls_fd=https[0].fileno() if https else -1,
            socket=str(settings.state / SOCKET_NAME),
            access_log=str(settings.state / ACCESS_LOG_NAME),
            event_log=str(settings.state / EVENT_LOG_NAME),
            log_bytes=settings.log_size,
            log_keep=settings.log_keep,
            stall_limit_s=settings.stall_limit,
            idle_limit_s=settings.idle_limit,
            requests_per_connection=settings.requests_per_connection or sys.maxsize,
            connections_per_client=settings.connections_per_client,
            capacity_bps=settings.capacity // len(self._listeners),
            certificates=str(settings.certificates or ""),
            ticket_keys=self._credentials.ticket_keys,
            byte_path=None,
            token_keys=self._credentials.token_keys,
            token_issuers=settings.token_issuers,
            token_audiences=settings.token_audiences,
            embargoes=self.embargoes.now(),
            peer_addresses=numeric_hosts(settings.peers),
            log_level=logging.getLevelName(logging.getLogger().getEffectiveLevel()),
        )

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
        for package_key, until in self.embargoes.now().items():  # some may be newer than the settings of a worker
            title, _, package = package_key.partition("/")
            writer.write(messages.frame(messages.Embargo(title, package, until)))
        under_way: dict[int, asyncio.Task[None]] = {}
        counters: messages.Load | None = None

        def say(message: Message) -> None:
            if not writer.is_closing():
                writer.write(messages.frame(message))

        try:
            while True:
                message = await messages.read(reader)
                if isinstance(message, messages.Load):
                    self.load.count(counters, message)
                    counters = message
                    self.pace.observe(message.late_s, self.load.bits_per_second(), self.settings.capacity)
                elif isinstance(message, messages.Noted):
                    self.experience.add(message, time.monotonic())
                elif isinstance(message, messages.Serving):
                    self.workers.serves(message.process_id, message.byte_path)
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
                self.pace.limit_bytes_s = message.rate_bps / 8
                if await asyncio.to_thread(self.embargoes.put, key.package_key, message.not_before):
                    self._tell_all(messages.Embargo(key.title, key.package, message.not_before))
                await self.fetcher.fill(
                    key,
                    sources,
                    lambda done, size, source: say(messages.Moved(id, done, size, source)),
                    message.equals,
                )
                self._report_now.set()
                say(messages.Done(id))
            elif isinstance(message, messages.Drop):
                await self.fetcher.drop(FileKey(message.title, message.package, message.file))
                self._report_now.set()
                say(messages.Done(id))
            elif isinstance(message, messages.Suspect):
                await self.fetcher.suspect(FileKey(message.title, message.package, message.file), message.block)
            elif isinstance(message, messages.Ask):
                say(messages.Told(id, await self._ask(message.what)))
        except NearcastError as error:
            retry_after_s = error.retry_after_s if isinstance(error, UpstreamError) else 0.0
            say(messages.Failed(id, error.status, str(error), retry_after_s))
        except OSError as error:
            logger.error("a volume does not do what is asked of it", extra={"why": str(error)})
            say(messages.Failed(id, 503, "the appliance's volume failed"))
            self._spawn(self.volumes.check_health())
        except Exception:
            say(messages.Failed(id, 500, "the appliance failed"))
            raise

    async def _need(self, need: messages.Need, say: Callable[[Message], None]) -> None:
        key = FileKey(need.title, need.package, need.file)
        await self.fetcher.watch(
            key,
            need.first,
            need.end,
            lambda at: say(messages.Located(need.id, str(at.path), at.inode, bytes(at.verified), at.hit)),
            lambda upto: say(messages.Landed(need.id, upto)),
            cached_only=need.cached_only,
        )

    async def _ask(self, what: str) -> dict[str, Any]:
        if what == "scrub":
            return msgspec.to_builtins(await self.scrub.once())  # type: ignore[no-any-return]
        if what in ("drain", "resume"):
            self.state = "draining" if what == "drain" else "serving"
            self._report_now.set()
        return {
            **msgspec.to_builtins(self.report(with_held=True)),
            "workers": self.workers.process_ids,
            "volumes": [msgspec.to_builtins(volume) for volume in self.volumes.told()],
            "rotten_blocks": dict(self.fetcher.rotten_blocks),
        }

    def _gone(self, key: FileKey, why: OcaError) -> None:
        self._tell_all(messages.Gone(key.title, key.package, key.file))

    def _rotten(self, key: FileKey, block: int) -> None:
        self._tell_all(messages.Rotten(key.title, key.package, key.file, block))

    def _tell_all(self, message: Message) -> None:
        frame = messages.frame(message)
        for writer in self._links:
            writer.write(frame)

    # Reports

    @property
    def problems(self) -> tuple[str, ...]:
        """Why no player should be sent here; empty while it is healthy."""
        return () if self.volumes.is_well else tuple(self.volumes.failures)

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody should look at, while players are served all the same."""
        return tuple(self.volumes.failures) if self.volumes.is_well else ()

    def report(self, *, with_held: bool, paths: dict[str, MeasuredPath] | None = None) -> Report:
        inventory = self.volumes.inventory
        version = inventory.version
        return Report(
            format=report.FORMAT,
            name=self.settings.name,
            instance=self.instance,
            sequence=self._sequence,
            site=self.settings.site,
            url=self.url,
            state=self.state,
            problems=self.problems,
            notes=self.notes,
            capacity_bps=self.settings.capacity,
            serving_bps=self.load.serving_bps(self.settings.capacity),
            connections=self.load.total["connections"],
            disk_bytes=self.volumes.size_bytes,
            disk_used_bytes=self.volumes.used_bytes,
            held_version=version,
            held=dict(inventory.held) if with_held or version != self._known_held else None,
            players=self.experience.players(time.monotonic()),
            paths=paths or {},
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
            told = self.report(with_held=False, paths=self.experience.take_paths())
            body = await asyncio.to_thread(msgspec.json.encode, told)
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


def _end(under_way: dict[int, asyncio.Task[None]], id: int, task: asyncio.Task[None]) -> None:
    """An answer is complete."""
    under_way.pop(id, None)
    _log_failure(task)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Our own failure must be seen: nobody awaits these tasks."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the appliance failed at something", exc_info=error)
