"""Delivery as a client sees it, over a socket, from a real worker."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from encoder.package import MANIFEST_NAME
from tests.media import make_package
from tests.oca.running import Running
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Served:
    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.base = f"/v1/title/{folder.name}"
        self.data = (folder / "v360.mp4").read_bytes()

    def get(self, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
        lines = [f"{method} {path} HTTP/{version}", "Host: a", *headers, "", ""]
        return "\r\n".join(lines).encode()

    def ask(self, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        return parsed(self.running.exchange(self.get(path, *headers, method=method)))


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    top, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    return int(status.split()[1]), headers, body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    directory = tmp_path_factory.mktemp("oca")
    folder = make_package(directory / "source")
    running = Running(directory / "a")
    shutil.copytree(directory / "source", running.volume)
    await running.start()
    yield Served(running, folder)
    assert await running.end() == 0


async def test_a_whole_file_is_the_file(served: Served) -> None:
    status, headers, body = served.ask(f"{served.base}/v360.mp4")
    assert (status, body == served.data) == (200, True)
    assert headers["content-length"] == str(len(served.data))
    assert headers["cache-status"] == "oca-1; hit"
    assert "date" in headers and headers["access-control-allow-origin"] == "*"


async def test_init_and_segments_together_are_the_file_without_its_sidx(served: Served) -> None:
    _, headers, init = served.ask(f"{served.base}/v360/init.mp4")
    assert headers["content-type"] == "video/mp4"
    segments = [served.ask(f"{served.base}/v360/{n}.m4s")[2] for n in range(1, 8)]
    assert init == served.data[: len(init)]
    assert b"".join(segments) == served.data[-sum(map(len, segments)) :]


async def test_the_manifest_and_playlists_are_served_too(served: Served) -> None:
    for name in (MANIFEST_NAME, "v360.m3u8", "poster.jpg"):
        status, _, body = served.ask(f"{served.base}/{name}")
        assert (status, body) == (200, (served.folder / name).read_bytes())


async def test_ranges_conditions_and_head(served: Served) -> None:
    path = f"{served.base}/v360/2.m4s"
    _, headers, segment = served.ask(path)
    status, partial, body = served.ask(path, "Range: bytes=10-19")
    assert (status, body, partial["content-range"]) == (206, segment[10:20], f"bytes 10-19/{len(segment)}")
    assert served.ask(path, "Range: bytes=-5")[2] == segment[-5:]
    assert served.ask(path, f"Range: bytes={len(segment)}-")[0] == 416
    assert served.ask(path, f"If-None-Match: {headers['etag']}")[0::2] == (304, b"")
    status, told, body = served.ask(path, method="HEAD")
    assert (status, told["content-length"], body) == (200, str(len(segment)), b"")


async def test_a_query_and_a_token_do_not_change_what_is_served(served: Served) -> None:
    plain = served.ask(f"{served.base}/v360/1.m4s")
    with_both = served.ask(f"/t/s3cr3t/{served.base[1:]}/v360/1.m4s?CMCD=bl%3D1000%2Csid%3D%22s%22")
    assert with_both[0] == 200 and with_both[2] == plain[2]


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    paths = [f"{served.base}/v360/{n}.m4s" for n in (3, 1, 2)]
    answers = served.running.exchange(b"".join(served.get(path) for path in paths))
    for path in paths:
        expected = served.running.exchange(served.get(path))
        status, headers, _ = parsed(answers)
        length = answers.index(b"\r\n\r\n") + 4 + int(headers["content-length"])
        assert status == 200 and answers[:length].endswith(expected[-1000:])
        answers = answers[length:]
    assert answers == b""


async def test_a_connection_is_kept_until_the_client_wants_it_closed(served: Served) -> None:
    with served.running.connect() as client:
        for closing in (False, False, True):
            client.sendall(served.get(f"{served.base}/v360.m3u8", *(["Connection: close"] if closing else [])))
            head = b""
            while b"of chance bytes" not in head:
                head += client.recv(65536)
            assert (b"Connection: close" in head) is closing
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/v1/title/nothing/x", 404),
        ("{base}/v360/8.m4s", 404),
        ("{base}/nothing.mp4", 404),
        ("{base}/../../../etc/passwd", 404),
        ("{base}/%2e%2e/%2e%2e/etc/passwd", 404),
        ("{base}/v360.mp4%00.jpg", 404),
        ("/v1/title/" + "0" * 32 + "/v360.mp4", 404),
        ("{base}/caf%C3%A9.mp4", 404),
    ],
)
async def test_what_is_not_there_is_404_and_says_so(served: Served, path: str, status: int) -> None:
    told, headers, body = served.ask(path.format(base=served.base))
    assert (told, headers["content-type"]) == (status, "application/problem+json")
    assert b"detail" in body and b"/tmp" not in body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"DELETE /v1/a HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ],
)
async def test_what_cannot_be_obeyed_is_refused(served: Served, request_bytes: bytes, status: int) -> None:
    assert parsed(served.running.exchange(request_bytes))[0] == status


async def test_nothing_after_a_broken_request_is_answered(served: Served) -> None:
    smuggled = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n" + served.get(f"{served.base}/v360.m3u8")
    assert served.running.exchange(smuggled).count(b"HTTP/1.1 ") == 1


async def test_nothing_after_connection_close_is_answered(served: Served) -> None:
    closing = served.get(f"{served.base}/v360.m3u8", "Connection: close")
    assert served.running.exchange(closing + closing).count(b"HTTP/1.1 ") == 1


async def test_only_the_last_answer_says_that_the_connection_ends(served: Served) -> None:
    asked = served.get("/nothing") + served.get("/nothing", "Connection: close")
    answers = served.running.exchange(asked).split(b"HTTP/1.1 404")[1:]
    assert [b"Connection: close" in answer for answer in answers] == [False, True]


async def test_a_thousand_upgrades_in_one_packet_harm_nobody(served: Served) -> None:
    answers = served.running.exchange(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" * 1500)
    assert answers.startswith(b"HTTP/1.1 405 ")


async def test_every_answer_has_a_date(served: Served) -> None:
    for method, path in (("OPTIONS", "/"), ("GET", "/"), ("DELETE", "/"), ("GET", f"{served.base}/v360.m3u8")):
        assert "date" in served.ask(path, method=method)[1]


async def test_an_absolute_target_is_its_path(served: Served) -> None:
    assert served.ask(f"http://a{served.base}/v360/1.m4s")[0] == 200


async def test_a_preflight_allows_what_players_send(served: Served) -> None:
    status, headers, _ = served.ask(f"{served.base}/v360/1.m4s", "Origin: http://b", method="OPTIONS")
    assert status == 204
    assert "CMCD-Session" in headers["access-control-allow-headers"] and headers["access-control-max-age"] == "86400"


async def test_bytes_that_come_one_at_a_time_are_a_request_too(served: Served) -> None:
    with served.running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in served.get(f"{served.base}/v360.m3u8", "Connection: close"):
            client.sendall(bytes([byte]))
        assert parsed(b"".join(iter(lambda: client.recv(65536), b"")))[0] == 200


async def test_a_slow_reader_gets_every_byte(served: Served) -> None:
    with served.running.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        client.sendall(served.get(f"{served.base}/v360.mp4", "Connection: close"))
        body = parsed(b"".join(iter(lambda: client.recv(3000), b"")))[2]
    assert body == served.data


async def test_a_hundred_clients_at_once_all_get_the_right_bytes(served: Served) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def fetch(n: int) -> bytes:
            async with session.get(f"{served.running.url}{served.base}/v360/{n % 7 + 1}.m4s") as answer:
                return await answer.read()

        bodies = await asyncio.gather(*(fetch(n) for n in range(100)))
    assert len({bytes(body) for body in bodies}) == 7


async def test_the_log_has_a_line_for_each_answer_and_no_client_in_it(served: Served) -> None:
    served.ask(f"/t/s3cr3t{served.base}/v360/4.m4s?CMCD=sid%3D%22marker%22", "User-Agent: player/1")
    for hidden in ("/t/s3cr3t/nonsense", "http://h/t/s3cr3t/x", "/%74/s3cr3t/x", "//t/s3cr3t/x"):
        served.ask(f"{hidden}?CMCD=sid%3D%22marker2%22")

    def lines() -> list[dict[str, Any]]:
        return [line for line in served.running.log() if line["cmcd"] and "marker" in line["cmcd"]["sid"]]

    await until(lambda: len(lines()) == 5)  # the worker writes four times a second
    hit, nonsense, *_ = lines()
    assert (hit["title"], hit["file"], hit["part"], hit["status"]) == ("title", "v360.mp4", "v360/4.m4s", 200)
    assert (hit["cmcd"], hit["agent"], hit["whole"], hit["hit"]) == ({"sid": "marker"}, "player/1", True, True)
    assert (nonsense["status"], nonsense["title"]) == (404, "")
    assert hit["client"] == "127.0.0.0"
    assert "s3cr3t" not in (served.running.state / "access.log").read_text()


async def test_a_worker_that_is_killed_is_started_again_and_the_port_never_closes(served: Served) -> None:
    before = (await served.running.ask("status"))["workers"]
    os.kill(before[0], signal.SIGKILL)
    assert served.ask(f"{served.base}/v360.m3u8")[0] == 200  # waits in the queue of the socket until the next worker
    assert (await served.running.ask("status"))["workers"] != before


async def test_content_that_waits_for_our_word_gets_it(served: Served) -> None:
    body = b'e=ps,sid="s",ts=1764752430000,v=2'
    head = f"POST /cmcd HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    with served.running.connect() as client:
        client.sendall(head.encode())
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(65536).startswith(b"HTTP/1.1 204 ")
