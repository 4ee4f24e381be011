"""What stands in answers and logs besides content, whichever way an answer took."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from encoder.package import BLOCK_SIZE
from oca.access_log import Record, UsualRecord
from oca.cmcd import LARGEST_SET
from oca.http.conditions import LAST_MODIFIED
from tests.media import make_package
from tests.oca.clients import Answer, Client, free_port, metric
from tests.oca.running import Running
from tests.waiting import until

CMSD = re.compile(r'"oca-1"(;etp=[0-9]+)?;rtt=[0-9]+(;du)?')


class Served:
    """A running appliance that lets a connection ask twenty times, and a client have six connections."""

    def __init__(self, running: Running, folder: Path, admin_port: int) -> None:
        self.running, self.admin_port = running, admin_port
        self.base = f"/v1/title/{folder.name}"
        self.path = f"{self.base}/v360.m3u8"

    def client(self, address: str = "127.0.0.1") -> Client:
        """From an address of its own choice: all of 127/8 are this machine's."""
        sock = socket.create_connection((self.running.host, self.running.port), 10, (address, 0))
        return Client(sock)

    def ask(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        with self.client() as client:
            return client.ask(path, *headers, method=method, body=body)

    async def lines(self, agent: str, count: int) -> list[dict[str, Any]]:
        """The lines of the access log that name `agent`, as soon as there are so many."""
        found: list[dict[str, Any]] = []

        def are_there() -> bool:
            found[:] = [line for line in self.running.log() if line["agent"].startswith(agent)]
            return len(found) >= count

        await until(are_there)
        assert len(found) == count
        return found

    async def metric(self, name: str) -> float:
        return await metric(self.admin_port, f"nearcast_oca_{name}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    directory = tmp_path_factory.mktemp("delivery")
    folder = make_package(directory / "source", size=4 * BLOCK_SIZE)
    admin_port = free_port()
    running = Running(
        directory / "a", "--requests-per-connection", "20", "--connections-per-client", "6",
        "--admin", f"127.0.0.1:{admin_port}",
    )  # fmt: skip
    shutil.copytree(directory / "source", running.volume)
    await running.start()
    yield Served(running, folder, admin_port)
    assert await running.end() == 0


@pytest.mark.asyncio(loop_scope="module")
class TestAnswers:
    async def test_the_shortest_way_gives_the_same_answer_as_the_longest(self, served: Served) -> None:
        with served.client() as client:
            for path in (served.path, f"{served.base}/v360/1.m4s", f"{served.base}/poster.jpg"):
                answers = [client.ask(path) for _ in range(3)]
                answers.append(client.ask(f"{path}?long=way"))
                for answer in answers:
                    answer.headers.pop("date")
                    answer.headers.pop("cmsd-dynamic")
                assert all(answer == answers[0] for answer in answers)

    async def test_no_segment_waits_for_a_timer_of_tcp(self, served: Served) -> None:
        """What is sent short must leave the socket writable; else the rest waits 200 ms, each time."""
        segments = [f"{served.base}/v360/{number}.m4s" for number in range(1, 8)] + [f"{served.base}/v360.mp4"]
        with served.client() as client:
            for path in segments:
                client.ask(path)
            started_at = time.monotonic()
            for path in segments:
                assert client.ask(path).status == 200
            assert time.monotonic() - started_at < 0.5

    @pytest.mark.parametrize(
        ("method", "path", "headers", "status", "cache_status"),
        [
            ("GET", "{base}/v360.mp4", (), 200, "hit"),
            ("HEAD", "{base}/v360.mp4", (), 200, "hit"),
            ("GET", "{base}/v360.mp4", ("Range: bytes=0-9",), 206, "hit"),
            ("GET", "{base}/v360.mp4", ("Range: bytes=0-9,20-29",), 206, "hit"),
            ("GET", "{base}/v360.mp4", ("Range: bytes=999999999-",), 416, "hit"),
            ("GET", "{base}/v360.mp4", ("If-None-Match: *",), 304, "hit"),
            ("GET", "{base}/v360.mp4", ('If-Match: "x"',), 412, "hit"),
            ("GET", "{base}/nothing.mp4", (), 404, "fwd="),
            ("GET", "/v1/title/" + "0" * 32 + "/v360.mp4", (), 404, "fwd="),
            ("GET", "/", (), 404, "fwd="),
            ("DELETE", "{base}/v360.mp4", (), 405, "fwd="),
            ("POST", "{base}/v360.mp4", (), 405, "fwd="),
            ("GET", "{base}/v360.mp4", ("Host: b",), 400, "fwd="),
            ("GET", "{base}/v360.mp4", ("Content-Length: 5",), 413, "fwd="),
            ("GET", "{base}/v360.mp4", ("X: " + "x" * 20000,), 431, "fwd="),
            ("OPTIONS", "{base}/v360.mp4", (), 204, "fwd="),
        ],
    )
    async def test_every_answer_says_what_became_of_it_and_lets_pages_read_it(
        self, served: Served, method: str, path: str, headers: tuple[str, ...], status: int, cache_status: str
    ) -> None:
        for _ in range(2):
            answer = served.ask(path.format(base=served.base), *headers, method=method)
            assert answer.status == status
            assert answer.headers["cache-status"].startswith(f"oca-1; {cache_status}")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "date" in answer.headers
            if cache_status == "hit":
                assert CMSD.fullmatch(answer.headers["cmsd-dynamic"])
                assert "CMSD-Dynamic" in answer.headers["access-control-expose-headers"]
            elif status != 204:
                assert answer.headers["cache-control"] == "no-store"
                assert method == "HEAD" or json.loads(answer.body)["status"] == status

    async def test_what_is_not_here_and_only_wanted_if_it_is_gets_504_or_404(self, served: Served) -> None:
        answer = served.ask("/v1/title/" + "0" * 32 + "/v360.mp4", "Cache-Control: only-if-cached")
        assert answer.status in (404, 504) and "fwd=" in answer.headers["cache-status"]


@pytest.mark.asyncio(loop_scope="module")
class TestConnections:
    @pytest.mark.parametrize("path", ["{base}/v360.m3u8", "/nothing", "{base}/v360.m3u8?long=way"])
    async def test_a_connection_ends_with_the_request_that_was_its_last(self, served: Served, path: str) -> None:
        with served.client() as client:
            answers = [client.ask(path.format(base=served.base)) for _ in range(20)]
            assert [answer.headers.get("connection") for answer in answers] == [None] * 19 + ["close"]
            assert client.is_ended()

    async def test_of_pipelined_requests_the_last_that_is_answered_says_so(self, served: Served) -> None:
        with served.client() as client:
            client.sock.sendall(f"GET {served.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 25)
            said = []
            with contextlib.suppress(EOFError, ConnectionResetError):
                while True:
                    said.append(client.receive().headers.get("connection"))
            assert 20 <= len(said) <= 25 + 32
            assert said == [None] * (len(said) - 1) + ["close"]

    async def test_of_one_client_only_so_many_connections_are_taken(self, served: Served) -> None:
        refused = await served.metric("refused_total")
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                assert stack.enter_context(served.client("127.9.9.9")).ask(served.path).status == 200
            assert stack.enter_context(served.client("127.9.9.9")).is_ended()
            assert stack.enter_context(served.client("127.9.9.8")).ask(served.path).status == 200
        await self._has(served, "refused_total", refused + 1)
        with served.client("127.9.9.9") as client:  # and again as soon as others are gone
            assert client.ask(served.path).status == 200

    async def _has(self, served: Served, name: str, value: float) -> None:
        async def has() -> bool:
            return await served.metric(name) == value

        await until(has)


@pytest.mark.asyncio(loop_scope="module")
class TestLog:
    async def test_the_shortest_way_leaves_the_same_line_as_the_longest(self, served: Served) -> None:
        agent = 'User-Agent: same/1 \xe9 "q" \\ '.encode().decode("latin-1").rstrip()
        with served.client() as client:
            for path in (served.path, served.path, served.path, f"{served.path}?long=way"):
                assert client.ask(path, agent).status == 200
        *usual, longest = await served.lines("same/1", 4)
        assert list(longest) == list(Record.__struct_fields__)
        for line in usual:
            assert list(line) == list(longest)
            assert [type(value) for value in line.values()] == [type(value) for value in longest.values()]
            assert 0 <= line.pop("seconds") < 1
            assert abs(line.pop("time") - longest["time"]) < 10
            assert line == {name: longest[name] for name in line}

    async def test_long_agents_are_cut_alike(self, served: Served) -> None:
        agent = "long/1" + "x" * 500
        with served.client() as client:
            for path in (served.path, served.path, f"{served.path}?long=way"):
                client.ask(path, f"User-Agent: {agent}")
        assert len({line["agent"] for line in await served.lines("long/1", 3)}) == 1

    @pytest.mark.parametrize(
        ("headers", "query", "expected"),
        [
            (('CMCD-Session: sid="a",cid="b"',), "", {"sid": "a", "cid": "b"}),
            (("CMCD-Status: bs",), "", {"bs": True}),
            (("CMCD-Request: bl=1000", "CMCD-Object: br=320,ot=v"), "", {"bl": 1000, "br": 320, "ot": "v"}),
            ((), "?CMCD=bl%3D1000%2Csid%3D%22a%22", {"bl": 1000, "sid": "a"}),
            (("CMCD-Request: bl=1000",), "?CMCD=bl%3D5", {"bl": 1000}),
            (('CMCD-Session: sid="a",v=2', "CMCD-Object: br=(320;v)"), "", {"sid": "a", "v": 2, "br": {"v": 320}}),
            (('CMCD-Session: sid="a",v=3',), "", {"v": 3}),
            ((), "", None),
        ],
    )
    async def test_what_a_player_says_is_logged_each_time(
        self, served: Served, headers: tuple[str, ...], query: str, expected: dict[str, Any] | None
    ) -> None:
        agent = f"cmcd/{abs(hash((headers, query)))}"
        with served.client() as client:
            for _ in range(3):
                assert client.ask(f"{served.path}{query}", f"User-Agent: {agent}", *headers).status == 200
        assert [line["cmcd"] for line in await served.lines(agent, 3)] == [expected] * 3

    async def test_what_cannot_be_read_of_cmcd_is_counted_and_harms_nothing(self, served: Served) -> None:
        before = await served.metric("cmcd_ignored_total")
        with served.client() as client:
            assert client.ask(served.path, 'CMCD-Session: sid="a",v=3').status == 200
            assert client.ask(served.path, f"CMCD-Session: sid={'x' * (LARGEST_SET + 1)}").status == 200
            assert client.ask(f"{served.path}?CMCD=%ff%00%22").status == 200

        async def is_counted() -> bool:
            return await served.metric("cmcd_ignored_total") == before + 2

        await until(is_counted)

    async def test_events_are_taken_and_kept(self, served: Served) -> None:
        records = (
            b'e=ps,sta=p,ts=1764752430000,v=2,sid="events"',
            b'e=rr,rc=200,ts=1764752430001,v=2,url="seg-5.m4s?cat=secret"',
            b"nonsense",
        )
        body = b"\n".join(records)
        before = await served.metric("cmcd_ignored_total")
        with served.client() as client:
            for content_type in ("application/cmcd", "text/cmcd"):
                answer = client.ask("/cmcd", f"Content-Type: {content_type}", method="POST", body=body)
                assert (answer.status, answer.body) == (204, b"")
                assert answer.headers["access-control-allow-origin"] == "*"
            assert client.ask("/cmcd", method="POST").status == 204
            assert client.ask("/cmcd", method="POST", body=b"\xff\0" * 1000).status == 204
            assert client.ask("/cmcd", method="POST", body=b"x" * 65537).status == 413
        path = served.running.state / "events.log"
        await until(lambda: path.read_bytes().count(b"\n") == 4)
        first, second, *_ = (json.loads(line) for line in path.read_text().splitlines())
        assert first["cmcd"] == {"e": "ps", "sta": "p", "ts": 1764752430000, "v": 2, "sid": "events"}
        assert list(first) == ["time", "appliance", "client", "cmcd"] and first["client"] == "127.0.0.0"
        assert second["cmcd"]["url"] == "seg-5.m4s"

        async def is_counted() -> bool:
            return await served.metric("cmcd_ignored_total") >= before + 3

        await until(is_counted)

    async def test_what_a_player_names_as_its_next_is_read_ahead(self, served: Served) -> None:
        before = await served.metric("prefetched_total")
        path = f"{served.base}/v360/1.m4s"
        with served.client() as client:
            assert client.ask(f"{served.base}/v360/2.m4s").status == 200  # so it is known to be right
            assert client.ask(f"{path}?CMCD=nor%3D%222.m4s%22").status == 200
            assert client.ask(path, 'CMCD-Request: nor="2.m4s"').status == 200
            assert client.ask(path, 'CMCD-Request: nor=("2.m4s";r="0-99")', "CMCD-Session: v=2").status == 200
            for lie in ("../../../../etc/passwd", "nothing.m4s", "/v1/x", "http://h/x", "..", "99.m4s"):
                assert client.ask(path, f'CMCD-Request: nor="{lie}"').status == 200
            assert client.ask(path, 'CMCD-Request: nor="2.m4s",nrr="9-5"').status == 200

        async def is_counted() -> bool:
            return await served.metric("prefetched_total") == before + 3

        await until(is_counted)

    async def test_answers_go_on_while_the_log_cannot_be_written_and_the_log_goes_on_after(
        self, served: Served
    ) -> None:
        log = served.running.state / "access.log"
        kept = log.rename(log.with_name("kept"))
        log.mkdir()
        try:
            assert [served.ask(served.path, "User-Agent: away/1").status for _ in range(5)] == [200] * 5
        finally:
            log.rmdir()
            kept.rename(log)
        assert served.ask(served.path, "User-Agent: back/1").status == 200
        await served.lines("back/1", 1)


async def test_a_log_on_a_full_disk_costs_lines_and_no_answers(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source")
    admin_port = free_port()
    running = Running(tmp_path / "a", "--admin", f"127.0.0.1:{admin_port}")
    shutil.copytree(tmp_path / "source", running.volume)
    running.state.mkdir(parents=True)
    (running.state / "access.log").symlink_to("/dev/full")
    await running.start()
    with Client(running.connect()) as client:
        for _ in range(500):
            assert client.ask(f"/v1/title/{folder.name}/v360.m3u8").status == 200

    async def are_counted() -> bool:
        return await metric(admin_port, "nearcast_oca_requests_total") == 500

    await until(are_counted)
    assert await running.end(signal.SIGTERM) == 0


async def test_mutated_requests_on_a_real_socket_cost_neither_the_worker_nor_a_line_of_trouble(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source", size=100_000)
    running = Running(tmp_path / "a", "--connections-per-client", "1000")
    shutil.copytree(tmp_path / "source", running.volume)
    await running.start()
    base = f"/v1/title/{folder.name}"
    seeds = [
        f"GET {base}/v360/1.m4s HTTP/1.1\r\nHost: a\r\nUser-Agent: p\r\n\r\n".encode(),
        f"GET {base}/v360.mp4?CMCD=nor%3D%222.m4s%22 HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2,5-6,-3\r\n\r\n".encode(),
        f'HEAD {base}/poster.jpg HTTP/1.1\r\nHost: a\r\nIf-None-Match: "x"\r\nCMCD-Session: sid="a"\r\n\r\n'.encode(),
        b'POST /cmcd HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n\r\ne=ps,sta=p,ts=1764752430000,v=2,',
        f"GET /t/abc{base}/v360.m3u8 HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n".encode(),
    ]  # fmt: skip
    chance = random.Random(11)
    with Client(running.connect()) as client:
        for name in ("v360.mp4", "poster.jpg", "v360.m3u8"):
            assert client.ask(f"{base}/{name}").status == 200
    before = (await running.ask("status"))["workers"]
    for _ in range(1500):
        data = bytearray(b"".join(chance.choices(seeds, k=chance.randrange(1, 5))))
        for _ in range(chance.randrange(6)):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        answered = running.exchange(bytes(data))
        assert not answered or answered.startswith(b"HTTP/1.1 ")
        assert b"HTTP/1.1 500 " not in answered
    assert (await running.ask("status"))["workers"] == before
    running.process.send_signal(signal.SIGTERM)
    assert running.process.stderr is not None
    said = (await running.process.stderr.read()).decode()
    assert await running.process.wait() == 0
    assert not re.search("Traceback|could not|ERROR|failed", said), said


@given(
    now=st.floats(1_600_000_000, 4_000_000_000),
    seconds=st.floats(0, 100),
    agent=st.text(max_size=400),
    client=st.sampled_from(["127.0.0.0", "2001:db8::", ""]),
    size=st.integers(0, 2**40),
)
def test_a_usual_record_is_the_record(now: float, seconds: float, agent: str, client: str, size: int) -> None:
    record = Record(
        time=now, appliance="oca-1", client=client, method="GET", title="t", package="p", file="v.mp4", part="v/1.m4s",
        status=200, bytes=size, whole=True, hit=True, seconds=seconds, agent=agent[:256], cmcd=None,
    )  # fmt: skip
    usual = UsualRecord("oca-1")
    piece = usual.piece("t", "p", "v.mp4", "v/1.m4s", size)
    lines = [usual.line(now, client, piece, seconds, agent) for _ in range(2)]
    assert lines[0] == lines[1]
    expected = msgspec.json.decode(msgspec.json.encode(record))
    found = msgspec.json.decode(lines[0])
    assert list(found) == list(expected)
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]
    assert abs(found.pop("time") - expected.pop("time")) <= 0.001
    assert abs(found.pop("seconds") - expected.pop("seconds")) <= 0.000001
    assert found == expected
