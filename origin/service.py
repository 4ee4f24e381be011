"""The origin over HTTP: catalog and content for appliances, steering and (as their last resort) players.

Publishing happens in other processes. So the catalog is looked at again when a request finds it older than a second;
while storage cannot be reached, what was known is served on, and /readyz says so.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from config.errors import NearcastError
from config.field import show_address
from config.origin import OriginSettings
from config.ready import announce
from encoder.errors import PackageError
from encoder.package import parse_content_path
from oca.access_log import LONGEST_AGENT, AccessLog, Record, truncated
from oca.cmcd import parse_cmcd
from oca.http.answer import CORS_HEADERS, PREFLIGHT_HEADERS, Decision, decide, problem
from oca.http.conditions import not_modified
from oca.http.request import is_background
from origin.catalog import Catalog, Entry
from origin.content import Content
from origin.errors import ListenError, LogError, StorageError, UnknownTitle
from origin.openapi import Readiness, Titles, describe
from origin.storage import Storage, open_storage

# A title is visible this long after it was published, at most.
REFRESH_AFTER_S = 1.0
# A look at the catalog that takes longer goes on without the request that began it.
LONGEST_LOOK_S = 1.0
# A client that takes no byte for this long is gone, or wants to hold our memory.
STALLED_CLIENT_S = 60.0
# Blocks that appliances fill with at once: more would only make misses wait, for which players do. Whoever is refused
# asks another source, or again.
MOST_FILLS = 64
FILL_AGAIN_AFTER = "5"
# On SIGTERM, downloads under way get this long to finish.
SHUTDOWN_S = 5.0

# What the origin calls itself in its access log: the name of its pathway.
LOG_NAME = "origin"
_LOG_DAY_S = 86400.0
_LOG_EVERY_S = 1.0

_DIGEST_HEADER = "Want-Repr-Digest"

logger = logging.getLogger(__name__)


class CatalogView:
    """The catalog, at most about a second old, read by one at a time however many ask."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage, self._clock = storage, clock
        self._catalog = Catalog()
        self._looked_at = -REFRESH_AFTER_S
        self._look: asyncio.Task[None] | None = None
        self._is_known = False
        self.failure: StorageError | None = None

    async def entries(self) -> Mapping[str, Entry]:
        """Raises StorageError if the catalog could never be read."""
        if self._clock() - self._looked_at >= REFRESH_AFTER_S:
            self._look = self._look or asyncio.create_task(self._refresh())
            if not self._is_known:
                await asyncio.wait({self._look})
            elif self.failure is None:  # while storage fails nobody waits for the next failure
                await asyncio.wait({self._look}, timeout=LONGEST_LOOK_S)
        if not self._is_known and self.failure is not None:
            raise self.failure
        return self._catalog.entries

    async def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
            with suppress(asyncio.CancelledError):
                await self._look

    async def _refresh(self) -> None:
        try:
            await self._catalog.refresh(self._storage)
        except StorageError as error:
            if self.failure is None:
                logger.warning("storage cannot be used; serving what was known", extra={"reason": str(error)})
            self.failure = error
        else:
            if self.failure is not None:
                logger.info("storage can be used again")
            self.failure, self._is_known = None, True
        finally:
            self._looked_at, self._look = self._clock(), None


