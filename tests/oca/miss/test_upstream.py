from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_aiohttp.plugin import AiohttpServer

from encoder.package import MANIFEST_NAME
from oca.errors import UpstreamError
from oca.miss.breaker import FIRST_REST_S, IN_A_ROW, State
from oca.miss.budget import AT_FIRST, MOST
from oca.miss.door import Priority, Unavailable, UpstreamState
from oca.miss.reception import Reception
from oca.miss.upstream import BACKGROUND, MOST_AT_ONCE, Source, Upstreams
from tests.media import make_package
from tests.oca.upstream import Upstream

# Waited out in full where an upstream is silent.
STALL_S = 0.2


class Observed(Upstream):
    """Counts who is served at the same time, and can fail for the first few only."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.requests = self.under_way = self.most_under_way = 0
        self.failures_left = 0
        self.headers: list[str] = []
        self.priorities: list[str] = []
        self.refusals = 0  # answers that players come first, before the others

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.headers.append(request.headers.get("Authorization", ""))
        self.priorities.append(request.headers.get("Priority", ""))
        try:
            if self.refusals:
                self.refusals -= 1
                return web.Response(status=503, headers={"Retry-After": "7"})
            if self.failures_left:
                self.failures_left -= 1
                return web.Response(status=503)
            return await super().serve(request)
        finally:
            self.under_way -= 1


class Setting:
    """Upstreams of our making, asked as the fetcher asks them; time passes and chance falls as the test says."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, serve: AiohttpServer) -> None:
        self.folder, self._session, self._serve = folder, session, serve
        self.now = 0.0
        self.sources: list[Source] = []
        self.path = f"/v1/title/{folder.name}/v360.mp4"
        self.data = (folder / "v360.mp4").read_bytes()
        self.upstreams = self.upstreams_of()

    def upstreams_of(
        self,
        *,
        stall_s: float = STALL_S,
        most_at_once: int = MOST_AT_ONCE,
        credentials: Callable[[], dict[str, str]] = dict,
    ) -> Upstreams:
        return Upstreams(
            self._session,
            stall_s,
            lambda: self.now,
            most_at_once=most_at_once,
            credentials=credentials,
            draw=lambda: 0.0,
        )

    async def upstream(self, *, cached_only: bool = False) -> Observed:
        upstream = Observed(self.folder.parent.parent)
        server = await self._serve(upstream.application())
        self.sources.append(Source(str(server.make_url("")).rstrip("/"), cached_only))
        return upstream

    async def fetch(self, first: int = 0, end: int = 1000) -> bytes:
        """These bytes, going on at the next source where the last broke off; every byte is checked."""
        attempts = self.upstreams.attempts(self.sources)
        failure: UpstreamError | None = None
        position = first
        async for _ in attempts:
            try:
                async with aclosing(attempts.read(self.path, position, end)) as pieces:
                    async for piece in pieces:
                        assert piece == self.data[position : position + len(piece)]
                        position += len(piece)
            except UpstreamError as error:
                failure = error
                continue
            return self.data[first:end]
        assert failure is not None
        raise failure

    def state(self, number: int = 0) -> UpstreamState:
        return self.upstreams.snapshot()[number]


