from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from bench.control import Control
from bench.errors import ProcessFailed
from bench.fleet import Fleet, places

PAGE = "http://127.0.0.1:8060"


class Appliances(Fleet):
    """A fleet whose appliances are only names; north-2 cannot start."""

    def __init__(self) -> None:
        self.places = {place.name: place for place in places(3)}
        self.steering_url, self.port = PAGE, 8080
        self.running = {"north-1", "south-1"}

    def is_running(self, name: str) -> bool:
        return name in self.running

    def kill(self, name: str) -> None:
        self.running.discard(name)

    async def start_appliance(self, name: str) -> None:
        if name == "north-2":
            raise ProcessFailed("north-2 could not start: the disk is full")
        self.running.add(name)


@pytest.fixture
async def fleet() -> Appliances:
    return Appliances()


@pytest.fixture
async def url(fleet: Appliances) -> AsyncIterator[str]:
    control = Control(fleet)
    yield await control.start()
    await control.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_the_appliances_are_listed_with_their_state(url: str, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{url}/api/v1/appliances") as answer:
        told = await answer.json()
    assert told["appliances"][1] == {
        "name": "north-2", "site": "north", "url": "http://127.0.1.2:8080", "state": "stopped",
    }  # fmt: skip


async def test_an_appliance_is_stopped_and_started(url: str, session: aiohttp.ClientSession, fleet: Appliances) -> None:
    async with session.post(f"{url}/api/v1/appliances/north-1/stop") as answer:
        assert (await answer.json())["state"] == "stopped"
    assert fleet.running == {"south-1"}
    async with session.post(f"{url}/api/v1/appliances/north-1/start") as answer:
        assert (await answer.json())["state"] == "running"


@pytest.mark.parametrize("page", [PAGE, "http://localhost:8060"])
async def test_the_demos_page_may_ask(url: str, session: aiohttp.ClientSession, page: str) -> None:
    async with session.post(f"{url}/api/v1/appliances/south-1/stop", headers={"Origin": page}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, page)


async def test_another_page_must_not_ask(url: str, session: aiohttp.ClientSession, fleet: Appliances) -> None:
    headers = {"Origin": "http://elsewhere.example"}
    async with session.post(f"{url}/api/v1/appliances/north-1/stop", headers=headers) as answer:
        assert answer.status == 403
    assert "north-1" in fleet.running


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/appliances/nobody/stop", 404),
        ("GET", "/api/v1/appliances/north-1/stop", 405),
        ("POST", "/api/v1/appliances/north-1/explode", 404),
        ("POST", "/api/v1/appliances/north-2/start", 500),
    ],
)
async def test_what_cannot_be_done_is_a_problem_document(
    url: str, session: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with session.request(method, url + path, headers={"Origin": PAGE}) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert (await answer.json(content_type=None))["detail"]
