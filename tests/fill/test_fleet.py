from __future__ import annotations

import pytest

from encoder.package import MANIFEST_NAME
from fill.errors import FleetError
from fill.fleet import FleetClient
from tests.fill.catalogs import make_offer, make_seen, package_key
from tests.fill.network import Network


async def test_fleet_and_catalog_come_as_values() -> None:
    offer, seen = make_offer("film"), make_seen("x", held={"film/p": ("*",)})
    async with Network([offer], [seen]) as network, FleetClient(network.url, network.url) as client:
        assert await client.fleet() == (seen,)
        (found,) = await client.offers()
        assert (found.package, found.package_name) == (offer.package, offer.package_name)


async def test_a_title_withdrawn_meanwhile_is_left_out() -> None:
    offers = [make_offer("a"), make_offer("b")]
    async with Network(offers) as network, FleetClient(network.url, network.url) as client:
        del network.bodies[f"/v1/{package_key(offers[0])}/{MANIFEST_NAME}"]
        assert [offer.package.title for offer in await client.offers()] == ["b"]


async def test_a_title_whose_manifest_is_wrong_is_left_out_and_named() -> None:
    good, bad = make_offer("good"), make_offer("bad")
    async with Network([good, bad]) as network, FleetClient(network.url, network.url) as client:
        network.bodies[f"/v1/{package_key(bad)}/{MANIFEST_NAME}"] += b" "
        assert [offer.package.title for offer in await client.offers()] == ["good"]
        assert "digest" in str(client.unreadable["bad"])


async def test_many_wrong_manifests_are_an_origin_that_is_ill() -> None:
    offers = [make_offer(f"t{number}") for number in range(8)]
    async with Network(offers) as network, FleetClient(network.url, network.url) as client:
        for offer in offers[:5]:
            network.bodies[f"/v1/{package_key(offer)}/{MANIFEST_NAME}"] += b" "
        with pytest.raises(FleetError, match="digest"):
            await client.offers()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"appliances": [{}]}'])
async def test_nonsense_from_steering_is_said_with_its_url(body: bytes) -> None:
    async with Network() as network, FleetClient(network.url, network.url) as client:
        network.bodies["/api/v1/fleet"] = body
        with pytest.raises(FleetError, match="/api/v1/fleet answered nonsense"):
            await client.fleet()


async def test_nobody_there_is_said_with_the_url() -> None:
    async with FleetClient("http://127.0.0.1:1", "http://127.0.0.1:1") as client:
        with pytest.raises(FleetError, match=r"http://127\.0\.0\.1:1/api/v1/fleet cannot be asked"):
            await client.fleet()


async def test_an_error_from_steering_is_said_with_its_status() -> None:
    async with Network() as network, FleetClient(f"{network.url}/elsewhere", network.url) as client:
        with pytest.raises(FleetError, match="answered 404"):
            await client.fleet()
