"""The demo's control: lets the web page stop and start appliances of the local network.

    GET  /api/v1/appliances                {"appliances": [{"name", "site", "url", "state": "running" | "stopped"}]}
    POST /api/v1/appliances/{name}/stop    as if its power went (SIGKILL)
    POST /api/v1/appliances/{name}/start

Only the demo's own page may ask from a browser: another page that is open on this machine must not.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from bench.fleet import Fleet
from bench.processes import STOP_LIMIT_S
from config.errors import NearcastError
from oca.http.answer import problem


class Control:
    """The control server of a fleet, on a port of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._starting = asyncio.Lock()  # two clicks on "start" are one start
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/api/v1/appliances", self._list),
                web.post("/api/v1/appliances/{name}/stop", self._stop),
                web.post("/api/v1/appliances/{name}/start", self._start),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_LIMIT_S)

    async def start(self) -> str:
        """Listens, and returns its URL."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"appliances": [self._show(name) for name in self._fleet.places]})

    async def _stop(self, request: web.Request) -> web.Response:
        name = self._named(request)
        async with self._starting:
            self._fleet.kill(name)
        return web.json_response(self._show(name))

    async def _start(self, request: web.Request) -> web.Response:
        name = self._named(request)
        async with self._starting:
            await self._fleet.start_appliance(name)
        return web.json_response(self._show(name))

    def _named(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._fleet.places:
            raise web.HTTPNotFound(text=f"no appliance {name[:64]!r}, only {', '.join(self._fleet.places)}")
        return name

    def _show(self, name: str) -> dict[str, str]:
        state = "running" if self._fleet.is_running(name) else "stopped"
        return {"name": name, "site": self._fleet.sites[name], "url": self._fleet.url(name), "state": state}

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers failures as RFC 9457 says, and refuses every page but the demo's."""
        page = request.headers.get("Origin")
        if page is not None and page not in self._pages():
            return _problem(403, f"{page} is not the demo's page")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _problem(error.status, error.text or error.reason)
        except NearcastError as error:
            response = _problem(500, str(error))
        if page is not None:
            response.headers["Access-Control-Allow-Origin"] = page
        return response

    def _pages(self) -> tuple[str, ...]:
        """What a browser may call the page's origin."""
        url = self._fleet.steering_url
        return url, url.replace("127.0.0.1", "localhost")


def _problem(status: int, detail: str) -> web.Response:
    return web.Response(status=status, body=problem(status, detail), content_type="application/problem+json")
