"""The HTTP side of steering: routes, who asks, and how answers and refusals look on the wire.

Handlers read a request, ask the director, and write its answer; nothing is decided here. What players ask comes here
only where the front (steering/front) does not know its form; both ask steering/sessions/players.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import web

from config.errors import NearcastError
from config.steering import SteeringSettings
from encoder.package import Thumbnails, sheet_name
from oca.errors import MessageError
from oca.report import LARGEST_REPORT, Report, decode_report
from steering import assets
from steering.appliances.probe import Prober
from steering.appliances.roll import Health
from steering.catalog import Title
from steering.choice import explain
from steering.decisions import DecisionLog
from steering.director import Director, read_network
from steering.errors import LogError, RequestError, TitleUnknown
from steering.front.listener import Front
from steering.journal.following import Follower
from steering.metrics import Metrics
from steering.openapi import describe
from steering.prefixes.addresses import parse_address
from steering.replicas.database import Database
from steering.replicas.exchange import Exchange
from steering.replicas.hearsay import Heard
from steering.sessions.pathways import Format
from steering.sessions.players import LARGEST_EVENTS, Answer, Asker, Players, preflight, problem, refusal, session_name

# Larger reports are decoded by a thread: 64 KiB take 1.5 ms, and players' polls wait as long.
_SMALL_REPORT = 64 * 1024
_LAG_SAMPLE_S = 0.25
# How often the table of routes is looked at; the routes process writes at most as often.
_ROUTES_EVERY_S = 0.25
# A decision is in its log this long after it was made, at most.
_DECISIONS_EVERY_S = 1.0
_REPORTED = (("Cache-Control", "no-store"),)
_SECURITY = {
    # The page loads nothing but itself; media and steering come from hosts that only the manifest names.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' http: https: data:; connect-src *; "
    "media-src * blob: data:; worker-src 'self' blob:; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


class Service:
    """One steering service as an aiohttp application."""

    def __init__(self, settings: SteeringSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SitesError, GeographyError, DatabaseError, LogError."""
        self.director = Director(settings, clock)
        self._settings = settings
        self._clock = clock
        self._decisions = _open_decisions(settings)
        director, database = self.director, Database(settings.database)
        self._exchange = Exchange(director.fleet, director.catalog, database, clock, hear=director.hear)
        self._prober = Prober(director.fleet, clock)
        self._journal = _open_journal(settings, director, clock)
        # With several workers: what one of the others remembers, and the metrics of all, from one's own.
        self.recall: Callable[[], Awaitable[Sequence[Heard]]] | None = None
        self.gather_metrics: Callable[[bytes], Awaitable[bytes]] | None = None
        self._metrics = Metrics()
        self._reports = lru_cache(64)(self._metrics.reports.labels)
        self._players = Players(self.director, settings, self._decisions, self._metrics)
        self._assets = assets.find_assets()

    def front(self, runner: web.AppRunner, where: tuple[str, int] | socket.socket) -> Front:
        """The site that answers at `where`, an address or a bound socket, with `application` behind it."""
        return Front(runner, self._players, self.take_small_report, lambda: self.director.network.proxies, where)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_problems], client_max_size=LARGEST_REPORT + 1)
        app.on_response_prepare.append(_allow_any_page)
        app.cleanup_ctx.append(self._background)
        app.add_routes(
            [
                web.post("/api/v1/reports", self.take_report),
                web.get("/api/v1/fleet", self.show_fleet),
                web.get("/api/v1/titles", self.show_titles),
                web.get("/api/v1/titles/{title}", self.show_title),
                web.get("/api/v1/explain", self.explain),
                web.get("/play/{title}/master.m3u8", self.play_hls),
                web.get("/play/{title}/manifest.mpd", self.play_dash),
                web.get("/steer/hls", self.steer_hls),
                web.get("/steer/dash", self.steer_dash),
                web.post("/cmcd", self.take_events),
                *(
                    web.options(path, self.allow_reading)
                    for path in ("/play/{title}/master.m3u8", "/play/{title}/manifest.mpd", "/steer/hls", "/steer/dash")
                ),
                web.options("/cmcd", self.allow_events),
                web.get("/posters/{title}", self.show_poster),
                web.get("/", self.show_catalog_page),
                web.get("/watch/{title}", self.show_watch_page),
                web.get("/assets/{path:.+}", self.show_asset),
                web.get("/healthz", self.show_health),
                web.get("/readyz", self.show_readiness),
                web.get("/metrics", self.show_metrics),
                web.get("/openapi.json", self.show_openapi),
            ]
        )
        return app

    async def reload(self, settings: SteeringSettings) -> None:
        """Takes over sites, geography and proxies; the rest needs a restart. Raises SitesError, GeographyError.

        A list of a million prefixes takes seconds, in a thread: players are answered by the old network until the new
        one is whole. One after another, or the last one read need not be the last one taken over.
        """
        network = await asyncio.to_thread(read_network, settings, self.director.network)
        self.director.take_over(network).geography.close()
        if self._journal is not None:
            self._journal.take_over(settings)

    def note_reload(self, succeeded: bool) -> None:
        self._metrics.reloaded.set(succeeded)

    # What appliances and operators ask

    async def take_report(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            # Also keeps any web page from reporting in its reader's name: this type needs CORS's permission.
            raise web.HTTPUnsupportedMediaType(
                text=f"a report of type {request.content_type}, expected application/json"
            )
        with self._refusals_counted():
            return _sent(self._take(await _read_report(request)))

    def take_small_report(self, body: bytes) -> Answer:
        """One that need not be decoded by a thread. Raises MessageError, NameInUse."""
        with self._refusals_counted():
            return self._take(decode_report(body))

    def _take(self, report: Report) -> Answer:
        answer = self.director.take(report)
        self._reports("taken").inc()
        self._exchange.note(report.name)
        return Answer(HTTPStatus.OK, "application/json", msgspec.json.encode(answer), _REPORTED)

    @contextlib.contextmanager
    def _refusals_counted(self) -> Iterator[None]:
        try:
            yield
        except (NearcastError, web.HTTPException) as error:
            self._reports(str(error.status)).inc()
            raise

    async def show_fleet(self, request: web.Request) -> web.Response:
        return _json(self.director.fleet_report(with_held=request.query.get("held") != "0"))

    async def show_titles(self, _: web.Request) -> web.Response:
        catalog = self.director.catalog
        titles = [_title_json(title) for title in self.director.titles()]
        return _json({"titles": titles, "trouble": catalog.trouble})

    async def show_title(self, request: web.Request) -> web.Response:
        title = self.director.title(request.match_info["title"])
        missing = [name for name in assets.LIBRARIES if f"lib/{name}" not in self._assets]
        page = {
            "control": self._settings.control.rstrip("/"),
            "ttl": self._settings.ttl,
            "missing_libraries": missing,
            "install": assets.INSTALL_COMMAND,
        }
        return _json({**_title_json(title), "page": page})

    async def explain(self, request: web.Request) -> web.Response:
        address = request.query.get("client", "") or self._client(request)
        if parse_address(address) is None:
            raise RequestError(f"client: found {address!r}, expected an IP address")
        explained = self.director.explain_session(request.query.get("s", ""), address)
        if explained is None:
            if "title" not in request.query:
                raise RequestError("title: found nothing, expected the title to explain a decision for")
            title = self.director.title(request.query["title"])
            explained = self.director.explain(title, address, session_name(request.query))
        return _json(explain.as_json(explained))

    # What players ask

    async def play_hls(self, request: web.Request) -> web.Response:
        return self._play(request, "hls")

    async def play_dash(self, request: web.Request) -> web.Response:
        return self._play(request, "dash")

    async def steer_hls(self, request: web.Request) -> web.Response:
        return _sent(self._players.steer("hls", request.query, self._asker(request)))

    async def steer_dash(self, request: web.Request) -> web.Response:
        return _sent(self._players.steer("dash", request.query, self._asker(request)))

    async def take_events(self, request: web.Request) -> web.Response:
        body = await request.content.read(LARGEST_EVENTS + 1) if request.can_read_body else b""
        while body and len(body) <= LARGEST_EVENTS and (more := await request.content.read(LARGEST_EVENTS)):
            body += more
        if len(body) > LARGEST_EVENTS:
            return _sent(problem(413, f"events of more than {LARGEST_EVENTS} bytes, expected fewer in a request"))
        return _sent(self._players.hear(body, request.query, self._asker(request)))

    async def allow_reading(self, _: web.Request) -> web.Response:
        return _sent(preflight("GET, HEAD, OPTIONS"))

    async def allow_events(self, _: web.Request) -> web.Response:
        return _sent(preflight("POST, OPTIONS"))

    async def show_poster(self, request: web.Request) -> web.Response:
        """Sends the browser to the appliance that it would play from."""
        title = self.director.title(request.match_info["title"])
        if not title.entry.poster:
            raise TitleUnknown(f"title {title.entry.title!r} has no poster")
        first = self.director.decide(title, self._client(request), "poster").first
        place = f"{first.url}/v1/{title.entry.title}/{title.entry.package}/{quote(title.entry.poster)}"
        return web.Response(status=HTTPStatus.FOUND, headers={"Location": place, "Cache-Control": "no-store"})

    def _play(self, request: web.Request, form: Format) -> web.Response:
        return _sent(self._players.play(request.match_info["title"], form, request.query, self._asker(request)))

    def _asker(self, request: web.Request) -> Asker:
        return Asker(self._client(request), request.host, takes_gzip=False)

    # Pages

    async def show_catalog_page(self, _: web.Request) -> web.FileResponse:
        return _file(assets.WEB / "index.html")

    async def show_watch_page(self, request: web.Request) -> web.FileResponse:
        title = request.match_info["title"]
        known = any(title == one.entry.title for one in self.director.titles())
        # The page itself says what is wrong; the status says it to everybody else.
        return _file(assets.WEB / "watch.html", HTTPStatus.OK if known else HTTPStatus.NOT_FOUND)

    async def show_asset(self, request: web.Request) -> web.FileResponse:
        path = self._assets.get(request.match_info["path"])
        if path is None:
            raise web.HTTPNotFound(text=f"no asset {request.match_info['path']!r}")
        return _file(path)

    # What supervisors ask

    async def show_health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def show_readiness(self, _: web.Request) -> web.Response:
        """503 while no title could be played; what is degraded is said but no reason to send nobody here."""
        catalog, fleet = self.director.catalog, self.director.fleet.seen(self._clock())
        reasons = [] if catalog.is_known else [catalog.trouble]
        stale = self._stale()
        degraded = [why for what, why in stale.items() if why and (catalog.is_known or what != "origin")]
        if not any(appliance.health in (Health.HEALTHY, Health.FULL) for appliance in fleet.values()):
            degraded.append("no appliance is healthy: every player is sent to the origin")
        if unknown := self.director.network.sites.unknown:
            degraded.append(f"routes name sites that are not declared: {', '.join(sorted(unknown))}")
        if self._decisions is not None and self._decisions.lost:
            degraded.append(f"{self._decisions.lost} decisions could not be logged: {self._decisions.trouble}")
        if self._journal is not None and self._journal.trouble:
            degraded.append(f"the journal is not kept: {self._journal.trouble}")
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return _json({"ready": not reasons, "reasons": reasons, "degraded": degraded}, status)

    async def show_metrics(self, _: web.Request) -> web.Response:
        text = self.render_metrics()
        if self.gather_metrics is not None:
            text = await self.gather_metrics(text)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def memory(self) -> list[Heard]:
        """What this process knows of the fleet."""
        return self._exchange.memory()

    def render_metrics(self) -> bytes:
        """What this process counts."""
        director = self.director
        fleet, titles = director.fleet.seen(self._clock()), director.catalog.titles
        self._metrics.replicas.set(self._exchange.replicas)
        self._metrics.complained(director.complaints, director.experience.disbelieved)
        return self._metrics.render(tuple(fleet.values()), len(titles), len(director.paths), self._stale())

    async def show_openapi(self, _: web.Request) -> web.Response:
        return _json(describe(importlib.metadata.version("nearcast")))

    # Behind the requests

    def _stale(self) -> dict[str, str]:
        """Of all that steering is told, why it may be old; empty where it is not."""
        is_deaf = self.director.fleet.is_deaf(self._clock())
        network = self.director.network
        return {
            "database": self._exchange.trouble,
            "reports": "no appliance reports: what they said last is believed" if is_deaf else "",
            "origin": self.director.catalog.trouble,
            "routes": network.routes.trouble if network.routes is not None else "",
            "geography": network.geography.trouble,
        }

    async def _background(self, _: web.Application) -> AsyncIterator[None]:
        await self._exchange.start()
        if self.recall is not None:
            await self._exchange.remember(self.recall)
        catalog = self.director.catalog
        async with aiohttp.ClientSession() as session, _cancelled_at_the_end() as start:
            start(catalog.follow(session, self._settings.poll_every))
            start(catalog.prepare())
            start(self._exchange.follow())
            start(self._exchange.listen())
            start(self._prober.follow(session))
            start(self._follow_routes())
            start(self._measure_lag())
            start(self._write_decisions())
            if self._journal is not None:
                start(self._journal.follow())
            yield
        await self._exchange.close()
        if self._decisions is not None:
            self._decisions.close()
        if self._journal is not None:
            await self._journal.close()
        self.director.network.geography.close()

    async def _follow_routes(self) -> None:
        """In a thread: a new table of a million prefixes takes 30 ms, and players would wait as long."""
        while True:
            await asyncio.sleep(_ROUTES_EVERY_S)
            if (routes := self.director.network.routes) is not None:
                await asyncio.to_thread(routes.refresh)

    async def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + _LAG_SAMPLE_S
            await asyncio.sleep(_LAG_SAMPLE_S)
            # Smoothed over about a second, so that one long report does not look like overload.
            lag_s = self._players.lag_s
            self._players.lag_s += (max(0.0, time.monotonic() - due) - lag_s) / 4
            self._metrics.lag.set(self._players.lag_s)

    async def _write_decisions(self) -> None:
        while self._decisions is not None:
            await asyncio.sleep(_DECISIONS_EVERY_S)
            self._decisions.flush()

    def _client(self, request: web.Request) -> str:
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        return self.director.network.proxies.client(request.remote or "", forwarded)


def _open_journal(settings: SteeringSettings, director: Director, clock: Callable[[], float]) -> Follower | None:
    folder, software = settings.journal, importlib.metadata.version("nearcast")
    if folder is None:
        return None
    return Follower(
        settings,
        folder,
        director.fleet,
        director.catalog,
        director.paths,
        clock,
        routes=lambda: director.network.routes,
        software=software,
    )


def _open_decisions(settings: SteeringSettings) -> DecisionLog | None:
    path = settings.decision_log
    if path is None:
        return None
    try:
        return DecisionLog(path, largest_bytes=settings.log_size, keep=settings.log_keep)
    except OSError as error:
        raise LogError(f"decision_log {path} cannot be written: {error.strerror}") from error


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals as RFC 9457 problem+json. What is not refused on purpose says nothing of its inside."""
    try:
        return await handler(request)
    except NearcastError as error:
        return _sent(refusal(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        detail = (
            error.text
            if error.text and not error.text.startswith(str(error.status))
            else f"{request.method} {request.path}"
        )
        allowed = (("Allow", error.headers["Allow"]),) if "Allow" in error.headers else ()
        return _sent(problem(error.status, detail, allowed))
    except Exception:
        logger.exception("a request failed", extra={"path": request.path})
        return _sent(problem(500, "this request met a fault in steering; its log says more"))


async def _allow_any_page(_: web.Request, response: web.StreamResponse) -> None:
    # Players run in pages of any origin. Only reading is allowed, and events: no preflight grants another POST.
    response.headers.setdefault("Access-Control-Allow-Origin", "*")


@contextlib.asynccontextmanager
async def _cancelled_at_the_end() -> AsyncIterator[Callable[[Any], None]]:
    tasks: list[asyncio.Task[None]] = []

    def start(work: Any) -> None:
        tasks.append(asyncio.create_task(work))
        tasks[-1].add_done_callback(_say_if_failed)

    try:
        yield start
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a part of steering ended; the rest goes on without it", exc_info=error)


async def _read_report(request: web.Request) -> Report:
    """Raises MessageError (400, 413)."""
    announced = request.content_length or 0
    if announced > LARGEST_REPORT:
        raise MessageError(f"a report of {announced} bytes, expected at most {LARGEST_REPORT}", status=413)
    body = await request.read()
    if len(body) <= _SMALL_REPORT:
        return decode_report(body)
    return await asyncio.to_thread(decode_report, body)


def _title_json(title: Title) -> dict[str, Any]:
    entry, package = title.entry, title.package
    return {
        "title": entry.title,
        "package": entry.package,
        "name": entry.name,
        "duration": entry.duration,
        "size": entry.size,
        "published_at": entry.published_at,
        "poster": f"/posters/{entry.title}?{entry.package}" if entry.poster else "",
        "hls": f"/play/{entry.title}/master.m3u8",
        "dash": f"/play/{entry.title}/manifest.mpd",
        "video": [
            {"name": one.name, "width": one.width, "height": one.height, "bandwidth": one.bandwidth}
            for one in package.of_kind("video")
        ],
        "audio": [
            {"name": one.name, "language": one.language, "label": one.label}
            for one in package.of_kind("audio")
            if not one.version_of  # the same track in surround
        ],
        "text": [{"name": one.name, "language": one.language, "label": one.label} for one in package.of_kind("text")],
        "thumbnails": _thumbnails_json(package.thumbnails),
        "chapters": [{"start": one.start, "title": one.title} for one in package.chapters],
        "licences": package.protection.licence_urls if package.protection is not None else {},
    }


def _thumbnails_json(thumbnails: Thumbnails | None) -> dict[str, Any] | None:
    if thumbnails is None:
        return None
    names = ("columns", "rows", "width", "height", "interval", "count")
    return {"file": sheet_name("$Number$"), **{name: getattr(thumbnails, name) for name in names}}


def _json(value: Any, status: int = HTTPStatus.OK) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )


def _sent(answer: Answer) -> web.Response:
    fields = {"Content-Type": answer.media_type} if answer.media_type else {}
    return web.Response(body=answer.body, status=answer.status, headers={**fields, **dict(answer.headers)})


def _file(path: Any, status: int = HTTPStatus.OK) -> web.FileResponse:
    headers = {"Cache-Control": "no-cache", **_SECURITY, "Content-Type": assets.MEDIA_TYPES[path.suffix]}
    return web.FileResponse(path, status=status, headers=headers)
