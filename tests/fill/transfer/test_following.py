from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from encoder.package import encode
from fill.errors import ForgedError, OrderError
from fill.fleet import FleetClient
from fill.transfer.following import Orderly, answers_to, give_order, resolve
from fill.transfer.orders import Target, state_of
from fill.transfer.parent import Parent
from oca import messages
from origin.storage import Storage, open_storage
from tests.fill.appliance import FakeParent
from tests.fill.catalogs import make_offer, make_seen
from tests.fill.network import Network, entry_of

PACKAGE = "ab" * 16
KEY = Ed25519PrivateKey.generate()
NOW = 1000.0


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(f"file://{tmp_path}/plans") as storage:
        yield storage


@pytest.fixture
async def parent(tmp_path: Path) -> AsyncIterator[FakeParent]:
    fake = FakeParent(tmp_path / "appliance.sock")
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    seen = [make_seen("me"), make_seen("peer", held={f"film/{PACKAGE}": ("*",)})]
    async with Network([], seen) as network:
        yield network


@pytest.fixture
async def fleet(network: Network) -> AsyncIterator[FleetClient]:
    async with FleetClient(network.url, network.url) as client:
        yield client


def orderly(parent: FakeParent, storage: Storage, fleet: FleetClient, *, name: str = "me") -> Orderly:
    return Orderly(
        name, lambda: Parent(parent.path), storage, fleet, origin="http://origin.example",
        keys=[KEY.public_key()], clock=lambda: NOW,
    )  # fmt: skip


async def test_a_preposition_is_carried_out_once_and_answered(
    parent: FakeParent, storage: Storage, fleet: FleetClient
) -> None:
    order = await give_order(storage, "preposition", [Target("film", PACKAGE, "a.mp4")], ["me"], KEY, NOW)
    await orderly(parent, storage, fleet).look()
    await orderly(parent, storage, fleet).look()  # also after a restart
    assert [fill.sources for fill in parent.fills] == [("http://peer.example:8080", "http://origin.example")]
    answers = await answers_to(storage, order)
    assert state_of(order, answers) == "complete" and answers["me"].done == 1


async def test_a_purge_drops_what_is_held(parent: FakeParent, storage: Storage, fleet: FleetClient) -> None:
    parent.status["held"] = {f"film/{PACKAGE}": ["a.mp4", "b.mp4"], f"other/{PACKAGE}": ["a.mp4"]}
    order = await give_order(storage, "purge", [Target("film")], ["me", "peer"], KEY, NOW)
    await orderly(parent, storage, fleet).look()
    assert parent.order == ["-film/a.mp4", "-film/b.mp4"]
    assert state_of(order, await answers_to(storage, order)) == "active"  # the other has not answered yet


async def test_what_fails_is_told_with_its_reason(parent: FakeParent, storage: Storage, fleet: FleetClient) -> None:
    parent.answer = lambda fill: messages.Failed(fill.id, 507, "the disk is full")
    order = await give_order(storage, "preposition", [Target("film", PACKAGE, "a.mp4")], ["me"], KEY, NOW)
    await orderly(parent, storage, fleet).look()
    answer = (await answers_to(storage, order))["me"]
    assert (answer.state, answer.of) == ("failed", 1) and "the disk is full" in answer.reasons[0]


async def test_an_order_that_nobody_signed_is_not_carried_out(
    parent: FakeParent, storage: Storage, fleet: FleetClient
) -> None:
    await give_order(storage, "purge", [Target("film")], ["me"], None, NOW)
    with pytest.raises(ForgedError, match="not signed"):
        await orderly(parent, storage, fleet).look()
    assert parent.heard == []


async def test_an_order_for_others_is_left_to_them(parent: FakeParent, storage: Storage, fleet: FleetClient) -> None:
    await give_order(storage, "purge", [Target("film")], ["peer"], KEY, NOW)
    await orderly(parent, storage, fleet).look()
    assert parent.heard == []


async def test_an_order_for_nobody_is_refused(storage: Storage) -> None:
    with pytest.raises(OrderError, match="no appliance"):
        await give_order(storage, "purge", [Target("film")], [], KEY, NOW)


async def test_a_title_is_resolved_by_the_catalog(network: Network, fleet: FleetClient) -> None:
    offer = make_offer("film")
    network.bodies[f"/v1/film/{offer.package_name}/package.json"] = encode(offer.package)
    network.bodies["/api/v1/titles/film"] = msgspec.json.encode(entry_of(offer))
    assert await resolve(fleet, "film", "v720.mp4") == [Target("film", offer.package_name, "v720.mp4")]
    assert len(await resolve(fleet, "film", "")) == len(offer.package.files)
    with pytest.raises(OrderError, match="no file film/x"):
        await resolve(fleet, "film", "x")
    with pytest.raises(OrderError, match="no title"):
        await resolve(fleet, "other", "")


async def test_what_is_no_title_is_asked_of_nobody() -> None:
    async with FleetClient("http://127.0.0.1:1", "http://127.0.0.1:1") as nobody:
        with pytest.raises(OrderError, match=r"no title '\.\.'"):
            await resolve(nobody, "..", "")
