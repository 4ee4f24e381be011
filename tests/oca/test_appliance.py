"""One appliance as its peers, its operators and its origin's troubles find it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from encoder.package import BLOCK_SIZE, MANIFEST_NAME
from oca import messages
from oca.errors import OcaError
from oca.link import Link
from oca.report import Answer, MeasuredPath, Players, Report, decode_report
from tests.media import make_package
from tests.oca.running import Running
from tests.oca.upstream import Upstream
from tests.waiting import is_alive, until


class Network:
    """An upstream that serves one package, and appliances that pull from it."""

    def __init__(self, directory: Path, upstream: Upstream, url: str, folder: Path) -> None:
        self.directory, self.upstream, self.url, self.folder = directory, upstream, url, folder
        self.base = f"/v1/title/{folder.name}"
        self.data = (folder / "v360.mp4").read_bytes()
        self._running: list[Running] = []

    def appliance(self, name: str = "oca-1", *options: str) -> Running:
        running = Running(self.directory / name, "--origin", self.url, *options, name=name)
        self._running.append(running)
        return running

    async def close(self) -> None:
        for running in self._running:
            if hasattr(running, "process"):
                await running.end(signal.SIGKILL)


@pytest.fixture
async def network(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[Network]:
    folder = make_package(tmp_path / "source")
    upstream = Upstream(tmp_path / "source")
    server = await aiohttp_server(upstream.application())
    network = Network(tmp_path, upstream, str(server.make_url("")).rstrip("/"), folder)
    yield network
    await network.close()


async def get(url: str, **headers: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.read()


async def test_a_known_file_that_is_not_held_is_pulled_through(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    assert await get(f"{oca.url}{network.base}/v360.mp4") == (200, network.data)
    await oca.held(f"title/{network.folder.name}", "v360.mp4")
    assert (oca.volume / "title" / network.folder.name / "v360.mp4").read_bytes() == network.data


async def test_players_of_a_cold_file_cost_the_origin_each_block_once(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    answers = await asyncio.gather(*(get(f"{oca.url}{network.base}/v360.mp4") for _ in range(50)))
    assert all(answer == (200, network.data) for answer in answers)
    assert set(network.upstream.asked.values()) == {1}


async def test_bytes_reach_the_player_while_the_block_is_under_way(network: Network) -> None:
    oca = network.appliance("oca-1", "--stall-limit", "20s")
    await oca.start()
    network.upstream.gate = asyncio.Event()
    async with aiohttp.ClientSession() as session, session.get(f"{oca.url}{network.base}/v360.mp4") as answer:
        early = await answer.content.readexactly(BLOCK_SIZE // 4)
        assert not network.upstream.gate.is_set()
        network.upstream.gate.set()
        assert early + await answer.read() == network.data


async def test_an_upstream_that_falls_silent_is_a_503_within_the_stall_limit(network: Network) -> None:
    oca = network.appliance("oca-1", "--stall-limit", "1s")
    await oca.start()
    await get(f"{oca.url}{network.base}/{MANIFEST_NAME}")
    network.upstream.silent_after = 0
    status, body = await asyncio.wait_for(get(f"{oca.url}{network.base}/v360.mp4"), 3)
    assert status == 503 and (b"does not answer" in body or b"in time" in body)


async def test_an_upstream_that_falls_silent_in_mid_answer_is_a_reset(network: Network) -> None:
    oca = network.appliance("oca-1", "--stall-limit", "1s")
    await oca.start()
    await get(f"{oca.url}{network.base}/{MANIFEST_NAME}")
    network.upstream.silent_after = 100_000
    with pytest.raises(aiohttp.ClientError):
        await asyncio.wait_for(get(f"{oca.url}{network.base}/v360.mp4"), 3)


async def test_wrong_bytes_from_upstream_end_in_a_reset_never_in_an_answer(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    await get(f"{oca.url}{network.base}/{MANIFEST_NAME}")
    network.upstream.corrupt = True
    with pytest.raises(aiohttp.ClientError):
        await get(f"{oca.url}{network.base}/v360/1.m4s")
    network.upstream.corrupt = False
    assert (await get(f"{oca.url}{network.base}/v360/1.m4s"))[0] == 200


async def test_a_peer_is_asked_first_and_never_pulls_for_us(network: Network) -> None:
    peer = network.appliance("oca-1")
    await peer.start()
    await get(f"{peer.url}{network.base}/v360.mp4")
    network.upstream.asked.clear()
    oca = network.appliance("oca-2", "--peers", peer.url)
    await oca.start()
    assert await get(f"{oca.url}{network.base}/v360.mp4") == (200, network.data)
    assert not network.upstream.asked
    status, _ = await get(f"{peer.url}{network.base}/poster.jpg", **{"Cache-Control": "only-if-cached"})
    assert status == 504
    assert (await get(f"{oca.url}{network.base}/poster.jpg"))[0] == 200
    await peer.held(f"title/{network.folder.name}", "v360.mp4")


async def test_without_its_origin_an_appliance_serves_what_it_has(network: Network, tmp_path: Path) -> None:
    oca = Running(tmp_path / "alone", "--origin", "http://127.0.0.1:1", "--steering", "http://127.0.0.1:1")
    shutil.copytree(network.folder.parent.parent, oca.volume)
    (oca.volume / "title" / network.folder.name / "poster.jpg").unlink()
    await oca.start()
    try:
        assert await get(f"{oca.url}{network.base}/v360.mp4") == (200, network.data)
        status, body = await get(f"{oca.url}{network.base}/poster.jpg")
        assert status == 503 and b"does not answer" in body
    finally:
        assert await oca.end() == 0


async def test_killed_at_any_instant_of_a_fill_it_goes_on_with_what_was_verified(network: Network) -> None:
    oca = network.appliance("oca-1", "--stall-limit", "20s")
    await oca.start()
    # All blocks are asked for at once; this one does not come whole.
    network.upstream.gate, network.upstream.gated = asyncio.Event(), 1
    link = Link()
    await link.start(oca.state / "appliance.sock")
    first_block = asyncio.Event()

    def hear(message: messages.Message) -> None:
        if isinstance(message, messages.Moved) and message.done:
            first_block.set()

    link.ask(1, messages.Fill(1, "title", network.folder.name, "v360.mp4", ()), hear)
    await first_block.wait()
    workers = (await oca.ask("status"))["workers"]
    await oca.end(signal.SIGKILL)
    await link.close()
    network.upstream.gate.set()
    network.upstream.asked.clear()
    assert not (oca.volume / "title" / network.folder.name / "v360.mp4").exists()
    await oca.start()
    assert await get(f"{oca.url}{network.base}/v360.mp4") == (200, network.data)
    assert 1 <= network.upstream.asked.total() < 4
    await until(lambda: not any(is_alive(worker) for worker in workers))


async def test_fill_and_drop_are_answered_on_the_local_socket(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    link = Link()
    await link.start(oca.state / "appliance.sock")
    done = asyncio.Event()
    heard: list[messages.Message] = []

    def hear(message: messages.Message) -> None:
        heard.append(message)
        if not isinstance(message, messages.Moved):
            done.set()

    link.ask(1, messages.Fill(1, "title", network.folder.name, "v360.mp4", (network.url,)), hear)
    await done.wait()
    assert heard[-1] == messages.Done(1)
    assert heard[-2] == messages.Moved(1, len(network.data), len(network.data), network.url)
    path = oca.volume / "title" / network.folder.name / "v360.mp4"
    assert path.stat().st_mode & 0o777 == 0o444
    assert (await get(f"{oca.url}{network.base}/v360.mp4"))[0] == 200
    await link.request(lambda id: messages.Drop(id, "title", network.folder.name, "v360.mp4"))
    assert not path.exists()
    with pytest.raises(OcaError, match="has no file"):
        await link.request(lambda id: messages.Fill(id, "title", network.folder.name, "nothing.mp4", ()))
    await link.close()


async def test_nonsense_on_the_local_socket_harms_nobody(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    for nonsense in (b"\xff\xff\xff\xff", b"\0\0\0\5hello", b"\0\0\0\1\xc1"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(oca.state / "appliance.sock"))
            client.sendall(nonsense)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            assert client.recv(100) == b""
    assert (await get(f"{oca.url}{network.base}/poster.jpg"))[0] == 200


async def test_sigterm_lets_a_download_finish_and_takes_nothing_new(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    await get(f"{oca.url}{network.base}/v360.mp4")
    async with aiohttp.ClientSession() as session, session.get(f"{oca.url}{network.base}/v360.mp4") as answer:
        oca.process.send_signal(signal.SIGTERM)
        body = await answer.read()
    assert body == network.data
    assert await oca.wait() == 0
    with pytest.raises(OSError):
        oca.connect()


async def test_a_taken_port_is_a_clear_error(network: Network) -> None:
    first = network.appliance("oca-1")
    await first.start()
    second = network.appliance("oca-2", "--listen", f"127.0.0.1:{first.port}")
    with pytest.raises(AssertionError, match=f"error: cannot listen on 127.0.0.1:{first.port}: Address already in use"):
        await second.start()
    assert await second.end() == 1


async def test_a_volume_in_use_is_a_clear_error_and_the_first_goes_on(network: Network) -> None:
    first = network.appliance("oca-1")
    await first.start()
    second = network.appliance("oca-1")
    with pytest.raises(AssertionError, match="belongs to another appliance that is running"):
        await second.start()
    assert (await get(f"{first.url}{network.base}/poster.jpg"))[0] == 200


class Steering:
    """Takes reports as the real one does, and may refuse them."""

    def __init__(self) -> None:
        self.status = 200
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.known = ""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/v1/reports", self.take)
        return app

    async def take(self, request: web.Request) -> web.Response:
        report = decode_report(await request.read())
        if report.held is not None:
            self.known = report.held_version
        self.reports.put_nowait(report)
        return web.Response(body=msgspec.json.encode(Answer(held_version=self.known)), status=self.status)


async def test_reports_tell_what_is_held_once_and_then_only_its_version(
    network: Network, aiohttp_server: AiohttpServer
) -> None:
    steering = Steering()
    url = str((await aiohttp_server(steering.application())).make_url("")).rstrip("/")
    oca = network.appliance("oca-1", "--steering", url, "--report-every", "100ms")
    await oca.start()
    first, second = await steering.reports.get(), await steering.reports.get()
    assert (first.held, second.held) == ({}, None)
    assert (first.name, first.site, first.state, first.url) == ("oca-1", "north", "serving", oca.url)
    assert second.sequence > first.sequence and second.instance == first.instance
    await get(f"{oca.url}{network.base}/v360.mp4")
    held = None
    while not held:
        held = (await steering.reports.get()).held
    assert held == {f"title/{network.folder.name}": ("v360.mp4",)}
    assert (await oca.ask("drain"))["state"] == "draining"
    while (await steering.reports.get()).state != "draining":
        pass
    assert (await get(f"{oca.url}{network.base}/v360/1.m4s"))[0] == 200  # draining, it serves those that stay
    assert (await oca.ask("resume"))["state"] == "serving"


async def test_reports_tell_how_it_goes_for_those_who_are_served(
    network: Network, aiohttp_server: AiohttpServer
) -> None:
    steering = Steering()
    url = str((await aiohttp_server(steering.application())).make_url("")).rstrip("/")
    oca = network.appliance("oca-1", "--steering", url, "--report-every", "100ms")
    await oca.start()
    part = f"{oca.url}{network.base}/v360/1.m4s"
    for session in ("well", "starving"):
        await get(f'{part}?CMCD=sid="{session}"')
    await get(f'{part}?CMCD=bs,sid="starving"')
    await get(f'{part}?CMCD=bs,sid="starved-elsewhere"')
    paths: dict[str, MeasuredPath] = {}
    players = None
    while players is None or players.sessions < 3 or not paths:
        report = await steering.reports.get()
        players, paths = report.players, paths or report.paths
    assert players == Players(sessions=3, witnesses=3, starved=1, starved_networks=1)
    assert set(paths) == {"127.0.0.0"} and 0 < paths["127.0.0.0"].rtt_us < 100_000


async def test_a_second_appliance_of_the_same_name_ends_with_a_clear_error(
    network: Network, aiohttp_server: AiohttpServer
) -> None:
    steering = Steering()
    steering.status = 409
    url = str((await aiohttp_server(steering.application())).make_url("")).rstrip("/")
    oca = network.appliance("oca-1", "--steering", url)
    await oca.spawn()
    assert oca.process.stderr is not None
    said = (await oca.process.stderr.read()).decode()
    assert "error: steering knows another living appliance named 'oca-1'" in said
    assert await oca.process.wait() == 1


async def test_a_scrub_heals_by_fetching_again(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    await get(f"{oca.url}{network.base}/v360.mp4")
    await oca.held(f"title/{network.folder.name}", "v360.mp4")
    path = oca.volume / "title" / network.folder.name / "v360.mp4"
    with path.open("r+b") as file:
        file.seek(BLOCK_SIZE)
        file.write(b"rot")
    assert (await oca.ask("scrub"))["rotten"] == [f"title/{network.folder.name}/v360.mp4"]
    assert await get(f"{oca.url}{network.base}/v360.mp4") == (200, network.data)


async def test_a_held_file_that_somebody_took_off_the_disk_is_fetched_again(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    package = f"title/{network.folder.name}"
    await get(f"{oca.url}{network.base}/poster.jpg")
    await oca.held(package, "poster.jpg")
    await oca.end(signal.SIGKILL)
    await oca.start()
    workers = (await oca.ask("status"))["workers"]
    (oca.volume / package / "poster.jpg").unlink()  # the parent believes that it is held, no worker has it open
    assert await get(f"{oca.url}{network.base}/poster.jpg") == (200, (network.folder / "poster.jpg").read_bytes())
    assert (await oca.ask("status"))["workers"] == workers


async def test_a_manifest_that_somebody_took_off_the_disk_is_fetched_again(network: Network) -> None:
    oca = network.appliance()
    await oca.start()
    await get(f"{oca.url}{network.base}/poster.jpg")
    (oca.volume / "title" / network.folder.name / MANIFEST_NAME).unlink()
    status, _ = await asyncio.wait_for(get(f"{oca.url}{network.base}/{MANIFEST_NAME}"), 5)
    assert status in (200, 503)  # never a wait: the parent may still believe that it holds it
    assert (await get(f"{oca.url}{network.base}/poster.jpg"))[0] == 200
