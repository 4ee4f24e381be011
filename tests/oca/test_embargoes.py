from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpServer

from oca import messages
from oca.embargoes import NAME, Embargoes, holds, numeric_hosts
from oca.errors import OcaError
from oca.link import Link
from oca.messages import Message
from tests.media import make_package
from tests.oca.running import Running
from tests.oca.upstream import Upstream

PEER = "127.0.0.9"


def test_an_embargo_is_kept_over_restarts_until_it_is_over(tmp_path: Path) -> None:
    now = [100.0]
    embargoes = Embargoes(tmp_path, lambda: now[0])
    assert embargoes.put("film/p", 200.0)
    assert not embargoes.put("film/p", 200.0)
    again = Embargoes(tmp_path, lambda: now[0])
    again.load()
    assert again.now() == {"film/p": 200.0}
    now[0] = 200.0
    assert again.now() == {} and not again.put("other/p", 0.0)


def test_a_release_that_is_moved_forward_is_taken_up(tmp_path: Path) -> None:
    embargoes = Embargoes(tmp_path, lambda: 100.0)
    embargoes.put("film/p", 200.0)
    assert embargoes.put("film/p", 0.0)
    assert not holds(embargoes.now(), "film/p", 100.0)


def test_what_cannot_be_read_is_no_reason_to_serve_too_early(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"nonsense")
    with pytest.raises(OcaError, match="cannot be read"):
        Embargoes(tmp_path).load()


def test_only_addresses_are_taken_from_the_urls_of_peers() -> None:
    assert numeric_hosts(["http://10.0.0.1:8080", "http://[::1]:80", "http://peer.example"]) == ("10.0.0.1", "::1")


@pytest.fixture
async def appliance(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[tuple[Running, str]]:
    folder = make_package(tmp_path / "source", size=100_000)
    server = await aiohttp_server(Upstream(folder.parent.parent).application())
    origin = str(server.make_url("")).rstrip("/")
    oca = Running(tmp_path / "oca", "--origin", origin, "--peers", f"http://{PEER}:1")
    await oca.start()
    yield oca, folder.name
    await oca.end()


async def fill(oca: Running, package: str, not_before: float) -> None:
    link = Link()
    await link.start(oca.state / "appliance.sock")
    last: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def hear(message: Message) -> None:
        if not isinstance(message, messages.Moved):
            last.set_result(message)

    link.ask(1, messages.Fill(1, "title", package, "v360.mp4", (), not_before=not_before), hear)
    async with asyncio.timeout(20):
        assert await last == messages.Done(1)
    await link.close()


async def status(oca: Running, path: str, client: str = "127.0.0.1") -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection(oca.host, oca.port, timeout=10, source_address=(client, 0))
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.headers["Cache-Status"].partition(";")[2]

    return await asyncio.to_thread(ask)


async def test_before_its_release_a_package_is_served_to_peers_only(appliance: tuple[Running, str]) -> None:
    oca, package = appliance
    files = [f"/v1/title/{package}/{file}" for file in ("v360.mp4", "v360/1.m4s", "package.json", "poster.jpg")]
    await fill(oca, package, time.time() + 3600)
    unknown = await status(oca, f"/v1/title/{'0' * 32}/v360.mp4")
    for path in files:
        assert (await status(oca, path, PEER))[0] == 200
        assert await status(oca, path) == unknown, path
    await oca.end()
    await oca.start()
    assert await status(oca, files[0]) == unknown
    await fill(oca, package, 0.0)  # released
    for path in files:
        assert (await status(oca, path))[0] == 200


async def test_what_players_had_before_is_kept_from_them_at_once(appliance: tuple[Running, str]) -> None:
    oca, package = appliance
    path = f"/v1/title/{package}/v360.mp4"
    await fill(oca, package, 0.0)
    for _ in range(3):
        assert (await status(oca, path))[0] == 200
    await fill(oca, package, time.time() + 3600)
    async with asyncio.timeout(20):
        while (await status(oca, path))[0] != 404:
            pass
