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
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from config.field import show_address
from config.licences import LicenceSettings
from config.ready import announce
from encoder.package import PACKAGE_PATTERN
from encoder.protection.keys import parse_id
from oca.errors import TokenError
from oca.http.answer import CORS_HEADERS, PREFLIGHT_HEADERS, problem
from oca.tokens.carriage import find_token
from oca.tokens.claims import Asked
from oca.tokens.grants import Grant, Replay, Verifier
from oca.tokens.keys import Keys, parse_keys
from origin.errors import LicenceError
from origin.licences.allowance import Allowance
from origin.licences.clearkey import licence, parse_request
from origin.licences.clients import client_of, household_of, parse_proxies
from origin.licences.keystore import KeyStore, StoredKey
from origin.service import listen, stop_signal

# 64 key IDs in base64url are less than 2 KiB.
_LARGEST_REQUEST = 8 * 1024
# They are one packet; who takes longer holds a connection for its own sake.
_BODY_TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


class LicenceService:
    """Handlers of one endpoint; `application` is what aiohttp runs."""

    def __init__(
        self,
        keys: KeyStore,
        verifier: Verifier | None = None,
        clock: Callable[[], float] = time.time,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        self._keys, self._verifier, self._clock = keys, verifier, clock
        self._proxies = parse_proxies(trusted_proxies)
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
        grant = self._admit(request)
        wanted = parse_request(await _body(request))
        await self._look()
        found = [stored for key_id in wanted if (stored := self._keys.find(key_id)) is not None]
        if not found:
            raise LicenceError("None of these keys is known here.", status=404)
        self._demand_grant(grant, request, found)
        return web.Response(body=licence([stored.key for stored in found]), content_type="application/json")

    async def _key(self, request: web.Request) -> web.Response:
        grant = self._admit(request)
        try:
            key_id = parse_id(request.match_info["key_id"])
        except ValueError:
            raise LicenceError("A key's ID is a UUID or 32 hex digits.") from None
        await self._look()
        stored = self._keys.find(key_id)
        if stored is None:
            raise LicenceError("This key is not known here.", status=404)
        self._demand_grant(grant, request, [stored])
        return web.Response(body=stored.key.secret, content_type="application/octet-stream")

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _look(self) -> None:
        if self._keys.is_due(self._clock()):
            await asyncio.to_thread(self._keys.look)

    def _admit(self, request: web.Request) -> Grant | None:
        """The request's token, None where none is asked for. Raises LicenceError, TokenError.

        Before anything is read or looked for: who has no token makes no work, and is not told which keys there are.
        """
        now = self._clock()
        if not self._allowance.take(household_of(self._client(request)), now):
            raise LicenceError("Too many licences were asked for from this address; wait a second.", status=429)
        if self._verifier is None:
            return None
        carried = find_token(request.raw_path, _headers(request))
        if carried is None:
            raise TokenError("token", "licences are for holders of an access token here, and there is none")
        grant = self._verifier.verify(carried.token, now)
        if grant.replay == Replay.FORBID:
            raise TokenError("catreplay", "an access token that is good once only is for an appliance", status=403)
        return grant

    def _demand_grant(self, grant: Grant | None, request: web.Request, found: list[StoredKey]) -> None:
        """Raises TokenError unless the token is for a film of each of these keys."""
        if grant is None:
            return
        for stored in found:
            refusals = [self._refusal(grant, request, title) for title in stored.titles]
            if all(refusals) and refusals[0] is not None:
                raise refusals[0]

    def _refusal(self, grant: Grant, request: web.Request, title: str) -> TokenError | None:
        named = request.query.get("package", "")
        host, port = _host(request)
        asked = Asked(
            method="GET",  # as the film's files are asked for: tokens may be for reading only
            scheme=request.scheme,
            host=host,
            port=port,
            path=f"/v1/{title}/{named if PACKAGE_PATTERN.fullmatch(named) else ''}/licence",
            query="",
            client=self._client(request),
            alpn="",
            headers=_headers(request),
        )
        try:
            grant.allow(asked, self._clock())
        except TokenError as error:
            return error
        return None

    def _client(self, request: web.Request) -> str:
        return client_of(request.remote or "", ",".join(request.headers.getall("X-Forwarded-For", [])), self._proxies)

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


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise LicenceError("The licence request took too long to come.", status=408) from None


def _host(request: web.Request) -> tuple[str, int]:
    try:
        return request.url.host or "", request.url.port or 0
    except ValueError:
        raise LicenceError("The request's Host is neither a name nor an address with a port.") from None


def _headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


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
    return LicenceService(keys, _verifier(settings), trusted_proxies=settings.trusted_proxies)


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
