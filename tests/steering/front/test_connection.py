"""The front over loopback: what shares a connection with what, and clients that are slow, rude or gone."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from steering.front import listener
from steering.front.listener import Front
from tests.steering.conftest import Steering
from tests.steering.values import report
from tests.waiting import until

HOST = "Host: 127.0.0.1\r\n"
POLL = f"GET /steer/hls?s=x HTTP/1.1\r\n{HOST}\r\n".encode()
FLEET = f"GET /api/v1/fleet HTTP/1.1\r\n{HOST}\r\n".encode()
PLAY = f"GET /play/film/master.m3u8 HTTP/1.1\r\n{HOST}\r\n".encode()


class Client:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.strip().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        length = 0 if method == "HEAD" else int(fields.get("Content-Length", 0))
        return int(status.split()[1]), fields, await self._reader.readexactly(length)

    async def is_closed(self) -> bool:
        try:
            return await self._reader.read(1) == b""
        except ConnectionError:
            return True


@pytest.fixture
async def client(steering: Steering) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", steering.client.port, limit=2**24)
    yield Client(reader, writer)
    writer.close()


async def test_pipelined_requests_are_answered_in_their_order(client: Client) -> None:
    client.send(POLL, PLAY, POLL, PLAY)
    types = [(await client.answer())[1]["Content-Type"] for _ in range(4)]
    assert types == ["application/json", "application/vnd.apple.mpegurl"] * 2


async def test_a_request_may_come_byte_by_byte(client: Client) -> None:
    for at in range(len(POLL)):
        client.send(POLL[at : at + 1])
        await client.writer.drain()
    assert (await client.answer())[0] == 200


async def test_a_connection_of_players_becomes_aiohttps_when_it_asks_for_more(client: Client) -> None:
    client.send(POLL)
    assert (await client.answer())[0] == 200
    client.send(FLEET)
    status, _, body = await client.answer()
    assert (status, "appliances" in json.loads(body)) == (200, True)
    client.send(POLL)  # and stays it
    status, fields, _ = await client.answer()
    assert (status, fields["Access-Control-Expose-Headers"]) == (200, "Retry-After")


async def test_what_is_pipelined_behind_players_requests_is_aiohttps(client: Client) -> None:
    client.send(POLL, FLEET, POLL)
    bodies = [json.loads((await client.answer())[2]) for _ in range(3)]
    assert ["appliances" in body for body in bodies] == [False, True, False]


async def test_head_has_the_length_and_no_content(client: Client) -> None:
    client.send(POLL.replace(b"GET", b"HEAD"), POLL)
    status, fields, body = await client.answer("HEAD")
    assert (status, body) == (200, b"")
    assert int(fields["Content-Length"]) > 50
    assert (await client.answer())[0] == 200


async def test_a_connection_ends_after_the_answer_where_its_client_says_so(client: Client) -> None:
    client.send(POLL[:-2] + b"Connection: close\r\n\r\n", POLL)
    _, fields, _ = await client.answer()
    assert fields["Connection"] == "close"
    assert await client.is_closed()


async def test_an_mpd_is_gzipped_for_those_who_take_it(client: Client, steering: Steering) -> None:
    await steering.report(report("n1"))
    head = f"GET /play/film/manifest.mpd?session=s HTTP/1.1\r\n{HOST}".encode()
    client.send(head, b"Accept-Encoding: gzip\r\n\r\n", head, b"\r\n")
    _, gzipped, packed = await client.answer()
    _, plain, text = await client.answer()
    assert (gzipped["Content-Encoding"], gzipped["Vary"], plain["Vary"]) == ("gzip", *["Accept-Encoding"] * 2)
    started = re.compile(rb"\?s=[A-Za-z0-9_-]+")
    assert started.sub(b"", gzip.decompress(packed)) == started.sub(b"", text)


@pytest.mark.parametrize("path", ["/steer/hls?s=x", "/play/film/master.m3u8", "/cmcd"])
async def test_a_page_may_ask_with_cmcd_in_headers(client: Client, path: str) -> None:
    client.send(f"OPTIONS {path} HTTP/1.1\r\n{HOST}Origin: http://page.example\r\n\r\n".encode())
    status, fields, _ = await client.answer()
    assert status == 204
    assert fields["Access-Control-Allow-Origin"] == "*"
    assert "CMCD-Request" in fields["Access-Control-Allow-Headers"]
    assert ("POST" in fields["Access-Control-Allow-Methods"]) is (path == "/cmcd")


@pytest.mark.parametrize("path", ["/api/v1/reports", "/api/v1/fleet"])
async def test_no_page_may_report_in_its_readers_name(client: Client, path: str) -> None:
    client.send(f"OPTIONS {path} HTTP/1.1\r\n{HOST}Origin: http://page.example\r\n\r\n".encode())
    assert (await client.answer())[0] == 405


# Events


@pytest.mark.parametrize("media_type", ["application/cmcd", "text/cmcd", "text/plain;charset=UTF-8", ""])
@pytest.mark.parametrize("body", [b"e=ps,sta=r,v=2", b"\xff\0nonsense", b""])
async def test_events_are_always_taken(client: Client, media_type: str, body: bytes) -> None:
    kind = f"Content-Type: {media_type}\r\n" if media_type else ""
    client.send(f"POST /cmcd?s=x HTTP/1.1\r\n{HOST}{kind}Content-Length: {len(body)}\r\n\r\n".encode(), body)
    status, fields, _ = await client.answer()
    assert (status, fields["Access-Control-Allow-Origin"]) == (204, "*")


@pytest.mark.interpreted
async def test_events_reach_the_director(client: Client, steering: Steering, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[bytes, str, str]] = []
    monkeypatch.setattr(steering.service.director, "take_events", lambda *told: heard.append(told))
    client.send(f"POST /cmcd?s=tok HTTP/1.1\r\n{HOST}Content-Length: 4\r\n\r\ne=ps".encode())
    await client.answer()
    client.send(f"POST /cmcd?s=tok HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n4\r\ne=ps\r\n0\r\n\r\n".encode())
    await client.answer()
    assert heard == [(b"e=ps", "127.0.0.1", "tok")] * 2


@pytest.mark.interpreted
async def test_a_fault_of_ours_is_no_error_for_events(
    client: Client, steering: Steering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(steering.service.director, "take_events", fail)
    client.send(f"POST /cmcd HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n".encode())
    assert (await client.answer())[0] == 204


@pytest.mark.parametrize("size", [65_536, 65_537])
async def test_events_without_end_are_refused(client: Client, size: int) -> None:
    client.send(f"POST /cmcd HTTP/1.1\r\n{HOST}Content-Length: {size}\r\n\r\n".encode(), b"x" * size)
    assert (await client.answer())[0] == (204 if size == 65_536 else 413)


# Mischief


@pytest.mark.interpreted
async def test_a_fault_of_ours_while_a_session_begins_is_a_problem_and_the_connection_lives(
    client: Client, steering: Steering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(steering.service.director, "play", fail)
    client.send(PLAY, POLL)
    status, fields, body = await client.answer()
    assert (status, fields["Content-Type"]) == (500, "application/problem+json")
    assert b"RuntimeError" not in body
    assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "s=x&_HLS_pathway=a&_HLS_pathway=b",
        "s[]=x&_HLS_pathway[]=a",
        "_HLS_throughput=nan&_HLS_pathway=a",
        "_HLS_throughput=-1&_HLS_pathway=%22%22%22",
        "_HLS_throughput=1e999&_HLS_pathway=" + ",".join("a" * 60 for _ in range(100)),
        "s=%zz%%%&_DASH_pathway=%00",
        "s=" + "A" * 12_000,
        "&".join(f"p{number}={number}" for number in range(1000)),
        "s=\xff\xfe\u0663",
        "?&=&;s=x",
        's={"a":1}',
    ],
)
@pytest.mark.parametrize("form", ["hls", "dash"])
async def test_no_query_leaves_a_poll_without_an_answer(client: Client, form: str, query: str) -> None:
    client.send(f"GET /steer/{form}?{query} HTTP/1.1\r\n{HOST}\r\n".encode())
    status, _, body = await client.answer()
    assert status == 200
    assert json.loads(body)["PATHWAY-PRIORITY"] == ["origin"]


async def test_a_client_that_does_not_read_is_not_read_from(steering: Steering) -> None:
    """It asks for 100 MB of playlists and takes none: what waits for it stays within what the kernel holds."""
    loop, ours = asyncio.get_running_loop(), socket.socket()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ours.setblocking(False)
    await loop.sock_connect(ours, ("127.0.0.1", steering.client.port))
    front = front_of(steering)
    asked = 0
    while not any(connection._is_full for connection in front._connections):
        with_room = asyncio.wait_for(loop.sock_sendall(ours, PLAY * 100), 10)
        await with_room
        asked += 100
    (connection,) = (one for one in front._connections if one._is_full)
    assert connection._transport is not None
    assert connection._transport.get_write_buffer_size() < 1_000_000
    assert asked < 50_000
    while connection._is_full or connection._unread:  # and goes on when it reads
        assert await asyncio.wait_for(loop.sock_recv(ours, 2**20), 10)
    ours.close()


async def test_the_last_answer_reaches_a_slow_client_whole(steering: Steering) -> None:
    """It is still being sent when the connection is closed behind it."""
    loop, ours = asyncio.get_running_loop(), socket.socket()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ours.setblocking(False)
    await loop.sock_connect(ours, ("127.0.0.1", steering.client.port))
    await loop.sock_sendall(ours, PLAY * 200 + PLAY[:-2] + b"Connection: close\r\n\r\n" + POLL)
    data = b""
    while more := await asyncio.wait_for(loop.sock_recv(ours, 2**16), 10):
        data += more
    ours.close()
    assert data.count(b"HTTP/1.1 200 OK") == 201
    assert data.count(b"Connection: close") == 1


async def test_a_vanished_client_leaves_nothing(steering: Steering, client: Client) -> None:
    client.send(POLL[:-2])
    front = front_of(steering)
    await until(lambda: any(connection.waits_since for connection in front._connections))
    client.writer.transport.abort()
    await until(lambda: not front._connections)


async def test_idle_and_slow_connections_are_ended(steering: Steering, client: Client) -> None:
    front = front_of(steering)
    client.send(POLL)
    await client.answer()
    (connection,) = front._connections
    assert not front._is_over(connection)
    front.now = connection.moved_at + listener.IDLE_S + 1
    assert front._is_over(connection)
    client.send(POLL[:-2])
    await until(lambda: connection.waits_since > 0)
    front.now = connection.waits_since + listener.SLOWEST_REQUEST_S + 1
    assert front._is_over(connection)
    front._sweep()
    assert await client.is_closed()


async def test_the_front_closes_with_its_runner(steering: Steering, client: Client) -> None:
    client.send(POLL)
    await client.answer()
    await front_of(steering).stop()
    assert await client.is_closed()


def front_of(steering: Steering) -> Front:
    server: Any = steering.client.server
    runner: web.AppRunner = server.runner
    (front,) = runner.sites
    assert isinstance(front, Front)
    return front
