"""Steering and the origin as far as filling asks them: what they answer is the test's to say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from encoder.package import MANIFEST_NAME, encode
from fill.appliances import Seen
from fill.names import Offer
from origin.catalog import Entry


class Network:
    """One server that is both; `bodies` (path -> answer) may be changed by the test."""

    def __init__(self, offers: Iterable[Offer] = (), appliances: Iterable[Seen] = ()) -> None:
        self.bodies: dict[str, bytes] = {}
        self.offer(*offers)
        self.know(*appliances)

    def offer(self, *offers: Offer) -> None:
        """The catalog from now on."""
        self.bodies["/api/v1/titles"] = msgspec.json.encode({"titles": [entry_of(offer) for offer in offers]})
        for offer in offers:
            path = f"/v1/{offer.package.title}/{offer.package_name}/{MANIFEST_NAME}"
            self.bodies[path] = encode(offer.package)

    def know(self, *appliances: Seen) -> None:
        """The fleet from now on."""
        self.bodies["/api/v1/fleet"] = msgspec.json.encode({"appliances": list(appliances), "sites": []})

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._server = TestServer(application)
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        body = self.bodies.get(request.path)
        return web.Response(status=404) if body is None else web.Response(body=body)


def entry_of(offer: Offer) -> Entry:
    return Entry(
        title=offer.package.title,
        package=offer.package_name,
        name=offer.package.name,
        duration=offer.package.duration,
        size=offer.package.size,
        poster=offer.package.poster,
        published_at=datetime.fromtimestamp(offer.published_at, UTC).isoformat(),
    )