class OriginService:
    """Handlers of one origin; `application` is what aiohttp runs."""

    def __init__(self, storage: Storage, log: AccessLog | None = None) -> None:
        """`log` gets a line for each answer with content; it is flushed and closed with the application."""
        self._storage = storage
        self._log = log
        self._catalog = CatalogView(storage)
        self._content = Content(storage)
        self._metrics = _Metrics()
        self._fills = 0  # under way
        self.application = web.Application(middlewares=[self._answer_failures])
        self.application.add_routes(
            [
                web.get("/api/v1/titles", self._titles),
                web.get("/api/v1/titles/{title}", self._title),
                web.get("/v1/{path:.*}", self._piece),
                web.get("/t/{path:.*}", self._piece),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._show_metrics),
                web.get("/openapi.json", self._openapi),
            ]
        )
        self.application.on_response_prepare.append(self._add_headers)
        self.application.on_cleanup.append(self._close)
        if log is not None:
            self.application.cleanup_ctx.append(self._write_log)

    async def _titles(self, request: web.Request) -> web.StreamResponse:
        entries = await self._catalog.entries()
        return _conditional_json(request, msgspec.json.encode(Titles(tuple(entries.values()))))

    async def _title(self, request: web.Request) -> web.StreamResponse:
        title = request.match_info["title"]
        entry = (await self._catalog.entries()).get(title)
        if entry is None:
            raise UnknownTitle(f"the catalog has no title {title[:64]!r}")
        return _conditional_json(request, msgspec.json.encode(entry))

    async def _piece(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        entries = await self._catalog.entries()
        located = await self._content.locate(request.path, entries)
        headers = {name.lower(): value for name, value in request.headers.items()}
        decision = decide(request.method, headers, located.extent, several=False)
        if decision.status >= 400:
            return _refusal(decision)
        response = web.StreamResponse(status=decision.status, headers=dict(decision.headers))
        response.headers["Cache-Status"] = "origin; hit"
        if decision.first == decision.end:
            await response.prepare(request)
            await response.write_eof()
            left = 0
        else:
            is_fill = is_background(request.headers.get("Priority", ""))
            if is_fill and self._fills >= MOST_FILLS:
                later = {"Retry-After": FILL_AGAIN_AFTER}
                return _problem_response(503, "The origin has as many fills as it bears.", later)
            self._fills += is_fill
            try:
                left = await self._send(request, response, located.key, decision)
            finally:
                self._fills -= is_fill
        if self._log is not None:
            file = located.extent.file.name
            self._log.write(_record(request, file, decision, left, time.monotonic() - began))
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, key: str, decision: Decision) -> int:
        """Moves the bytes, and returns how many were not sent.

        Once the head is out, a failure can only be told by cutting the connection.
        """
        left = decision.end - decision.first
        async with aclosing(_pieces(self._storage, key, decision)) as pieces:
            piece = await anext(pieces)  # fails before the head is out, so that it is a 503 and not a cut
            await response.prepare(request)
            try:
                while True:
                    async with asyncio.timeout(STALLED_CLIENT_S):
                        await response.write(piece)
                    left -= len(piece)
                    self._metrics.sent_bytes.inc(len(piece))
                    if not left:
                        break
                    piece = await anext(pieces)
                await response.write_eof()
            except (ConnectionError, TimeoutError):
                _cut(request)  # the client went away, or stopped reading: both are normal
            except StorageError as error:
                self._metrics.cut_answers.inc()
                logger.warning("an answer was cut", extra={"key": key, "missing": left, "reason": str(error)})
                _cut(request)
        return left

    async def _write_log(self, application: web.Application) -> AsyncGenerator[None, None]:
        async def flush() -> None:
            while self._log is not None:
                await asyncio.sleep(_LOG_EVERY_S)
                self._log.flush()

        flushing = asyncio.create_task(flush())
        yield
        flushing.cancel()
        with suppress(asyncio.CancelledError):
            await flushing
        if self._log is not None:
            self._log.close()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        with suppress(StorageError):
            await self._catalog.entries()
        problems = ("storage cannot be used",) if self._catalog.failure else ()
        body = msgspec.json.encode(Readiness(not problems, problems))
        return web.Response(status=503 if problems else 200, body=body, content_type="application/json")

    async def _show_metrics(self, request: web.Request) -> web.Response:
        with suppress(StorageError):
            self._metrics.titles.set(len(await self._catalog.entries()))
        self._metrics.ready.set(self._catalog.failure is None)
        return web.Response(
            body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        return _conditional_json(request, msgspec.json.encode(describe()))

    @web.middleware
    async def _answer_failures(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            response = _preflight() if request.method == "OPTIONS" else await handler(request)
        except (PackageError, UnknownTitle) as error:
            response = _problem_response(error.status, str(error))
        except web.HTTPException as error:
            response = _problem_response(error.status, f"{request.method} {request.path[:200]}: {error.reason}")
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"] + ",OPTIONS"
        except StorageError as error:
            # Keys and paths of storage are nobody's business outside.
            logger.warning("storage failed a request", extra={"path": request.path, "reason": str(error)})
            response = _problem_response(503, "The origin's storage cannot be used now.", {"Retry-After": "1"})
        except NearcastError as error:
            logger.error("a request failed", extra={"path": request.path, "reason": str(error)})
            response = _problem_response(500, "What the origin has stored here is damaged.")
        kind = request.match_info.route.resource.canonical if request.match_info.route.resource else "none"
        self._metrics.requests.labels(kind, str(response.status)).inc()
        return response

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = "nearcast"  # instead of the libraries' versions, which are nobody's business
        for name, value in CORS_HEADERS:
            response.headers.setdefault(name, value)
        if "Repr-Digest" in response.headers:
            response.headers["Access-Control-Expose-Headers"] += ", Repr-Digest"

    async def _close(self, application: web.Application) -> None:
        await self._catalog.close()


class _Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "nearcast_origin_requests", "Requests answered.", ["route", "code"], registry=self.registry
        )
        self.sent_bytes = Counter("nearcast_origin_sent_bytes", "Content bytes sent.", registry=self.registry)
        self.cut_answers = Counter(
            "nearcast_origin_cut_answers", "Answers cut because storage failed in the middle.", registry=self.registry
        )
        self.titles = Gauge("nearcast_origin_titles", "Titles in the catalog.", registry=self.registry)
        self.ready = Gauge("nearcast_origin_ready", "1 while storage can be used.", registry=self.registry)


async def _pieces(storage: Storage, key: str, decision: Decision) -> AsyncGenerator[bytes, None]:
    """The bytes to send, all of them. Raises StorageError also where the stored object is shorter than it should be."""
    left = decision.end - decision.first
    async with aclosing(storage.read(key, decision.first, left)) as pieces:
        async for piece in pieces:
            left -= len(piece)
            yield piece
    if left:
        raise StorageError(f"{key} ends {left} bytes too early")


def _record(request: web.Request, file: str, decision: Decision, left: int, seconds: float) -> Record:
    """A line of the access log, with the fields of an appliance's (oca/access_log.py)."""
    content = parse_content_path(request.path)
    query = request.rel_url.raw_query_string
    cmcd = parse_cmcd(query, {name.lower(): value for name, value in request.headers.items()})
    return Record(
        time=round(time.time(), 3),
        appliance=LOG_NAME,
        client=truncated(request.remote or ""),
        method=request.method,
        title=content.title,
        package=content.package,
        file=file,
        part=content.path,
        status=decision.status,
        bytes=decision.end - decision.first - left,
        whole=not left,
        hit=True,
        seconds=round(seconds, 6),
        agent=request.headers.get("User-Agent", "")[:LONGEST_AGENT],
        cmcd=cmcd.keys if cmcd is not None else None,
    )


def _open_log(settings: OriginSettings) -> AccessLog | None:
    path = settings.access_log
    if path is None:
        return None
    try:
        return AccessLog(path, largest_bytes=settings.log_size, oldest_s=_LOG_DAY_S, keep=settings.log_keep)
    except OSError as error:
        raise LogError(f"access_log {path} cannot be written: {error.strerror}") from error


def _preflight() -> web.Response:
    """Alike for every path: a page may ask for any of them, and finds out which exist by asking."""
    headers = dict(PREFLIGHT_HEADERS)
    headers["Access-Control-Allow-Headers"] += f", {_DIGEST_HEADER}"
    return web.Response(status=204, headers=headers)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _conditional_json(request: web.Request, body: bytes) -> web.Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Type": "application/json"}
    if not_modified(request.headers.get("If-None-Match"), etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers)


def _refusal(decision: Decision) -> web.Response:
    reasons = {412: "If-Match names another version.", 416: "The range lies outside of what there is."}
    kept = {name: value for name, value in decision.headers if name in ("Content-Range", "ETag")}
    return _problem_response(decision.status, reasons[decision.status], kept)


def _problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    named = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **(headers or {})}
    return web.Response(status=status, body=problem(status, detail), headers=named)


async def serve(settings: OriginSettings, ready_file: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises ListenError, StorageError, LogError.

    `ready_file` gets "HOST:PORT" and a newline once connections are accepted: with port 0 nobody could know it else.
    """
    async with open_storage(settings.storage, s3_endpoint=settings.s3_endpoint) as storage:
        service = OriginService(storage, _open_log(settings))
        runner = web.AppRunner(service.application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            address = await listen(runner, settings.listen)
            logger.info("listening", extra={"address": show_address(address), "storage": settings.storage})
            announce(ready_file, *address)
            await stop_signal()
            logger.info("stopping")
        finally:
            await runner.cleanup()


async def listen(runner: web.AppRunner, address: tuple[str, int]) -> tuple[str, int]:
    """Listens, and returns the address that it got. Raises ListenError."""
    try:
        await web.TCPSite(runner, *address, reuse_address=True).start()
    except OSError as error:
        reason = "another process listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ListenError(f"cannot listen on {show_address(address)}: {reason}") from error
    host, port = runner.addresses[0][:2]
    return host, port


async def stop_signal() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