@pytest.fixture
async def setting(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[Setting]:
    folder = make_package(tmp_path / "source", size=3_000_000)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        setting = Setting(folder, session, aiohttp_server)
        yield setting
        setting.upstreams.close()


@pytest.fixture
def closed_port() -> Iterator[socket.socket]:
    """A port of our own on which nobody listens yet."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


async def test_a_silent_first_upstream_costs_its_share_once(setting: Setting) -> None:
    silent, origin = await setting.upstream(cached_only=True), await setting.upstream()
    silent.silent_after = 0
    for _ in range(5):
        await setting.fetch()
    assert (silent.requests, origin.requests) == (1, 5)
    assert (setting.state(0).state, setting.state(1).state) == (State.OPEN, State.CLOSED)


async def test_an_upstream_that_refuses_connections_is_passed_over_after_one(
    setting: Setting, closed_port: socket.socket
) -> None:
    setting.sources.append(Source(f"http://127.0.0.1:{closed_port.getsockname()[1]}", cached_only=True))
    await setting.upstream()
    for _ in range(5):
        await setting.fetch()
    refusing = setting.state(0)
    assert (refusing.requests, refusing.state) == (1, State.OPEN)
    assert "no connection: " in refusing.failed_for


async def test_after_its_rest_one_request_asks_it_in_its_old_place(setting: Setting) -> None:
    peer, origin = await setting.upstream(cached_only=True), await setting.upstream()
    peer.silent_after = 0
    await setting.fetch()
    setting.now += FIRST_REST_S / 2  # chance, which is 0 here, made it half as long
    await asyncio.gather(*(setting.fetch() for _ in range(50)))
    assert (peer.requests, origin.requests) == (2, 51)
    setting.now += FIRST_REST_S
    peer.silent_after = -1
    await setting.fetch()
    await asyncio.gather(*(setting.fetch() for _ in range(50)))
    assert (peer.requests, origin.requests) == (53, 51)
    assert setting.state(0).state is State.CLOSED


async def test_the_only_upstream_is_found_again_by_the_first_request_that_it_answers(
    setting: Setting, closed_port: socket.socket
) -> None:
    setting.upstreams = setting.upstreams_of(stall_s=60)
    setting.sources.append(Source(f"http://127.0.0.1:{closed_port.getsockname()[1]}", cached_only=False))
    with pytest.raises(Unavailable, match="does not answer"):
        await setting.fetch()
    assert setting.state().state is State.OPEN
    runner = web.AppRunner(Observed(setting.folder.parent.parent).application())
    await runner.setup()
    await web.SockSite(runner, closed_port).start()
    await asyncio.gather(*(setting.fetch() for _ in range(200)))  # it rests by the clock, and no time has passed
    assert (setting.state().state, setting.state().failures) == (State.CLOSED, 2)
    await runner.cleanup()


async def test_cuts_in_a_row_move_an_upstream_back_and_cost_no_bytes(setting: Setting) -> None:
    cutting, origin = await setting.upstream(cached_only=True), await setting.upstream()
    cutting.cut_after = 100_000
    for _ in range(IN_A_ROW + 2):
        assert len(await setting.fetch(0, 3_000_000)) == 3_000_000
    assert (cutting.requests, origin.requests) == (IN_A_ROW, IN_A_ROW + 2)


async def test_wrong_bytes_move_an_upstream_back_at_once(setting: Setting) -> None:
    peer, origin = await setting.upstream(cached_only=True), await setting.upstream()
    await setting.fetch()
    setting.upstreams.rest(setting.sources[0], "wrong bytes")
    await setting.fetch()
    assert (peer.requests, origin.requests) == (1, 1)
    assert (setting.state().state, setting.state().failed_for) == (State.OPEN, "wrong bytes")


@pytest.mark.parametrize("status", [404, 504])
async def test_not_having_a_file_is_an_honest_answer_and_not_asked_again(setting: Setting, status: int) -> None:
    peer = await setting.upstream()
    peer.status = status
    for _ in range(20):
        with pytest.raises(UpstreamError, match=f"answered {status}"):
            await setting.fetch()
    assert (peer.requests, setting.state().state, setting.state().failures) == (20, State.CLOSED, 0)


async def test_an_answer_of_another_size_than_asked_for_is_a_failure(setting: Setting) -> None:
    await setting.upstream()
    with pytest.raises(UpstreamError, match="sent 2999990 bytes, expected 3000000") as caught:
        await setting.fetch(10, 3_000_010)
    assert caught.value.status == 502


async def test_a_document_larger_than_its_limit_is_refused(setting: Setting) -> None:
    await setting.upstream()
    path = f"/v1/title/{setting.folder.name}/{MANIFEST_NAME}"
    manifest = (setting.folder / MANIFEST_NAME).read_bytes()
    assert await setting.upstreams.read_whole(setting.sources[0], path, len(manifest)) == manifest
    with pytest.raises(UpstreamError, match="expected 0 to 100"):
        await setting.upstreams.read_whole(setting.sources[0], path, 100)


async def test_when_all_have_failed_they_are_asked_once_more(setting: Setting) -> None:
    origin = await setting.upstream()
    origin.failures_left = 1
    await setting.fetch()
    assert (origin.requests, setting.state().retries) == (2, 1)
    assert setting.upstreams.retries_left < AT_FIRST


async def test_only_those_that_were_down_are_asked_once_more(setting: Setting) -> None:
    peer, origin = await setting.upstream(cached_only=True), await setting.upstream()
    peer.status, origin.failures_left = 504, 1
    await setting.fetch()
    assert (peer.requests, origin.requests) == (1, 2)


async def test_nobody_is_asked_more_than_twice(setting: Setting) -> None:
    first, second = await setting.upstream(cached_only=True), await setting.upstream()
    first.status = second.status = 500
    with pytest.raises(Unavailable):
        await setting.fetch()
    assert (first.requests, second.requests) == (2, 2)


async def test_nothing_is_retried_when_the_player_has_lost_its_patience(setting: Setting) -> None:
    origin = await setting.upstream()
    attempts = setting.upstreams.attempts(setting.sources)
    origin.failures_left = 1
    async for _ in attempts:
        with pytest.raises(Unavailable):
            async with aclosing(attempts.read(setting.path, 0, 1000)) as pieces:
                await anext(pieces)
        setting.now += STALL_S
    assert (origin.requests, setting.state().retries) == (1, 0)


async def test_patience_begins_anew_with_each_byte_that_came(setting: Setting) -> None:
    origin = await setting.upstream()
    attempts = setting.upstreams.attempts(setting.sources)
    origin.cut_after = 100_000
    rounds = 0
    async for _ in attempts:
        rounds += 1
        setting.now += 10 * STALL_S
        with pytest.raises(Unavailable, match="cut off"):
            async with aclosing(attempts.read(setting.path, 0, 3_000_000)) as pieces:
                async for _ in pieces:
                    pass
    assert rounds == 2


async def test_without_budget_nothing_is_retried(setting: Setting) -> None:
    origin = await setting.upstream()
    while setting.upstreams.budget.spend(setting.now):
        pass
    origin.failures_left = 1
    with pytest.raises(Unavailable):
        await setting.fetch()
    assert origin.requests == 1


async def test_a_thousand_readers_of_a_failing_origin_do_not_become_more_requests(setting: Setting) -> None:
    origin = await setting.upstream()
    origin.status = 500
    outcomes = await asyncio.gather(*(setting.fetch(n, n + 1000) for n in range(1000)), return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert origin.requests <= MOST_AT_ONCE + MOST
    assert origin.most_under_way <= MOST_AT_ONCE


async def test_a_thousand_readers_of_a_silent_origin_are_refused_within_its_share(setting: Setting) -> None:
    origin = await setting.upstream()
    origin.silent_after = 0
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*(setting.fetch(n, n + 1000) for n in range(1000)), return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert origin.requests <= MOST_AT_ONCE + MOST


async def test_a_thousand_readers_meet_an_origin_a_few_at_a_time(setting: Setting) -> None:
    setting.upstreams = setting.upstreams_of(stall_s=60, most_at_once=8)
    origin = await setting.upstream()
    origin.gate = asyncio.Event()
    fetches = [asyncio.create_task(setting.fetch(n, n + 10)) for n in range(1000)]
    for _ in range(8):
        await origin.arrived.acquire()
    origin.gate.set()
    await asyncio.gather(*fetches)
    assert (origin.requests, origin.most_under_way, setting.state().busy) == (1000, 8, 0)


async def test_whoever_finds_an_upstream_busy_asks_the_next(setting: Setting) -> None:
    setting.upstreams = setting.upstreams_of(most_at_once=1)
    peer, origin = await setting.upstream(cached_only=True), await setting.upstream()
    door = setting.upstreams.door(setting.sources[0])
    ticket = await door.enter(Priority.MISS, STALL_S)
    await setting.fetch()
    assert (peer.requests, origin.requests) == (0, 1)
    assert (door.busy, door.failures, door.state().state) == (1, 0, State.CLOSED)
    door.leave(ticket)
    await setting.fetch()
    assert (peer.requests, origin.requests) == (1, 1)


async def test_a_fill_waits_longer_for_room_than_a_player_could(setting: Setting) -> None:
    setting.upstreams = setting.upstreams_of(most_at_once=1)
    await setting.upstream()
    door = setting.upstreams.door(setting.sources[0])
    ticket = await door.enter(Priority.MISS, STALL_S)
    fill = setting.upstreams.read_whole(setting.sources[0], setting.path, len(setting.data), Priority.FILL)
    filling = asyncio.create_task(fill)
    with pytest.raises(Unavailable, match="is busy"):
        await setting.fetch()
    door.leave(ticket)
    assert await filling == setting.data


async def test_a_reader_that_goes_away_leaves_no_mark(setting: Setting) -> None:
    origin = await setting.upstream()
    origin.gate = asyncio.Event()
    async with aclosing(setting.upstreams.read(setting.sources[0], setting.path, 0, 3_000_000)) as pieces:
        await anext(pieces)
        assert setting.state().under_way == 1
    origin.gate.set()
    state = setting.state()
    assert (state.under_way, state.failures, state.state) == (0, 0, State.CLOSED)


async def test_each_request_carries_fresh_credentials(setting: Setting) -> None:
    minted = iter(range(100))
    setting.upstreams = setting.upstreams_of(credentials=lambda: {"Authorization": f"Bearer {next(minted)}"})
    origin = await setting.upstream()
    await setting.fetch()
    await setting.fetch()
    assert origin.headers == ["Bearer 0", "Bearer 1"]


async def test_metrics_say_what_happened_to_each_upstream(setting: Setting) -> None:
    peer, _ = await setting.upstream(cached_only=True), await setting.upstream()
    peer.status = 500
    for _ in range(IN_A_ROW):
        await setting.fetch()
    assert setting.state(0) == UpstreamState(
        url=setting.sources[0].url,
        state=State.OPEN,
        opened=1,
        requests=IN_A_ROW,
        failures=IN_A_ROW,
        retries=0,
        busy=0,
        bytes=0,
        under_way=0,
        waiting=0,
        failed_for="status 500",
        refused=0,
        rate_bytes_s=0.0,
    )
    assert setting.upstreams.fetched_bytes == {setting.sources[0].url: 0, setting.sources[1].url: 1000 * IN_A_ROW}


async def test_a_certificate_that_does_not_hold_is_named_and_counts_at_once(
    setting: Setting, tmp_path: Path, aiohttp_server: AiohttpServer
) -> None:
    upstream = Observed(setting.folder.parent.parent)
    server = await aiohttp_server(upstream.application(), ssl=_self_signed(tmp_path))
    setting.sources.append(Source(f"https://127.0.0.1:{server.port}", cached_only=False))
    with pytest.raises(Unavailable, match="its certificate does not hold"):
        await setting.fetch()
    assert (upstream.requests, setting.state().state) == (0, State.OPEN)


async def test_an_upstream_that_speaks_no_tls_is_told_from_one_that_is_away(setting: Setting) -> None:
    await setting.upstream()
    setting.sources = [Source(setting.sources[0].url.replace("http:", "https:"), cached_only=False)]
    with pytest.raises(Unavailable, match="no TLS with it"):
        await setting.fetch()


def _self_signed(folder: Path) -> ssl.SSLContext:
    """Of 127.0.0.1, by nobody that is trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    return context


# As a fill asks


async def fill(setting: Setting, first: int = 0, end: int = 1000, *, equals: int = 1) -> tuple[bytes, Source]:
    """These bytes in a thread, and who gave them."""
    attempts = setting.upstreams.attempts(setting.sources, Priority.FILL, equals)
    failure = UpstreamError("nobody was asked", status=503)
    async for source in attempts:
        came = bytearray()

        async def receive(
            reception: Reception, length: int, least: float, note: Callable[[], None], came: bytearray = came
        ) -> None:
            await asyncio.to_thread(reception.run, length, came.extend, least_bytes_s=least)
            note()

        try:
            await attempts.receive(setting.path, first, end, receive)
        except UpstreamError as error:
            failure = error
            continue
        return bytes(came), source
    raise failure


async def test_a_source_that_has_players_to_serve_is_left_alone_until_it_is_ready(setting: Setting) -> None:
    busy, other = await setting.upstream(cached_only=True), await setting.upstream()
    busy.refusals = 1
    assert await fill(setting) == (setting.data[:1000], setting.sources[1])
    assert (await fill(setting))[1] == setting.sources[1]
    assert (busy.requests, other.requests) == (1, 2)
    assert setting.state().refused == 1 and setting.state().state is State.CLOSED  # that is no failure
    setting.now += 7.0
    assert (await fill(setting))[1] == setting.sources[0]


async def test_players_misses_are_asked_for_all_the_same(setting: Setting) -> None:
    busy = await setting.upstream()
    busy.refusals = 1
    with pytest.raises(Unavailable, match="players to serve first") as caught:
        await fill(setting)
    assert caught.value.retry_after_s == 7.0
    with pytest.raises(Unavailable) as again:
        await fill(setting)
    assert again.value.retry_after_s == 7.0 and busy.requests == 1
    assert await setting.fetch() == setting.data[:1000]


async def test_fills_say_that_they_have_time_and_misses_do_not(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fetch()
    await fill(setting)
    assert upstream.priorities == ["", BACKGROUND]


async def test_blocks_are_spread_over_sources_that_are_equal_by_what_they_give(setting: Setting) -> None:
    for _ in range(3):
        await setting.upstream(cached_only=True)
    slow, fast, far = (setting.upstreams.door(source) for source in setting.sources)
    slow.measured(1_000_000, 1.0)
    fast.measured(4_000_000, 1.0)
    far.measured(8_000_000, 1.0)
    slow_source, fast_source, far_source = setting.sources
    equals = {slow_source, fast_source}
    order = setting.upstreams.fill_order(setting.sources, equals)
    assert order == [fast_source, slow_source, far_source]
    fast.under_way = 4  # five blocks at its rate take longer than one at the other's
    assert setting.upstreams.fill_order(setting.sources, equals)[0] == slow_source


async def test_a_source_that_is_much_slower_than_another_loses_its_rank(setting: Setting) -> None:
    near, far = await setting.upstream(cached_only=True), await setting.upstream()
    setting.upstreams.door(setting.sources[0]).measured(1_000_000, 1000.0)
    setting.upstreams.door(setting.sources[1]).measured(1_000_000, 1.0)
    assert (await fill(setting))[1] == setting.sources[1]
    assert setting.upstreams.least_rate(setting.sources[0], setting.sources[1:]) == 100_000
    assert (near.requests, far.requests) == (0, 1)
