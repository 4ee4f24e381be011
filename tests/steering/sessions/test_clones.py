"""Clones: what they may be of, how each player has to be told, and sessions that nobody of their manifest can serve."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient

from config.steering import SteeringSettings
from oca.report import EVERY_FILE
from steering.service import Service
from steering.sessions.clones import Stand, base_of, describe
from tests.steering.conftest import Clock, FrontServer, Origin, Steering
from tests.steering.test_service import begin, site
from tests.steering.values import report

BASES = (Stand("a", "http://a.example:8080"), Stand("b", "https://b.example"))


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://c.example:8080", "a"),
        ("http://[2001:db8::1]:8080", "a"),
        ("https://c.example", "b"),
        ("https://c.example:443", "b"),
        ("http://c.example", None),
        ("https://c.example:8080", None),
        ("ftp://c.example:8080", None),
        ("http://:8080", None),
        ("http://c.example:x", None),
        ("", None),
    ],
)
def test_a_clone_has_its_bases_scheme_and_port(url: str, base: str | None) -> None:
    assert base_of(url, BASES) == base


@pytest.mark.parametrize(
    ("url", "bare", "with_port"),
    [
        ("http://c.example:8080", "c.example", "c.example:8080"),
        ("https://c.example", "c.example", "c.example"),
        ("http://[2001:db8::1]:8080", "[2001:db8::1]", "[2001:db8::1]:8080"),
    ],
)
def test_a_host_is_what_each_player_takes_for_one(url: str, bare: str, with_port: str) -> None:
    for has_port, host in ((False, bare), (True, with_port)):
        (described,) = describe([Stand("c", url)], BASES, with_port=has_port)
        assert described == {"BASE-ID": base_of(url, BASES), "ID": "c", "URI-REPLACEMENT": {"HOST": host}}


def test_what_is_no_clone_of_any_base_is_not_described() -> None:
    assert describe([Stand("c", "http://c.example:1")], BASES, with_port=False) == []


# Sessions


@pytest.fixture
async def cluster(settings: SteeringSettings, origin: Origin, clock: Clock) -> AsyncIterator[Steering]:
    """Four appliances at one site, of which a manifest lists one."""
    origin.publish("film")
    service = Service(dataclasses.replace(settings, pathways=1), clock)
    async with TestClient(FrontServer(service)) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        await tell(steering, 1)
        yield steering


async def tell(steering: Steering, sequence: int, **states: str) -> None:
    held = {f"film/{steering.service.director.catalog.titles['film'].entry.package}": EVERY_FILE}
    for name in ("n1", "n2", "n3", "n4"):
        state: Any = states.get(name, "serving")
        await steering.report(report(name, sequence=sequence, site=site(name), held=held, state=state))


def uri_of(manifest: dict[str, Any]) -> str:
    parts = urlsplit(manifest["RELOAD-URI"])
    return f"{parts.path}?{parts.query}"


async def test_a_session_whose_appliances_are_gone_is_told_of_others(cluster: Steering) -> None:
    uri = await begin(cluster)
    first = (await cluster.json(uri))["PATHWAY-PRIORITY"][0]
    assert "PATHWAY-CLONES" not in await cluster.json(uri)
    await tell(cluster, 2, **{first: "draining"})
    manifest = await cluster.json(uri)
    clone, *rest = manifest["PATHWAY-PRIORITY"]
    assert clone not in (first, "origin")
    assert rest == ["origin", first]
    (described,) = manifest["PATHWAY-CLONES"]
    assert described == {"BASE-ID": first, "ID": clone, "URI-REPLACEMENT": {"HOST": f"{clone}.localhost"}}


async def test_a_clone_is_told_again_until_the_session_ends_and_the_manifests_own_come_back(cluster: Steering) -> None:
    uri = await begin(cluster)
    first = (await cluster.json(uri))["PATHWAY-PRIORITY"][0]
    await tell(cluster, 2, **{first: "draining"})
    manifest = await cluster.json(uri)
    clone = manifest["PATHWAY-PRIORITY"][0]
    again = await cluster.json(f"{uri_of(manifest)}&_HLS_pathway={clone}")
    assert again["PATHWAY-PRIORITY"] == manifest["PATHWAY-PRIORITY"]
    assert again["PATHWAY-CLONES"] == manifest["PATHWAY-CLONES"]
    assert again["RELOAD-URI"] == manifest["RELOAD-URI"]
    await tell(cluster, 3)
    back = await cluster.json(uri_of(again))
    assert back["PATHWAY-PRIORITY"] == [first, clone, "origin"]
    assert back["PATHWAY-CLONES"] == manifest["PATHWAY-CLONES"]


async def test_a_clone_that_goes_has_another_beside_it(cluster: Steering) -> None:
    uri = await begin(cluster)
    gone: dict[str, str] = {}
    for sequence in range(2, 5):
        manifest = await cluster.json(uri)
        gone[manifest["PATHWAY-PRIORITY"][0]] = "draining"
        await tell(cluster, sequence, **gone)
        uri = uri_of(await cluster.json(uri))
    manifest = await cluster.json(uri)
    assert manifest["PATHWAY-PRIORITY"][0] not in gone
    assert len(manifest["PATHWAY-CLONES"]) == 3
    await tell(cluster, 5, n1="draining", n2="draining", n3="draining", n4="draining")
    assert (await cluster.json(uri))["PATHWAY-PRIORITY"][0] == "origin"


@pytest.mark.parametrize(
    ("query", "suffix"), [("_DASH_pathway=%22{0}%22", ":8080"), ("_DASH_pathway={0}", ""), ("", "")]
)
async def test_dash_js_is_told_the_port_and_shaka_is_not(cluster: Steering, query: str, suffix: str) -> None:
    uri = await begin(cluster, "/play/film/manifest.mpd")
    first = (await cluster.json(uri))["PATHWAY-PRIORITY"][0]
    await tell(cluster, 2, **{first: "draining"})
    manifest = await cluster.json(f"{uri}&{query.format(first)}")
    (described,) = manifest["PATHWAY-CLONES"]
    assert described["URI-REPLACEMENT"]["HOST"] == f"{described['ID']}.localhost{suffix}"
