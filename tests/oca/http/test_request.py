"""Requests as clients send them, and as those send them who hope that two servers read them differently."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.http.request import (
    LARGEST_BODY_BYTES,
    LARGEST_HEAD_BYTES,
    Request,
    RequestReader,
    is_background,
    known_heads,
)

PLAIN = b"GET /v1/a HTTP/1.1\r\nHost: a\r\nUser-Agent: p\r\n\r\n"
POST = b"POST /cmcd HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
FUZZED = int(os.environ.get("NEARCAST_FUZZ", "200000"))


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    known_heads.clear()
    yield
    known_heads.clear()


def read(*pieces: bytes) -> list[Request]:
    reader = RequestReader()
    return [request for piece in pieces for request in reader.feed(piece)]


def one(data: bytes) -> Request:
    requests = read(data)
    assert len(requests) == 1
    return requests[0]


def status(data: bytes) -> int:
    """Of the complaint about the last request; 0 if there is none."""
    complaint = read(data)[-1].complaint
    return complaint[0] if complaint is not None else 0


def heard(requests: Iterable[Request]) -> list[object]:
    """What a connection does with requests: nothing after one that ends it; of a complaint the status counts."""
    seen: list[object] = []
    for request in requests:
        if request.complaint is not None:
            return [*seen, request.complaint[0]]
        seen.append(request)
        if not request.keep_alive:
            return seen
    return seen


def test_a_request_is_what_was_sent() -> None:
    request = one(b"GET /v1/a?b=c HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nX-Other: y\r\n\r\n")
    assert request == Request("GET", b"/v1/a?b=c", {"host": "a", "range": "bytes=0-1"}, True, None, b"")


def test_names_of_fields_have_no_case() -> None:
    assert one(b"GET / HTTP/1.1\r\nhOST: a\r\nRANGE: x\r\n\r\n").headers == {"host": "a", "range": "x"}


def test_several_fields_of_one_name_are_one_list_and_several_cookies_one_cookie() -> None:
    headers = one(b"GET / HTTP/1.1\r\nHost: a\r\nIf-Match: x\r\nif-match: y\r\nCookie: b\r\nCookie: c\r\n\r\n").headers
    assert (headers["if-match"], headers["cookie"]) == ("x, y", "b; c")


def test_pipelined_requests_come_in_their_order_with_their_bodies() -> None:
    requests = read(PLAIN + POST + PLAIN.replace(b"/v1/a", b"/v1/b"))
    assert [(request.target, request.body) for request in requests] == [
        (b"/v1/a", b""), (b"/cmcd", b"hello"), (b"/v1/b", b""),
    ]  # fmt: skip


def test_a_reader_is_midway_from_the_first_byte_of_a_request_to_its_last() -> None:
    reader = RequestReader()
    assert not reader.midway
    for index in range(1, len(POST)):
        assert not reader.feed(POST[index - 1 : index])
        assert reader.midway
    assert len(reader.feed(POST[-1:])) == 1
    assert not reader.midway


def test_bytes_one_at_a_time_are_the_same_requests() -> None:
    stream = PLAIN + POST + PLAIN
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == read(stream)


# Limits


def test_a_body_may_have_its_limit_and_not_a_byte_more() -> None:
    head = b"POST /cmcd HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    body = b"x" * LARGEST_BODY_BYTES
    assert one(head % LARGEST_BODY_BYTES + body).body == body
    assert status(head % (LARGEST_BODY_BYTES + 1) + body) == 413


def test_a_body_that_comes_in_pieces_is_whole() -> None:
    body = bytes(range(256)) * 256
    stream = b"POST /cmcd HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body + PLAIN
    first, second = read(*(stream[i : i + 1000] for i in range(0, len(stream), 1000)))
    assert (first.body, second.target) == (body, b"/v1/a")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"PUT"])
def test_only_a_post_may_carry_content(method: bytes) -> None:
    assert status(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx") == 413
    assert status(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") == 0


def test_a_head_of_sixteen_kilobytes_is_read_and_one_that_is_larger_is_431() -> None:
    def head(size: int) -> bytes:
        start = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
        return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"

    assert status(head(LARGEST_HEAD_BYTES)) == 0
    assert status(head(LARGEST_HEAD_BYTES + 100)) == 431


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"x" * 1000),
        (b"GET / HTTP/1.1\r\n", b"x" * 1000),
        (b"GET / HTTP/1.1\r\nX: ", b"x" * 1000),
        (b"GET / HTTP/1.1\r\nX: ", b" " * 1000),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 100),
        (b"GET / HTTP/1.1\r\n", b"Cookie: y\r\n" * 100),
        (b"", b"\r\n" * 500),
        (PLAIN, b"\r\n" * 500),
        (POST[:-5], b""),
    ],
)
def test_what_never_ends_is_refused_before_it_fills_memory(start: bytes, more: bytes) -> None:
    reader = RequestReader()
    requests = list(reader.feed(start))
    fed = 0
    while not reader.has_refused and more:
        requests += reader.feed(more)
        fed += len(more)
        assert fed <= 2 * LARGEST_HEAD_BYTES
    if more:
        assert requests[-1].complaint is not None and requests[-1].complaint[0] in (400, 431)


# What was parsed before


def test_a_head_that_was_read_before_gives_the_same_request_as_one_that_was_not() -> None:
    fresh = one(PLAIN)
    assert known_heads
    again = one(PLAIN)
    assert again == fresh and again.headers is fresh.headers


def test_another_target_and_head_instead_of_get_need_no_parser_either() -> None:
    one(PLAIN)
    other = b"HEAD /v1/b?c=d HTTP/1.1\r\n" + PLAIN.partition(b"\r\n")[2]
    shortcut = one(other)
    known_heads.clear()
    assert shortcut == one(other)


def test_what_changes_with_each_request_is_not_kept() -> None:
    for field in (b"Range: bytes=0-1", b"CMCD-Request: bl=1", b"CMCD-Object: br=1", b"Content-Length: 0"):
        one(b"GET / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n")
    assert not known_heads


def test_what_is_kept_stays_bounded() -> None:
    for number in range(10_000):
        one(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: %d\r\n\r\n" % number)
    assert len(known_heads) <= 4096


def test_a_large_head_is_not_kept() -> None:
    one(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000 + b"\r\n\r\n")
    assert not known_heads


def test_a_request_that_asks_to_close_is_known_as_such() -> None:
    closing = PLAIN[:-2] + b"Connection: close\r\n\r\n"
    assert [one(closing).keep_alive for _ in range(2)] == [False, False]


def test_a_head_of_http_1_0_is_not_taken_for_one_of_http_1_1() -> None:
    old = PLAIN.replace(b"1.1", b"1.0")
    assert (one(PLAIN).keep_alive, one(old).keep_alive, one(PLAIN).keep_alive) == (True, False, True)


@pytest.mark.parametrize(
    "line",
    [b"GET /a b HTTP/1.1", b"GET /a\tb HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET  /a  HTTP/1.1", b"POST /a HTTP/1.1",
     b"GET /a HTTP/2.0", b"GET a HTTP/1.1", b"GET /a#b HTTP/1.1", b"get /a HTTP/1.1", b"GET http://b/a HTTP/1.1"],
)  # fmt: skip
def test_a_strange_request_line_before_known_fields_is_read_as_it_would_be_before_unknown_ones(line: bytes) -> None:
    data = line + b"\r\n" + PLAIN.partition(b"\r\n")[2]
    fresh = heard(read(data))
    one(PLAIN)
    assert heard(read(data)) == fresh


# What two servers could read differently


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\0\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\rHost: a\r\r", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", 400),
        (b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_what_two_servers_could_read_differently_is_refused(data: bytes, expected: int) -> None:
    assert status(data) == expected


@pytest.mark.parametrize(
    ("data", "method", "target"),
    [
        (b"GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET", b"/x?y"),
        (b"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", b"/"),
        (b"GET HTTPS://b?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", b"/?x=1"),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", b"*"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT", b"a:1"),
        (b"GET / HTTP/1.0\r\n\r\n", "GET", b"/"),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", b"/"),
        (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET", b"/"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", b"/"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", "GET", b"/"),
    ],
)
def test_what_http_allows_is_read(data: bytes, method: str, target: bytes) -> None:
    request = one(data)
    assert (request.method, request.target, request.complaint) == (method, target, None)


@pytest.mark.parametrize(
    "first",
    [
        b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_an_upgrade_is_passed_over_and_what_follows_is_http(first: bytes) -> None:
    requests = read(first + PLAIN)
    assert [request.complaint for request in requests] == [None, None]
    assert requests[1].target == b"/v1/a"


@pytest.mark.parametrize(
    "fields", [b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n"]
)
def test_the_content_of_a_request_with_upgrade_is_never_read_as_the_next_request(fields: bytes) -> None:
    content = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /cmcd HTTP/1.1\r\nHost: a\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(content)
    assert b"/smuggled" not in [request.target for request in read(head + content + PLAIN)]


REFUSED = (
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /" + b"x" * 2 * LARGEST_HEAD_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
)


@pytest.mark.parametrize("refused", REFUSED)
def test_nothing_after_a_complaint_is_ever_read(refused: bytes) -> None:
    reader = RequestReader()
    reader.feed(PLAIN)  # so its fields are known
    assert list(reader.feed(refused + PLAIN))[-1].complaint is not None
    assert reader.has_refused and not reader.midway
    assert not reader.feed(PLAIN)
    assert not reader.feed(POST)


# Properties

_TARGETS = st.sampled_from([b"/", b"/v1/a/b/c", b"/t/x/v1/a?b=%20", b"http://b/c", b"*", b"/a#b", b"/\xff", b"/a b"])
_FIELDS = st.sampled_from(
    [
        b"User-Agent: p", b"Range: bytes=0-1", b"Connection: close", b"Connection: keep-alive", b"Cookie: a=b",
        b"Connection: upgrade\r\nUpgrade: x", b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: 0",
        b"CMCD-Session: sid=\"x\"", b"If-None-Match: \"a\"", b"X:  y ", b"X:", b"X : y", b"Host: b", b"X: \0",
        b" folded",
    ]
)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b"BREW"]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0", b"2.0"]))
    fields = [b"Host: a", *draw(st.lists(_FIELDS, max_size=3))]
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n"]))
    body = b"hello" if method == b"POST" and b"Content-Length: 5" in fields else b""
    line = method + b" " + draw(_TARGETS) + b" HTTP/" + version
    return b"\r\n".join([line, *fields]) + end + b"\r\n" + body


def pieces_of(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges) if a < b]


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=6))
def test_any_split_of_a_stream_gives_the_same_requests(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(sent)
    assert heard(read(*pieces_of(stream, cuts))) == heard(read(stream))


@given(st.lists(requests(), min_size=1, max_size=4))
def test_what_is_known_from_before_never_changes_what_is_read(sent: list[bytes]) -> None:
    known_heads.clear()
    fresh = [heard(_unknown(data)) for data in sent]
    for _ in range(2):
        assert [heard(read(data)) for data in sent] == fresh


def _unknown(data: bytes) -> list[Request]:
    known_heads.clear()
    return read(data)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_no_bytes_make_the_reader_fail(data: bytes, cuts: list[int]) -> None:
    read(*pieces_of(data, cuts))


def test_mutated_requests_neither_fail_nor_fill_memory() -> None:
    """As many as NEARCAST_FUZZ says, over connections that last as long as they are understood."""
    chance = random.Random(7)
    seeds = [
        PLAIN, POST, PLAIN + POST,
        b"HEAD /v1/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,5-6\r\nIf-None-Match: \"x\"\r\nConnection: close\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"POST /cmcd HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET http://b/c HTTP/1.0\r\nConnection: keep-alive\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n",
    ]  # fmt: skip
    splices = (
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b":",
        b",",
        b"0",
        b"9" * 30,
        b"\xff",
        b"HTTP/1.1",
        b"\r\n\r\n",
        PLAIN,
    )
    most = 2 * LARGEST_HEAD_BYTES + LARGEST_BODY_BYTES
    reader, waiting, answered, refused = RequestReader(), 0, 0, 0
    for _ in range(FUZZED):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(3)):
            at, how = chance.randrange(len(data) + 1), chance.randrange(4)
            if how == 0 and at < len(data):
                data[at] = chance.randrange(256)
            elif how == 1:
                del data[at : at + chance.randrange(1, 9)]
            elif how == 2:
                data[at:at] = chance.choice(splices)
            else:
                data[at:at] = data[: chance.randrange(40)]
        cut = chance.randrange(len(data) + 1) if chance.random() < 0.3 else len(data)
        for piece in (bytes(data[:cut]), bytes(data[cut:])):
            found = reader.feed(piece) if piece else ()
            waiting = 0 if found else waiting + len(piece)
            assert waiting <= most
            answered += len(found)
            if reader.has_refused:
                assert found[-1].complaint is not None
                refused += 1
                reader, waiting = RequestReader(), 0
                break
    assert answered > refused > 0
    assert len(known_heads) <= 4096


@pytest.mark.parametrize(
    ("priority", "is_so"),
    [("u=7", True), ("i, u=7", True), ("u=7;x=1", True), ("u=5", False), ("", False), ("u=70", False), ("xu=7", False)],
)
def test_urgency_seven_is_background_work(priority: str, is_so: bool) -> None:
    assert is_background(priority) is is_so
