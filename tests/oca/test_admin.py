from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp.plugin import AiohttpClient

from config.oca import OcaSettings
from oca.admin import application
from oca.appliance import Appliance
from oca.miss.fetcher import Fetcher
from oca.miss.upstream import Upstreams
from oca.store.scrub import Scrub
from oca.workers import Workers
from tests.media import make_package

Client: TypeAlias = TestClient[web.Request, None]


@pytest.fixture
async def appliance(tmp_path: Path) -> AsyncIterator[Appliance]:
    """All of one but its workers and sockets; a package is on the first of its two volumes."""
    make_package(tmp_path / "a", size=1000)
    (tmp_path / "state").mkdir()
    roots = (tmp_path / "a", tmp_path / "b")
    appliance = Appliance(OcaSettings(name="oca-1", site="north", state=tmp_path / "state", volume=roots))
    await appliance.volumes.start()
    async with aiohttp.ClientSession() as session:
        appliance.upstreams = Upstreams(session, 1.0)
        fetcher = appliance.fetcher = Fetcher(appliance.volumes, appliance.upstreams, [])
        place = tmp_path / "scrub"
        appliance.scrub = Scrub(appliance.volumes, fetcher.table, fetcher.check, fetcher.check_manifest, 0, place)
        appliance.workers = Workers([], appliance._worker_settings)
        yield appliance
        await appliance.fetcher.close()
    await appliance.volumes.close()


@pytest.fixture
async def client(appliance: Appliance, aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(TestServer(application(appliance)))


async def metric(client: Client, name: str) -> float:
    lines = (await (await client.get("/metrics")).text()).splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).rpartition(" ")[2])


async def test_one_volume_of_two_that_failed_is_a_note_and_no_reason_against_it(
    appliance: Appliance, client: Client
) -> None:
    first, second = appliance.volumes.volumes
    assert await (await client.get("/readyz")).json() == {"ready": True, "reasons": [], "notes": []}
    disk = appliance.report(with_held=True).disk_bytes
    second.fail("it was pulled")
    ready = await client.get("/readyz")
    note = f"volume {second.root} was taken out: it was pulled"
    assert ready.status == 200 and (await ready.json())["notes"] == [note]
    report = appliance.report(with_held=True)
    assert (report.problems, report.notes) == ((), (note,)) and report.disk_bytes < disk
    first.fail("it was pulled too")
    ready = await client.get("/readyz")
    assert ready.status == 503 and len((await ready.json())["reasons"]) == 2
    assert len(appliance.report(with_held=True).problems) == 2


async def test_each_volume_has_metrics(appliance: Appliance, client: Client) -> None:
    first, second = appliance.volumes.volumes
    assert await metric(client, f'nearcast_oca_volume_files{{volume="{first.root}"}}') == 3
    assert await metric(client, f'nearcast_oca_volume_used_bytes{{volume="{first.root}"}}') > 6000
    assert await metric(client, f'nearcast_oca_volume_failed{{volume="{second.root}"}}') == 0
    second.fail("it was pulled")
    assert await metric(client, f'nearcast_oca_volume_failed{{volume="{second.root}"}}') == 1
    assert await metric(client, f'nearcast_oca_volume_bytes{{volume="{second.root}"}}') == 0


async def test_rot_and_what_was_read_are_counted(appliance: Appliance, client: Client) -> None:
    found = await appliance.scrub.once()
    assert await metric(client, "nearcast_oca_scrubbed_bytes_total") == found.bytes > 6000
    appliance.fetcher.rotten_blocks["repaired"] += 2
    assert await metric(client, 'nearcast_oca_rotten_blocks_total{outcome="repaired"}') == 2
    assert await metric(client, 'nearcast_oca_rotten_blocks_total{outcome="dropped"}') == 0
