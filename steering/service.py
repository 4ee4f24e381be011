"""The HTTP side of steering: routes, who asks, and how answers and refusals look on the wire.

Handlers read a request, ask the director, and write its answer; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import web

from config.errors import NearcastError
from config.field import show_address
from config.steering import SteeringSettings
from encoder.package import MEDIA_TYPES
from oca.errors import MessageError
from oca.report import LARGEST_REPORT, Report, decode_report
from steering import assets, explain
from steering.catalog import Title
from steering.database import Database, Keeper
from steering.decisions import DecisionLog
from steering.director import Director, Play, Poll, read_network
from steering.errors import LogError, RequestError, TitleUnknown
from steering.fleet import ORIGIN, Health
from steering.metrics import Metrics
from steering.openapi import describe
from steering.pathways import Format, read_query, steering_manifest, ttl_under_load
from steering.prefixes import parse_address
from steering.sessions import ID_PATTERN

# Larger reports are decoded by a thread: 1 MiB takes about 5 ms, and players' polls wait as long.
_SMALL_REPORT = 1024 * 1024
_LAG_SAMPLE_S = 0.25
# A decision is in its log this long after it was made, at most.
_DECISIONS_EVERY_S = 1.0
# Host is what the player itself said; it goes back to it in manifests, so it has to look like one.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
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
        self._database = Database(settings.database)
        self._keeper = Keeper(self.director.fleet, self._database)
        self._metrics = Metrics()
        self._assets = assets.find_assets()
        self._lag_s = 0.0

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

    def reload(self, settings: SteeringSettings) -> None:
        """Takes over sites, geography and proxies; the rest needs a restart. Raises SitesError, GeographyError."""
        network = read_network(settings)
        old, self.director.network = self.director.network, network
        old.geography.close()

    def note_reload(self, succeeded: bool) -> None:
        self._metrics.reloaded.set(succeeded)

    # What appliances and operators ask

    async def take_report(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            # Also keeps any web page from reporting in its reader's name: this type needs CORS's permission.
            raise web.HTTPUnsupportedMediaType(
                text=f"a report of type {request.content_type}, expected application/json"
            )
        try:
            report = await _read_report(request)
            answer = self.director.take(report)
        except (NearcastError, web.HTTPException) as error:
            self._metrics.reports.labels(str(error.status)).inc()
            raise
        self._metrics.reports.labels("taken").inc()
        self._keeper.note(report.name)
        return _json(answer)

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
        decision = self.director.explain_session(request.query.get("s", ""), address)
        if decision is None:
            if "title" not in request.query:
                raise RequestError("title: found nothing, expected the title to explain a decision for")
            title = self.director.title(request.query["title"])
            decision = self.director.decide(title, address, _session_id(request))
        return _json(explain.as_json(decision))

    # What players ask

    async def play_hls(self, request: web.Request) -> web.Response:
        play, uri = self._play(request, "hls")
        text = play.title.manifests.multivariant(play.pathways, uri)
        return _uncached(text.encode(), MEDIA_TYPES[".m3u8"])

    async def play_dash(self, request: web.Request) -> web.Response:
        play, uri = self._play(request, "dash")
        return _uncached(play.title.manifests.mpd(play.pathways, uri).encode(), MEDIA_TYPES[".mpd"])

    async def steer_hls(self, request: web.Request) -> web.Response:
        return self._steer(request, "hls")

    async def steer_dash(self, request: web.Request) -> web.Response:
        return self._steer(request, "dash")

    async def show_poster(self, request: web.Request) -> web.Response:
        """Sends the browser to the appliance that it would play from."""
        title = self.director.title(request.match_info["title"])
        if not title.entry.poster:
            raise TitleUnknown(f"title {title.entry.title!r} has no poster")
        first = self.director.decide(title, self._client(request), "poster").first
        place = f"{first.url}/v1/{title.entry.title}/{title.entry.package}/{quote(title.entry.poster)}"
        return web.Response(status=HTTPStatus.FOUND, headers={"Location": place, "Cache-Control": "no-store"})

    def _play(self, request: web.Request, form: Format) -> tuple[Play, str]:
        address, session = self._client(request), _session_id(request)
        play = self.director.play(request.match_info["title"], address, session, int(time.time()))
        self._metrics.decided(play.decision)
        if self._decisions is not None:
            self._decisions.began(play.decision, form, self.director.network.sites, time.time())
        logger.debug("session begins", extra={"session": session, "pathways": play.decision.listed})
        return play, f"{self._base(request)}/steer/{form}?s={play.token}"

    def _steer(self, request: web.Request, form: Format) -> web.Response:
        token = request.query.get("s", "")
        measured = read_query(request.query, form)
        using = tuple(one.pathway for one in measured)
        try:
            poll = self.director.poll(token, self._client(request), using)
        except Exception:
            # The one place that catches everything: hls.js and dash.js stop steering for good at an error, so a fault
            # of ours would outlive its repair in every player that met it.
            logger.exception("a poll could not be decided; the origin was answered")
            poll = Poll((ORIGIN,), self._settings.ttl, "failed")
        for one in measured:
            if one.throughput_bps is not None:
                self._metrics.throughput.observe(one.throughput_bps)
        if self._decisions is not None and poll.decision is not None:
            self._decisions.polled(poll.decision, form, self.director.network.sites, time.time(), poll.ttl)
        self._metrics.polls.labels(form, poll.session).inc()
        uri = f"{self._base(request)}/steer/{form}?s={quote(token, safe='')}"
        ttl = ttl_under_load(poll.ttl, self._lag_s)
        return _uncached(steering_manifest(poll.priority, ttl, uri), "application/json")

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
        reasons = [catalog.trouble] if not catalog.is_known else []
        degraded = [catalog.trouble] if catalog.is_known and catalog.trouble else []
        if not any(appliance.health in (Health.HEALTHY, Health.FULL) for appliance in fleet.values()):
            degraded.append("no appliance is healthy: every player is sent to the origin")
        if self._keeper.trouble:
            degraded.append(self._keeper.trouble)
        if self._decisions is not None and self._decisions.lost:
            degraded.append(f"{self._decisions.lost} decisions could not be logged: {self._decisions.trouble}")
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return _json({"ready": not reasons, "reasons": reasons, "degraded": degraded}, status)

    async def show_metrics(self, _: web.Request) -> web.Response:
        catalog = self.director.catalog
        fleet = self.director.fleet.seen(self._clock())
        text = self._metrics.render(tuple(fleet.values()), len(catalog.titles), catalog.trouble, self._keeper.trouble)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def show_openapi(self, _: web.Request) -> web.Response:
        return _json(describe(importlib.metadata.version("nearcast")))

    # Behind the requests

    async def _background(self, _: web.Application) -> AsyncIterator[None]:
        clock_offset = time.time() - self._clock()
        await self._keeper.restore(self._clock())
        async with aiohttp.ClientSession() as session, _cancelled_at_the_end() as start:
            start(self.director.catalog.follow(session, self._settings.poll_every))
            start(self._keeper.follow(clock_offset))
            start(self._measure_lag())
            start(self._write_decisions())
            yield
        await self._keeper.flush(clock_offset)
        if self._decisions is not None:
            self._decisions.close()
        self._database.close()
        self.director.network.geography.close()

    async def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + _LAG_SAMPLE_S
            await asyncio.sleep(_LAG_SAMPLE_S)
            # Smoothed over about a second, so that one long report does not look like overload.
            self._lag_s += (max(0.0, time.monotonic() - due) - self._lag_s) / 4
            self._metrics.lag.set(self._lag_s)

    async def _write_decisions(self) -> None:
        while self._decisions is not None:
            await asyncio.sleep(_DECISIONS_EVERY_S)
            self._decisions.flush()

    def _client(self, request: web.Request) -> str:
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        return self.director.network.proxies.client(request.remote or "", forwarded)

    def _base(self, request: web.Request) -> str:
        """This service's URL as the player can reach it: as configured, else as it just did."""
        if self._settings.url:
            return self._settings.url.rstrip("/")
        if _HOST.fullmatch(request.host):
            return f"{request.scheme}://{request.host}"
        return f"http://{show_address(self._settings.listen)}"


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
        return _problem(error.status, str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        detail = (
            error.text
            if error.text and not error.text.startswith(str(error.status))
            else f"{request.method} {request.path}"
        )
        return _problem(error.status, detail, {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {})
    except Exception:
        logger.exception("a request failed", extra={"path": request.path})
        return _problem(500, "this request met a fault in steering; its log says more")


async def _allow_any_page(_: web.Request, response: web.StreamResponse) -> None:
    # Players run in pages of any origin. Only reading is allowed: there is no preflight that grants a POST.
    response.headers.setdefault("Access-Control-Allow-Origin", "*")


@contextlib.asynccontextmanager
async def _cancelled_at_the_end() -> AsyncIterator[Callable[[Any], None]]:
    tasks: list[asyncio.Task[None]] = []
    try:
        yield lambda work: tasks.append(asyncio.create_task(work))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_report(request: web.Request) -> Report:
    """Raises MessageError (400, 413)."""
    announced = request.content_length or 0
    if announced > LARGEST_REPORT:
        raise MessageError(f"a report of {announced} bytes, expected at most {LARGEST_REPORT}", status=413)
    body = await request.read()
    if len(body) <= _SMALL_REPORT:
        return decode_report(body)
    return await asyncio.to_thread(decode_report, body)


def _session_id(request: web.Request) -> str:
    session = request.query.get("session", "") or secrets.token_hex(8)
    if not ID_PATTERN.fullmatch(session):
        raise RequestError(f"session: found {session!r}, expected 1 to 64 letters, digits . _ -")
    return session


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
        "audio": [{"name": one.name, "language": one.language, "label": one.label} for one in package.of_kind("audio")],
        "text": [{"name": one.name, "language": one.language, "label": one.label} for one in package.of_kind("text")],
    }


def _json(value: Any, status: int = HTTPStatus.OK) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )


def _uncached(body: bytes, media_type: str) -> web.Response:
    # Retry-After is for players that read it of a page's other origin (RFC 8216bis section 7.4).
    headers = {"Cache-Control": "no-store", "Access-Control-Expose-Headers": "Retry-After"}
    return web.Response(body=body, content_type=media_type, headers=headers)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return web.Response(
        text=json.dumps(problem),
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _file(path: Any, status: int = HTTPStatus.OK) -> web.FileResponse:
    headers = {"Cache-Control": "no-cache", **_SECURITY, "Content-Type": assets.MEDIA_TYPES[path.suffix]}
    return web.FileResponse(path, status=status, headers=headers)
