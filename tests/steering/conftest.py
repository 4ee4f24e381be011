"""A steering service on loopback, with a clock that tests turn and an origin that they break."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from config.steering import SteeringSettings
from oca.report import Report
from steering.service import Service
from tests.steering.values import NORTH, SOUTH, manifest, package


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Origin:
    """Answers as the origin does: the catalog with an ETag, and package.json of each title."""

    def __init__(self) -> None:
        self.url = ""
        self.manifests: dict[str, bytes] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.is_away = False
        self.catalog: bytes | None = None  # what it says instead of the catalog
        self.says_unchanged = False  # whatever it is asked
        self.asked: list[str] = []
        self.gathers = 1  # packages are first sent when so many were asked for at once
        self.most_at_once = 0
        self.hangs_up_after: int | None = None  # so many packages
        self.broken: set[str] = set()  # paths of packages of which it sends a part
        self._under_way = 0
        self._gathered = asyncio.Event()

    def publish(self, title: str, name: str = "A Film") -> str:
        film = package(title, name)
        digest, data = manifest(film)
        self.manifests[f"/v1/{title}/{digest}/package.json"] = data
        self.entries[title] = {
            "title": title,
            "package": digest,
            "name": name,
            "duration": film.duration,
            "size": film.size,
            "poster": film.poster,
            "published_at": "2026-01-01T00:00:00Z",
        }
        return digest

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.is_away:
            return web.Response(status=503)
        if request.path in self.manifests:
            return await self._send_package(request)
        if request.path != "/api/v1/titles":
            return web.Response(status=404)
        body = self.catalog or msgspec.json.encode({"titles": list(self.entries.values())})
        etag = f'"{hash(body)}"'
        if self.says_unchanged or request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(body=body, headers={"ETag": etag})

    async def _send_package(self, request: web.Request) -> web.StreamResponse:
        if request.path in self.broken:
            return await self._break_off(request)
        if self.hangs_up_after is not None:
            self.hangs_up_after -= 1
            if self.hangs_up_after < 0 and request.transport is not None:
                request.transport.close()
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        if self._under_way >= self.gathers:
            self._gathered.set()
        await self._gathered.wait()
        self._under_way -= 1
        return web.Response(body=self.manifests[request.path])

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return answer


class FrontServer(TestServer):
    """The service as it really listens: the front, and aiohttp behind it."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.application())
        self._service = service

    async def start_server(self, loop: asyncio.AbstractEventLoop | None = None, **_: Any) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self.runner = runner = web.AppRunner(self.app, access_log=None)
        await runner.setup()
        await self._service.front(runner, (self.host, 0)).start()
        self.scheme, self.port = "http", runner.addresses[0][1]
        self._root = URL(f"http://{self.host}:{self.port}")


class Steering:
    """A running service and how tests talk to it."""

    def __init__(self, service: Service, client: TestClient[web.Request, web.Application], clock: Clock) -> None:
        self.service = service
        self.client = client
        self.clock = clock

    async def get(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        return await self.client.get(path, **options)

    async def json(self, path: str) -> Any:
        async with self.client.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def report(self, *reports: Report) -> None:
        for one in reports:
            async with self.client.post(
                "/api/v1/reports", data=io.BytesIO(msgspec.json.encode(one)), headers=JSON
            ) as answer:
                assert answer.status == 200, await answer.text()

    async def refresh(self) -> None:
        """Looks at the origin now; raises CatalogError as the service's own look would."""
        async with aiohttp.ClientSession() as session:
            await self.service.director.catalog.refresh(session)


JSON = {"Content-Type": "application/json"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    origin = Origin()
    app = web.Application()
    app.router.add_get("/{path:.*}", origin.answer)
    async with TestServer(app) as server:
        origin.url = f"http://127.0.0.1:{server.port}"
        yield origin


@pytest.fixture
def settings(origin: Origin, tmp_path: Path) -> SteeringSettings:
    return SteeringSettings(
        origin=origin.url,
        database=f"sqlite:///{tmp_path}/fleet.sqlite",
        sites=(NORTH, SOUTH),
        poll_every=3600.0,  # tests look themselves, when they want to
    )


@pytest.fixture
async def steering(settings: SteeringSettings, origin: Origin, clock: Clock) -> AsyncIterator[Steering]:
    """A service that knows the title "film", and no appliance."""
    origin.publish("film")
    service = Service(settings, clock)
    async with TestClient(FrontServer(service)) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        yield steering
