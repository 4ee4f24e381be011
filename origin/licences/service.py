"""The licence endpoint over HTTP.

    POST /clearkey         {"kids": [...]} -> a JWK Set, for EME's org.w3.clearkey
    GET  /keys/{key ID}    the 16 bytes of a key, for HLS's KEYFORMAT "identity"

Where appliances ask for access tokens, this asks for the same (oca.tokens), with `?package=` for the film's package:
a token is for the files of one package, and so are the keys that it gets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from config.field import show_address
from config.licences import LicenceSettings
from config.ready import announce
from encoder.protection.keys import parse_id
from oca.errors import TokenError
from oca.http.answer import CORS_HEADERS, PREFLIGHT_HEADERS, problem
from oca.tokens.carriage import find_token
from oca.tokens.claims import Asked
from oca.tokens.grants import Verifier
from oca.tokens.keys import Keys, parse_keys
from origin.errors import LicenceError
from origin.licences.allowance import Allowance
from origin.licences.clearkey import licence, parse_request
from origin.licences.keystore import KeyStore, StoredKey
from origin.service import listen, stop_signal

# 64 key IDs in base64url are less than 2 KiB.
_LARGEST_REQUEST = 8 * 1024

logger = logging.getLogger(__name__)


class LicenceService:
    """Handlers of one endpoint; `application` is what aiohttp runs."""

    def __init__(
        self, keys: KeyStore, verifier: Verifier | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys, self._verifier, self._clock = keys, verifier, clock
        self._allowance = Allowance()
        self._registry = CollectorRegistry()
        self._answers = Counter("nearcast_licences_requests", "Requests answered.", ["code"], registry=self._registry)
        self.application = web.Application(middlewares=[self._answer_failures], client_max_size=_LARGEST_REQUEST)
        self.application.add_routes(
            [
                web.post("/clearkey", self._clearkey),
                web.get("/keys/{key_id}", self._key),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
            ]
        )
        self.application.on_response_prepare.append(_add_headers)

    async def _clearkey(self, request: web.Request) -> web.Response:
        self._demand_allowance(request)
        wanted = parse_request(await request.read())
        found = [stored for key_id in wanted if (stored := self._keys.find(key_id, self._clock())) is not None]
        if not found:
            raise LicenceError("None of these keys is known here.", status=404)
        self._demand_token(request, found)
        return web.Response(body=licence([stored.key for stored in found]), content_type="application/json")

    async def _key(self, request: web.Request) -> web.Response:
        self._demand_allowance(request)
        try:
            stored = self._keys.find(parse_id(request.match_info["key_id"]), self._clock())
        except ValueError:
            raise LicenceError("A key's ID is a UUID or 32 hex digits.") from None
        if stored is None:
            raise LicenceError("This key is not known here.", status=404)
        self._demand_token(request, [stored])
        return web.Response(body=stored.key.secret, content_type="application/octet-stream")

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    def _demand_allowance(self, request: web.Request) -> None:
        if not self._allowance.take(request.remote or "", self._clock()):
            raise LicenceError("Too many licences were asked for from this address; wait a second.", status=429)

    def _demand_token(self, request: web.Request, found: list[StoredKey]) -> None:
        """Raises TokenError unless the request's token is for the films of all these keys."""
        if self._verifier is None:
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        carried = find_token(request.raw_path, headers)
        if carried is None:
            raise TokenError("token", "licences are for holders of an access token here, and there is none")
        now = self._clock()
        grant = self._verifier.verify(carried.token, now)
        for title in {stored.title for stored in found}:
            grant.allow(
                Asked(
                    method="GET",  # as the film's files are asked for: tokens may be for reading only
                    scheme=request.scheme,
                    host=request.url.host or "",
                    port=request.url.port or 0,
                    path=f"/v1/{title}/{request.query.get('package', '')}/licence",
                    query="",
                    client=request.remote or "",
                    alpn="",
                    headers=headers,
                ),
                now,
            )

    @web.middleware
    async def _answer_failures(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            if request.method == "OPTIONS":
                response: web.StreamResponse = web.Response(status=204, headers=dict(PREFLIGHT_HEADERS))
            else:
                response = await handler(request)
        except (LicenceError, TokenError) as error:
            response = _problem(error.status, str(error))
            if error.status == 429:
                response.headers["Retry-After"] = "1"
        except web.HTTPException as error:
            response = _problem(error.status, f"{request.method} {request.path[:200]}: {error.reason}")
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"] + ",OPTIONS"
        self._answers.labels(str(response.status)).inc()
        return response


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "nearcast"
    response.headers["Cache-Control"] = "no-store"
    for name, value in CORS_HEADERS:
        response.headers.setdefault(name, value)


def _problem(status: int, detail: str) -> web.Response:
    return web.Response(status=status, body=problem(status, detail), content_type="application/problem+json")


def open_service(settings: LicenceSettings) -> LicenceService:
    """Raises ProtectionError, ConfigError or LicenceError for files that cannot be used."""
    keys = KeyStore(settings.keys, time.time())
    return LicenceService(keys, _verifier(settings))


def _verifier(settings: LicenceSettings) -> Verifier | None:
    if settings.token_keys is None:
        return None
    try:
        keys: Keys = parse_keys(settings.token_keys.read_bytes(), str(settings.token_keys))
    except OSError as error:
        raise LicenceError(f"token_keys {settings.token_keys} cannot be read: {error.strerror}") from error
    return Verifier(keys, settings.token_issuers, settings.token_audiences)


async def serve(settings: LicenceSettings, ready_file: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises ListenError, and what `open_service` raises."""
    service = await asyncio.to_thread(open_service, settings)
    runner = web.AppRunner(service.application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        address = await listen(runner, settings.listen)
        logger.info("listening", extra={"address": show_address(address), "keys": str(settings.keys)})
        announce(ready_file, *address)
        await stop_signal()
        logger.info("stopping")
    finally:
        await runner.cleanup()
