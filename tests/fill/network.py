"""Steering and the origin as far as filling asks them: what they answer is the test's to say."""

from __future__ import annotations

from collections.abc import Iterable
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
        offers = list(offers)
        titles = {"titles": [entry_of(offer) for offer in offers]}
        self.bodies = {
            "/api/v1/fleet": msgspec.json.encode({"appliances": list(appliances), "sites": []}),
            "/api/v1/titles": msgspec.json.encode(titles),
            **{
                f"/v1/{offer.package.title}/{offer.package_name}/{MANIFEST_NAME}": encode(offer.package)
                for offer in offers
            },
        }

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
        published_at="2027-01-01T00:00:00Z",
    )
