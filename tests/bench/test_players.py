"""Players against small servers on loopback addresses, which serve a film of chance bytes and fail on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from bench import players
from bench.fleet import find_port
from bench.players import Player, Viewer
from bench.presentation import Protocol
from bench.reference import Reference
from encoder import manifests
from encoder.manifests import Pathway
from encoder.package import PackageIndex
from tests.media import make_package

HOSTS = {"a": "127.0.3.1", "b": "127.0.3.2"}
VIEWER = Viewer("on the sofa", "home", "127.0.9.9")
BOTH = pytest.mark.parametrize("protocol", ["HLS", "DASH"])


class Network:
    """Steering on 127.0.0.1 and two appliances, all this process. What it is told to do wrong, it does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.reference = folder, Reference(folder)
        self.title = self.reference.package.title
        self.port = find_port(["127.0.0.1", *HOSTS.values()])
        self.url = f"http://127.0.0.1:{self.port}"
        self.priority = ["a", "b"]
        self.ttl_s = 60.0
        self.polls: list[str] = []  # queries
        self.polled = asyncio.Event()
        self.asked: list[tuple[str, str, str]] = []  # (appliance, path, client)
        self.failing: dict[str, str] = {}  # appliance -> "503", "hang", "cut", "wrong"
        self.ends = asyncio.Event()  # what hangs hangs until then

    async def start(self, stack: AsyncExitStack) -> None:
        routes = [
            web.get("/play/{title}/master.m3u8", self._master),
            web.get("/play/{title}/manifest.mpd", self._mpd),
            web.get("/steer", self._steer),
            web.get("/v1/{title}/{package}/{path:.+}", self._content),
        ]
        application = web.Application()
        application.add_routes(routes)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        for host in ("127.0.0.1", *HOSTS.values()):
            await web.TCPSite(runner, host, self.port).start()

    def _pathways(self) -> list[Pathway]:
        path = f"/v1/{self.title}/{self.folder.name}/"
        return [Pathway(name, f"http://{host}:{self.port}{path}") for name, host in HOSTS.items()]

    async def _master(self, _: web.Request) -> web.Response:
        return web.Response(text=manifests.multivariant(self.reference.package, self._pathways(), f"{self.url}/steer"))

    async def _mpd(self, _: web.Request) -> web.Response:
        return web.Response(text=manifests.mpd(self.reference.package, self._pathways(), f"{self.url}/steer"))

    async def _steer(self, request: web.Request) -> web.Response:
        self.polls.append(request.query_string)
        self.polled.set()
        return web.json_response(
            {"VERSION": 1, "TTL": self.ttl_s, "RELOAD-URI": f"{self.url}/steer", "PATHWAY-PRIORITY": self.priority}
        )

    async def _content(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        name = next(name for name, address in HOSTS.items() if address == host)
        self.asked.append((name, request.match_info["path"], request.remote or ""))
        fault = self.failing.get(name)
        if fault == "503":
            raise web.HTTPServiceUnavailable
        data = bytearray(self._bytes(request.match_info["path"]))
        if fault == "wrong":
            data[0] ^= 1
        response = web.StreamResponse(headers={"Content-Length": str(len(data)), "Cache-Status": f"{name}; hit"})
        await response.prepare(request)
        if fault in ("hang", "cut"):
            await response.write(data[: len(data) // 2])
            if fault == "hang":
                await self.ends.wait()
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(data)
        return response

    def _bytes(self, path: str) -> bytes:
        if path.endswith(".m3u8"):
            return manifests.media_playlist(self.reference.package.renditions[0]).encode()
        extent = PackageIndex(self.reference.package).locate(path)
        return (self.folder / extent.file.name).read_bytes()[extent.offset : extent.offset + extent.length]


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with AsyncExitStack() as stack:
        network = Network(make_package(tmp_path, "film", size=200_000))
        await network.start(stack)
        yield network
        network.ends.set()


@BOTH
async def test_a_player_gets_every_byte_from_the_first_pathway(network: Network, protocol: Protocol) -> None:
    played = await Player(VIEWER, protocol, reference=network.reference).play(network.url, "film")
    assert (played.given_up, played.failures, played.switches) == ("", [], [])
    assert (played.segments, played.wrong_bytes, played.stalls) == (7, 0, 0)
    assert played.duration_s == pytest.approx(28.0)
    assert {name for name, _, _ in network.asked} == {"a"}
    media = sum(path.endswith(("init.mp4", ".m4s")) for _, path, _ in network.asked)
    assert media == 8, "each once"


async def test_a_player_asks_from_its_viewers_address(network: Network) -> None:
    await Player(VIEWER, "DASH").play(network.url, "film")
    assert {client for _, _, client in network.asked} == {"127.0.9.9"}


@BOTH
@pytest.mark.parametrize("fault", ["503", "hang", "cut"])
async def test_a_pathway_that_fails_in_the_middle_is_left_for_the_next(
    network: Network, protocol: Protocol, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(players, "SILENCE_LIMIT_S", 0.2)

    async def fail(player: Player) -> None:
        if player.played.segments == 3:
            network.failing["a"] = fault

    player = Player(VIEWER, protocol, reference=network.reference, on_segment=fail)
    played = await player.play(network.url, "film")
    assert (played.given_up, played.segments, played.wrong_bytes) == ("", 7, 0)
    (switch,) = played.switches
    assert (switch.source, switch.target, switch.at_s) == ("a", "b", 12.0)
    assert len(played.failures) == 1, "one request is lost, and the pathway is not asked again"


async def test_a_dead_pathway_is_left_for_the_next(network: Network) -> None:
    network.priority = ["dead", "a"]
    network._pathways = lambda: [  # type: ignore[method-assign]
        Pathway("dead", f"http://127.0.3.9:{network.port}/v1/film/{network.folder.name}/"),
        Pathway("a", f"http://{HOSTS['a']}:{network.port}/v1/film/{network.folder.name}/"),
    ]
    played = await Player(VIEWER, "HLS", reference=network.reference).play(network.url, "film")
    assert (played.given_up, played.wrong_bytes) == ("", 0)
    assert played.failures == ["dead: Connection refused"]


@BOTH
async def test_a_player_goes_where_steering_sends_it(network: Network, protocol: Protocol) -> None:
    network.ttl_s = 0.01

    async def change(player: Player) -> None:
        if player.played.segments == 3:
            network.priority = ["b", "a"]
            for _ in range(2):  # the answer to the first may have been written before the change
                network.polled.clear()
                await network.polled.wait()

    player = Player(VIEWER, protocol, reference=network.reference, on_segment=change)
    played = await player.play(network.url, "film")
    (switch,) = played.switches
    assert (switch.source, switch.target, switch.reason) == ("a", "b", "steering")
    assert (played.failures, played.wrong_bytes) == ([], 0)
    assert played.steering_answers >= 2
    assert any(query.startswith(f'_{protocol}_pathway="a"&_{protocol}_throughput=') for query in network.polls)


async def test_wrong_bytes_are_counted(network: Network) -> None:
    network.failing["a"] = "wrong"
    played = await Player(VIEWER, "DASH", reference=network.reference).play(network.url, "film")
    assert played.wrong_bytes == 8, "the first byte of the init segment and of each segment"


async def test_a_player_whose_pathways_all_fail_gives_up_and_says_why(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(players, "GIVE_UP_AFTER_S", 0.0)
    network.failing = {"a": "503", "b": "503"}
    played = await Player(VIEWER, "HLS").play(network.url, "film")
    assert "no pathway gave it" in played.given_up
    assert "503 Service Unavailable" in played.given_up


async def test_a_title_that_steering_does_not_have_ends_the_play(network: Network) -> None:
    played = await Player(VIEWER, "HLS").play(f"{network.url}/nowhere", "film")
    assert played.given_up == "404 Not Found"


async def test_a_play_goes_on_when_steering_does_not_answer(network: Network) -> None:
    network.priority = []  # what it says then is no steering manifest
    played = await Player(VIEWER, "HLS", reference=network.reference).play(network.url, "film")
    assert (played.given_up, played.segments, played.steering_answers) == ("", 7, 0)
