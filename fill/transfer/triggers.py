"""Urgent orders as an upstream CDN gives them: the CI/T interface of RFC 8007, over the orders of fill.transfer.orders.

    POST /triggers        a command {"trigger": {"type": ..., "content.urls": [...]}, "cdn-path": [...]}  ->  201
    GET  /triggers        the collection of all triggers
    GET  /triggers/ID     a trigger's status: pending, active, complete or failed
    DELETE /triggers/ID   refused (405): nothing is forgotten before its day is over

URLs are those of content, /v1/TITLE[/PACKAGE[/FILE]], on whatever host. What a package holds never changes, so to
invalidate content is to purge it. Content is named by URL only: patterns, content collections and metadata are answered
as the RFC has it, with a trigger that failed ("eunsupported").
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import NearcastError
from fill.errors import OrderError
from fill.fleet import FleetClient
from fill.transfer.following import answers_to, give_order, read_orders, resolve
from fill.transfer.orders import KEPT_FOR_S, Order, Target, state_of
from origin.storage import Storage

COMMAND_TYPE = "application/cdni; ptype=ci-trigger-command"
STATUS_TYPE = "application/cdni; ptype=ci-trigger-status"
COLLECTION_TYPE = "application/cdni; ptype=ci-trigger-collection"
# A command names content by URL: ten thousand of them are 2 MB.
_LARGEST_COMMAND = 4 * 1024 * 1024
_MOST_FAILED = 1000
_LOOPBACK = ("127.", "::1")

logger = logging.getLogger(__name__)


class Trigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 8007 5.2.1. What is not understood here is kept apart, to be refused by name."""

    type: Literal["preposition", "invalidate", "purge"]
    content_urls: tuple[str, ...] = msgspec.field(default=(), name="content.urls")
    metadata_urls: tuple[str, ...] = msgspec.field(default=(), name="metadata.urls")
    content_ccid: tuple[str, ...] = msgspec.field(default=(), name="content.ccid")
    metadata_patterns: tuple[Any, ...] = msgspec.field(default=(), name="metadata.patterns")
    content_patterns: tuple[Any, ...] = msgspec.field(default=(), name="content.patterns")

    @property
    def unsupported(self) -> bool:
        return bool(self.metadata_urls or self.content_ccid or self.metadata_patterns or self.content_patterns)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8007 5.1.1."""

    cdn_path: tuple[str, ...] = msgspec.field(name="cdn-path")
    trigger: Trigger | None = None
    cancel: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """A trigger that came to no order; it is remembered for as long as this service runs."""

    trigger: Trigger
    ctime: int
    error: str
    description: str


class Triggers:
    """`application` is what aiohttp runs. Orders go to every appliance that steering knows."""

    def __init__(
        self,
        storage: Storage,
        fleet: FleetClient,
        *,
        key: Ed25519PrivateKey | None,
        token: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storage, self._fleet, self._key, self._token, self._clock = storage, fleet, key, token, clock
        self._refused: dict[str, Refused] = {}

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_COMMAND, middlewares=[self._admit])
        application.add_routes(
            [
                web.post("/triggers", self._take),
                web.get("/triggers", self._list),
                web.get("/triggers/{id}", self._show),
                web.get("/healthz", self._healthz),
            ]
        )
        return application

    @web.middleware
    async def _admit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Without a token only this machine may ask."""
        if request.path != "/healthz" and not self._may(request):
            return _problem(401, "a bearer token is expected", {"WWW-Authenticate": "Bearer"})
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except NearcastError as error:
            if error.status >= 500:
                logger.warning("an order could not be taken", extra={"reason": str(error)})
                return _problem(503, "orders cannot be taken now", {"Retry-After": "5"})
            return _problem(error.status, str(error))

    def _may(self, request: web.Request) -> bool:
        if not self._token:
            return (request.remote or "").startswith(_LOOPBACK)
        shown = request.headers.get("Authorization", "")
        return hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode())

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _take(self, request: web.Request) -> web.Response:
        if request.content_type != "application/cdni":
            return _problem(415, f"the content is {request.content_type}, expected {COMMAND_TYPE}")
        try:
            command = msgspec.json.decode(await request.read(), type=Command)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _problem(400, f"not a CI/T command (RFC 8007 5.1.1): {error}")
        if command.trigger is None or command.cancel:
            return _problem(400, "a command gives a trigger; orders are carried out at once and cannot be cancelled")
        id = await self._order(command.trigger)
        location = str(request.url.with_path(f"/triggers/{id}").with_query(None))
        body = msgspec.json.encode(await self._status(id))
        return web.Response(status=201, body=body, headers={"Location": location, "Content-Type": STATUS_TYPE})

    async def _order(self, trigger: Trigger) -> str:
        """The id of an order, or of a trigger that came to none. Raises FleetError, StorageError."""
        try:
            if trigger.unsupported:
                return self._refuse(trigger, "eunsupported", "content is named by content.urls only")
            targets = await self._targets(trigger)
            names = [seen.report.name for seen in await self._fleet.fleet()]
            kind: Literal["preposition", "purge"] = "preposition" if trigger.type == "preposition" else "purge"
            order = await give_order(self._storage, kind, targets, names, self._key, self._clock())
        except OrderError as error:
            return self._refuse(trigger, "econtent", str(error))
        return order.id

    def _refuse(self, trigger: Trigger, error: str, description: str) -> str:
        id = f"x{secrets.token_hex(8)}"
        self._refused[id] = Refused(trigger, int(self._clock()), error, description)
        while len(self._refused) > _MOST_FAILED:
            self._refused.pop(next(iter(self._refused)))
        return id

    async def _targets(self, trigger: Trigger) -> list[Target]:
        """Raises OrderError, FleetError."""
        targets: list[Target] = []
        for url in trigger.content_urls:
            target = _target(url)
            if trigger.type != "preposition" or target.file:
                targets.append(target)
                continue
            found = await resolve(self._fleet, target.title, "")
            if target.package and any(one.package != target.package for one in found):
                raise OrderError(f"{url}: the catalog offers another package of {target.title}")
            targets += found
        return targets

    async def _show(self, request: web.Request) -> web.Response:
        found = await self._status(request.match_info["id"])
        if found is None:
            return _problem(404, "no such trigger; one is remembered for a day")
        return web.Response(body=msgspec.json.encode(found), headers={"Content-Type": STATUS_TYPE})

    async def _status(self, id: str) -> dict[str, Any] | None:
        """A trigger's status resource (RFC 8007 5.1.2)."""
        if id in self._refused:
            refused = self._refused[id]
            errors = [{"error": refused.error, "description": refused.description}]
            return {
                "trigger": msgspec.to_builtins(refused.trigger),
                "ctime": refused.ctime,
                "mtime": refused.ctime,
                "status": "failed",
                "errors": errors,
            }
        order = next((order for order in await self._orders() if order.id == id), None)
        if order is None:
            return None
        answers = await answers_to(self._storage, order)
        reasons = [f"{one.appliance}: {reason}" for one in answers.values() for reason in one.reasons]
        status: dict[str, Any] = {
            "trigger": {"type": order.kind, "content.urls": [_url(target) for target in order.targets]},
            "ctime": int(order.made_at),
            "mtime": int(max([order.made_at, *(answer.as_of for answer in answers.values())])),
            "status": state_of(order, answers),
        }
        if reasons:
            status["errors"] = [{"error": "econtent", "description": reason} for reason in reasons]
        return status

    async def _orders(self) -> Sequence[Order]:
        keys = [self._key.public_key()] if self._key else []
        return (await read_orders(self._storage, keys)).orders

    async def _list(self, request: web.Request) -> web.Response:
        ids = [*(order.id for order in await self._orders()), *self._refused]
        urls = [str(request.url.with_path(f"/triggers/{id}").with_query(None)) for id in ids]
        body = msgspec.json.encode({"triggers": urls, "staleresourcetime": int(KEPT_FOR_S)})
        return web.Response(body=body, headers={"Content-Type": COLLECTION_TYPE})


def _target(url: str) -> Target:
    """Raises OrderError."""
    parts = urlsplit(url).path.strip("/").split("/")
    if parts[0] != "v1" or not 2 <= len(parts) <= 4 or not all(parts):
        raise OrderError(f"{url!r} names no content, expected .../v1/TITLE[/PACKAGE[/FILE]]")
    return Target(*parts[1:])


def _url(target: Target) -> str:
    return "/".join(["/v1", *(name for name in (target.title, target.package, target.file) if name)])


def _problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    """RFC 9457."""
    body = msgspec.json.encode({"title": sentence, "status": status})
    return web.Response(
        status=status, body=body, headers={"Content-Type": "application/problem+json", **(headers or {})}
    )
