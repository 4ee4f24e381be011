from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from encoder.package import encode
from fill.fleet import FleetClient
from fill.transfer.following import Orderly, read_orders
from fill.transfer.parent import Parent
from fill.transfer.triggers import COMMAND_TYPE, STATUS_TYPE, Triggers
from origin.storage import Storage, open_storage
from tests.fill.appliance import FakeParent
from tests.fill.catalogs import make_offer, make_seen
from tests.fill.network import Network, entry_of

PACKAGE = "ab" * 16
OFFER = make_offer("film")


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(f"file://{tmp_path}/plans") as storage:
        yield storage


@pytest.fixture
async def fleet() -> AsyncIterator[FleetClient]:
    async with Network([OFFER], [make_seen("me")]) as network:
        network.bodies["/api/v1/titles/film"] = msgspec.json.encode(entry_of(OFFER))
        network.bodies[f"/v1/film/{OFFER.package_name}/package.json"] = encode(OFFER.package)
        async with FleetClient(network.url, network.url) as client:
            yield client


Client = TestClient[Any, Any]


@pytest.fixture
async def client(storage: Storage, fleet: FleetClient) -> AsyncIterator[Client]:
    triggers = Triggers(storage, fleet, key=None, token="", clock=lambda: 1000.0)
    async with TestClient(TestServer(triggers.application())) as client:
        yield client


def command(type: str, *urls: str, **more: Any) -> bytes:
    return msgspec.json.encode({"trigger": {"type": type, "content.urls": urls, **more}, "cdn-path": ["AS64496:1"]})


async def post(client: Client, body: bytes, kind: str = COMMAND_TYPE) -> tuple[int, dict[str, Any], str]:
    async with client.post("/triggers", data=body, headers={"Content-Type": kind}) as answer:
        return answer.status, msgspec.json.decode(await answer.read()), answer.headers.get("Location", "")


async def test_a_purge_is_pending_then_carried_out_then_complete(
    client: Client, storage: Storage, fleet: FleetClient, tmp_path: Path
) -> None:
    status, told, location = await post(client, command("purge", f"https://cdn.example/v1/film/{PACKAGE}"))
    assert (status, told["status"], told["ctime"]) == (201, "pending", 1000)
    parent = FakeParent(tmp_path / "appliance.sock")
    parent.status["held"] = {f"film/{PACKAGE}": ["a.mp4"]}
    await parent.start()
    orderly = Orderly("me", lambda: Parent(parent.path), storage, fleet, origin="", clock=lambda: 1001.0)
    await orderly.look()
    async with ClientSession() as session, session.get(location) as answer:
        assert answer.headers["Content-Type"] == STATUS_TYPE
        told = await answer.json(content_type=None)
    assert (told["status"], told["mtime"], parent.order) == ("complete", 1001, ["-film/a.mp4"])
    await parent.stop()


async def test_to_invalidate_is_to_purge(client: Client, storage: Storage) -> None:
    await post(client, command("invalidate", "/v1/film"))
    assert [order.kind for order in (await read_orders(storage, [])).orders] == ["purge"]


async def test_a_preposition_of_a_title_is_one_of_its_files(client: Client, storage: Storage) -> None:
    await post(client, command("preposition", "http://cdn.example/v1/film"))
    (order,) = (await read_orders(storage, [])).orders
    assert {target.file for target in order.targets} == {file.name for file in OFFER.package.files}
    assert order.appliances == ("me",)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (command("purge", "/v1/film", **{"content.patterns": [{"pattern": "*"}]}), "eunsupported"),
        (command("purge", "/other"), "econtent"),
        (command("purge"), "econtent"),
        (command("preposition", "/v1/unknown"), "econtent"),
        (command("preposition", f"/v1/film/{PACKAGE}"), "econtent"),
        (command("purge", "/v1/../x"), "econtent"),
    ],
)
async def test_what_cannot_be_done_is_a_trigger_that_failed(client: Client, body: bytes, error: str) -> None:
    status, told, location = await post(client, body)
    assert (status, told["status"], told["errors"][0]["error"]) == (201, "failed", error)
    async with ClientSession() as session, session.get(location) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"nonsense", COMMAND_TYPE, 400),
        (b'{"cdn-path": [], "cancel": ["/triggers/1"]}', COMMAND_TYPE, 400),
        (command("explode", "/v1/film"), COMMAND_TYPE, 400),
        (command("purge", "/v1/film"), "application/json", 415),
    ],
)
async def test_what_is_no_command_is_refused(client: Client, body: bytes, kind: str, status: int) -> None:
    assert (await post(client, body, kind))[0] == status


async def test_the_collection_names_every_trigger(client: Client) -> None:
    _, _, location = await post(client, command("purge", "/v1/film"))
    async with client.get("/triggers") as answer:
        assert (await answer.json(content_type=None))["triggers"] == [location]
    async with client.get("/triggers/unknown") as answer:
        assert answer.status == 404


async def test_with_a_token_nobody_orders_without_it(storage: Storage, fleet: FleetClient) -> None:
    triggers = Triggers(storage, fleet, key=None, token="secret")
    async with TestClient(TestServer(triggers.application())) as client:
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer x"}, 401),
            ({"Authorization": "Bearer secret"}, 200),
        ):
            async with client.get("/triggers", headers=headers) as answer:
                assert answer.status == status
