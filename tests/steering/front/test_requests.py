"""What of the bytes that clients send is the front's, what it reads of it, and what is left to aiohttp."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.front.requests import Kind, NotOurs, Request, read_request

HOST = b"Host: steer.localhost:8060\r\n"
POLL = b"GET /steer/hls?s=abc&_HLS_pathway=a HTTP/1.1\r\n" + HOST + b"\r\n"
EVENTS = b"POST /cmcd?s=abc HTTP/1.1\r\n" + HOST + b"Content-Type: application/cmcd\r\nContent-Length: 4\r\n\r\ne=ps"

REPORT = b"POST /api/v1/reports HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def read(data: bytes) -> Request:
    request = read_request(data)
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize(
    ("line", "kind", "form", "title", "query"),
    [
        ("GET /play/film/master.m3u8", Kind.PLAY, "hls", "film", ""),
        ("HEAD /play/film/manifest.mpd?session=a", Kind.PLAY, "dash", "film", "session=a"),
        ("GET /play/a.b-c_9/master.m3u8?", Kind.PLAY, "hls", "a.b-c_9", ""),
        ("GET /steer/hls?s=x", Kind.STEER, "hls", "", "s=x"),
        ("GET /steer/dash?s=x&_DASH_pathway=%22a%22", Kind.STEER, "dash", "", "s=x&_DASH_pathway=%22a%22"),
        ("OPTIONS /steer/dash", Kind.STEER, "dash", "", ""),
        ("OPTIONS /cmcd", Kind.EVENTS, "hls", "", ""),
    ],
)
def test_players_requests_are_read(line: str, kind: Kind, form: str, title: str, query: str) -> None:
    data = line.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    request = read(data)
    found = request.method, request.kind, request.form, request.title, request.query
    assert found == (line.split()[0], kind, form, title, query)
    assert request.size == len(data)
    assert request.fields.host == "steer.localhost:8060"


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        "GET /api/v1/fleet HTTP/1.1",
        "GET /steer/hlsx HTTP/1.1",
        "GET /steer/hls/ HTTP/1.1",
        "GET /play/film/other.m3u8 HTTP/1.1",
        "GET /play/fi%6cm/master.m3u8 HTTP/1.1",
        "GET /play/../film/master.m3u8 HTTP/1.1",
        "GET http://x/steer/hls HTTP/1.1",
        "GET /steer/hls HTTP/1.0",
        "GET /steer/hls HTTP/2.0",
        "GET  /steer/hls HTTP/1.1",
        "POST /steer/hls HTTP/1.1",
        "GET /cmcd HTTP/1.1",
        "get /steer/hls HTTP/1.1",
        "\r\nGET /steer/hls HTTP/1.1",
        "PRI * HTTP/2.0",
        "\x16\x03\x01",
    ],
)
def test_all_else_is_foreign(line: str) -> None:
    assert read_request(line.encode() + b"\r\n" + HOST + b"\r\n") is NotOurs.FOREIGN


@pytest.mark.parametrize(
    "fields",
    [
        b"",  # no Host
        HOST + HOST,
        HOST + b"Content-Length: 5\r\n",
        HOST + b"Transfer-Encoding: chunked\r\n",
        HOST + b"Expect: 100-continue\r\n",
        HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        HOST + b"Bad Name: x\r\n",
        HOST + b"A: b\nc: d\r\n",
        HOST + b"A: \x00\r\n",
        HOST + b"Content-Length: 0\r\nContent-Length: 1\r\n",
        HOST + b"X-Forwarded-For: 192.0.2.1\nContent-Length: 5\r\n",
    ],
)
def test_fields_that_are_rare_or_wrong_are_aiohttps_to_judge(fields: bytes) -> None:
    assert read_request(b"GET /steer/hls HTTP/1.1\r\n" + fields + b"\r\n") is NotOurs.FOREIGN


@pytest.mark.parametrize(
    ("fields", "forwarded"),
    [
        (b"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
        (b"x-forwarded-for: 192.0.2.1, 2001:db8::1\r\n", "192.0.2.1, 2001:db8::1"),
        (b"X-FORWARDED-FOR:192.0.2.1\r\n", "192.0.2.1"),
        (b"X-Forwarded-For: unknown\r\n", "unknown"),
        (b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "192.0.2.1,192.0.2.2"),
        (b"X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n", "192.0.2.1,192.0.2.2"),
        (b"x-forwarded-for: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "192.0.2.1,192.0.2.2"),
        (b"Y-X-Forwarded-For: 192.0.2.1\r\n", ""),
    ],
)
def test_who_was_forwarded_is_all_that_was_said(fields: bytes, forwarded: str) -> None:
    for _ in range(2):  # as new fields, and as known ones
        assert read(b"GET /steer/hls HTTP/1.1\r\n" + HOST + fields + b"\r\n").forwarded == forwarded


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\ncontent-length: 0\r\n",
        b"Content-Length: 2\r\nCONTENT-LENGTH: 0\r\n",
        b"CONTENT-LENGTH: 0\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 2,2\r\n",
        b"Content-Length: 2\r\n 3\r\n",
        b"Content-Length: 999999999\r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ],
)
def test_of_lengths_that_contradict_each_other_none_is_believed(fields: bytes) -> None:
    head = b"POST /api/v1/reports HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    for known in (b"", b"CONTENT-LENGTH: 0\r\n", b"Content-Length: 2\r\n"):  # fields that were taken before
        read(head + known + b"\r\n{}")
    assert read_request(head + fields + b"\r\n{}") is NotOurs.FOREIGN


@pytest.mark.parametrize("request_", [POLL, EVENTS, REPORT], ids=["poll", "events", "report"])
def test_reading_leaves_nothing_to_the_collector(request_: bytes) -> None:
    """What only the collector frees adds up to pauses, and a service reads thousands of requests a second."""
    unlike = (request_.replace(HOST, HOST + b"A: %d\r\n" % number) for number in range(100))
    gc.collect()
    gc.disable()
    try:
        for data in unlike:
            read(data)
        assert gc.collect() < 50
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("value", "takes"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1, gzip;q=0.5", True),
        ("*", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_gzip_is_for_those_who_take_it(value: str, takes: bool) -> None:
    head = b"GET /steer/hls HTTP/1.1\r\n" + HOST + f"Accept-Encoding: {value}\r\n\r\n".encode()
    assert read(head).fields.takes_gzip is takes


def test_a_connection_that_is_to_be_closed_says_so() -> None:
    assert read(POLL).fields.keeps_alive
    assert not read(POLL[:-2] + b"Connection: close\r\n\r\n").fields.keeps_alive


def test_events_are_read_with_their_content_and_no_further() -> None:
    request = read(EVENTS + POLL)
    assert (request.kind, request.body, request.query, request.size) == (Kind.EVENTS, b"e=ps", "s=abc", len(EVENTS))


def test_more_events_than_are_taken_are_foreign() -> None:
    assert read_request(EVENTS.replace(b"Length: 4", b"Length: 65537")) is NotOurs.FOREIGN
    assert read_request(EVENTS.replace(b"Length: 4", b"Length: 65536")) is NotOurs.INCOMPLETE


def test_a_report_is_read_if_it_says_that_it_is_json() -> None:
    assert (read(REPORT).kind, read(REPORT).body) == (Kind.REPORT, b"{}")
    assert read(REPORT.replace(b"json", b"json; charset=utf-8")).kind is Kind.REPORT
    assert read_request(REPORT.replace(b"application/json", b"text/plain")) is NotOurs.FOREIGN
    assert read_request(REPORT.replace(b"Length: 2", b"Length: 65537")) is NotOurs.FOREIGN
    assert read_request(REPORT.replace(b"POST", b"OPTIONS")) is NotOurs.FOREIGN


@pytest.mark.parametrize("data", [POLL, EVENTS, REPORT])
def test_a_request_that_comes_in_pieces_is_waited_for(data: bytes) -> None:
    for end in range(1, len(data)):
        assert read_request(data[:end]) is NotOurs.INCOMPLETE
    assert read(data).size == len(data)


def test_a_head_without_end_is_foreign() -> None:
    assert read_request(b"GET /steer/hls?" + b"a" * 17_000) is NotOurs.FOREIGN
    assert read_request(POLL[:-2] + b"A: " + b"a" * 17_000 + b"\r\n\r\n") is NotOurs.FOREIGN


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    read_request(data)
    read_request(b"GET /steer/hls?" + data + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    read_request(POLL[:-2] + data + b"\r\n\r\n")


@given(st.binary(max_size=100).filter(lambda data: not set(data) & set(b"\r\n\0 \x7f" + bytes(range(32)))))
def test_a_query_of_any_bytes_is_a_query(data: bytes) -> None:
    assert read(b"GET /steer/hls?" + data + b" HTTP/1.1\r\n" + HOST + b"\r\n").query == data.decode(errors="replace")
