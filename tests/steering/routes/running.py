"""A routes process inside the test's own loop, and the table that steering would map."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from config.steering import BgpSettings, SiteSettings, SteeringSettings
from steering.prefixes.addresses import parse_address
from steering.prefixes.table_file import TableReader
from steering.routes.service import Service
from tests.waiting import until


class Clock:
    """Seconds since the epoch, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Running:
    def __init__(self, service: Service, client: TestClient[Any, Any], path: Path) -> None:
        self.service, self.client = service, client
        self.table = TableReader(path)
        self.socket = path.with_name(f"{path.name}.sock")

    def sites(self, address: str) -> tuple[str, ...]:
        """What a player at the address would be sent to, by the table file as it is now."""
        self.table.refresh()
        parsed = parse_address(address)
        assert parsed is not None
        match = self.table.find(parsed)
        return match.sites if match is not None else ()

    async def becomes(self, address: str, *sites: str) -> None:
        await until(lambda: self.sites(address) == sites)

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.client.get(path) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def session(self, name: str) -> Any:
        sessions = (await self.get("/api/v1/sessions"))["sessions"]
        return next(one for one in sessions if one["name"] == name)

    async def session_becomes(self, name: str, condition: Callable[[Any], bool]) -> None:
        async def holds() -> bool:
            return condition(await self.session(name))

        await until(holds)

    @asynccontextmanager
    async def exabgp(self) -> AsyncIterator[asyncio.StreamWriter]:
        """Stands in for ExaBGP's forwarder."""
        _, writer = await asyncio.open_unix_connection(self.socket)
        try:
            yield writer
        finally:
            writer.close()
            await writer.wait_closed()


def settings(folder: Path, *sessions: BgpSettings, **more: Any) -> SteeringSettings:
    sites = tuple(SiteSettings(name=name) for name in dict.fromkeys(one.site for one in sessions))
    return SteeringSettings(routes=folder / "table", bgp=sessions, sites=sites, **more)


@asynccontextmanager
async def running(given: SteeringSettings, clock: Clock | None = None) -> AsyncIterator[Running]:
    assert given.routes is not None
    service = Service(given, clock or Clock())
    async with TestClient(TestServer(service.application())) as client:
        yield Running(service, client, given.routes)
