from __future__ import annotations

import base64
import email
import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.package import Extent, StoredFile
from oca.http.answer import Decision, decide, entity_tag, head, problem, repr_digest
from oca.http.conditions import LAST_MODIFIED
from oca.http.ranges import MOST_RANGES

DATA = random.Random(3).randbytes(1000)
FILE = StoredFile("v.mp4", 1000, hashlib.sha256(DATA).hexdigest(), ("b" * 64,))
WHOLE = Extent(FILE, 0, 1000, "video/mp4")
PIECE = Extent(FILE, 100, 50, "video/iso.segment")
EMPTY = Extent(StoredFile("e.vtt", 0, hashlib.sha256(b"").hexdigest(), ()), 0, 0, "text/vtt")


def header(decision: Decision, name: str) -> str | None:
    assert len({field.lower() for field, _ in decision.headers}) == len(decision.headers), "a field twice"
    return dict(decision.headers).get(name)


def body(decision: Decision) -> bytes:
    """The bytes that a connection would send."""
    if decision.parts:
        return b"".join(part.head + DATA[part.first : part.end] for part in decision.parts)
    return DATA[decision.first : decision.end]


def parts(decision: Decision) -> list[tuple[str | None, str, bytes]]:
    """Content-Range, Content-Type and bytes of each part, as Python's reader of mail takes the body apart."""
    content_type = header(decision, "Content-Type")
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body(decision))
    assert message.is_multipart() and not message.defects
    assert message.preamble in (None, "") and not (message.epilogue or "").strip()
    found = []
    for part in message.get_payload():
        assert not isinstance(part, str)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append((part["Content-Range"], part.get_content_type(), payload))
    return found


def test_a_plain_get_sends_the_piece_from_where_it_lies() -> None:
    decision = decide("GET", {}, PIECE)
    assert (decision.status, decision.first, decision.end) == (200, 100, 150)
    assert header(decision, "Content-Length") == "50"
    assert header(decision, "Content-Type") == "video/iso.segment"
    assert header(decision, "Accept-Ranges") == "bytes"
    assert header(decision, "Last-Modified") == LAST_MODIFIED


def test_head_promises_the_length_and_sends_nothing() -> None:
    decision = decide("HEAD", {"range": "bytes=0-1"}, PIECE)
    assert (decision.status, decision.end - decision.first, header(decision, "Content-Length")) == (200, 0, "50")
    assert decide("HEAD", {}, PIECE).headers == decide("GET", {}, PIECE).headers


def test_a_range_is_counted_from_the_piece_not_from_the_file() -> None:
    decision = decide("GET", {"range": "bytes=10-19"}, PIECE)
    assert (decision.status, decision.first, decision.end) == (206, 110, 120)
    assert header(decision, "Content-Range") == "bytes 10-19/50"


def test_a_range_past_the_end_is_416_and_tells_the_size() -> None:
    decision = decide("GET", {"range": "bytes=50-"}, PIECE)
    assert (decision.status, header(decision, "Content-Range")) == (416, "bytes */50")
    assert header(decision, "Content-Length") == "0" and not body(decision)


def test_an_empty_file_is_sent_and_has_no_ranges() -> None:
    assert (decide("GET", {}, EMPTY).status, header(decide("GET", {}, EMPTY), "Content-Length")) == (200, "0")
    assert decide("GET", {"range": "bytes=0-"}, EMPTY).status == 416


# Several ranges


def test_several_ranges_are_parts_in_the_order_asked_for() -> None:
    decision = decide("GET", {"range": "bytes=40-49, 0-4 , -3"}, PIECE)
    assert decision.status == 206
    assert parts(decision) == [
        ("bytes 40-49/50", "video/iso.segment", DATA[140:150]),
        ("bytes 0-4/50", "video/iso.segment", DATA[100:105]),
        ("bytes 47-49/50", "video/iso.segment", DATA[147:150]),
    ]
    assert header(decision, "Content-Range") is None  # RFC 9110 14.4: of the parts only
    assert (decision.first, decision.end) == (100, 150)  # what has to be there


def test_of_several_ranges_one_of_which_is_satisfiable_that_one_is_sent_plain() -> None:
    decision = decide("GET", {"range": "bytes=100-,0-4"}, PIECE)
    assert (decision.status, header(decision, "Content-Range"), body(decision)) == (206, "bytes 0-4/50", DATA[100:105])
    assert not decision.parts


@pytest.mark.parametrize("asked", ["0-,0-,0-", "0-49,0-0", ",".join("1-1" for _ in range(MOST_RANGES + 1)), "0-1,b-"])
def test_too_many_or_too_much_is_the_whole(asked: str) -> None:
    decision = decide("GET", {"range": f"bytes={asked}"}, PIECE)
    assert (decision.status, body(decision)) == (200, DATA[100:150])


def test_where_several_are_not_to_be_sent_the_whole_is() -> None:
    decision = decide("GET", {"range": "bytes=0-1,5-6"}, PIECE, several=False)
    assert (decision.status, body(decision), decision.parts) == (200, DATA[100:150], ())
    assert decide("GET", {"range": "bytes=0-1"}, PIECE, several=False).status == 206


def test_the_delimiter_is_not_in_what_it_delimits() -> None:
    decision = decide("GET", {"range": "bytes=0-1,5-6"}, WHOLE)
    content_type = header(decision, "Content-Type")
    assert content_type is not None
    delimiter = content_type.partition("boundary=")[2].encode()
    assert delimiter not in DATA and body(decision).count(delimiter) == 3
    assert len(delimiter) <= 70  # RFC 2046 5.1.1


def test_head_and_conditions_have_no_parts() -> None:
    several = {"range": "bytes=0-1,5-6"}
    assert not decide("HEAD", several, PIECE).parts
    assert not decide("GET", {**several, "if-none-match": "*"}, PIECE).parts
    assert not decide("GET", {**several, "if-range": '"other"'}, PIECE).parts


# Conditions


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": entity_tag(PIECE), "range": "bytes=0-1"}, 304),
        ({"if-match": '"other"', "if-none-match": entity_tag(PIECE)}, 412),
        ({"if-match": '"other"', "range": "bytes=900-"}, 412),
        ({"if-match": entity_tag(PIECE), "range": "bytes=0-1"}, 206),
        ({"if-range": entity_tag(PIECE), "range": "bytes=0-1"}, 206),
        ({"if-range": LAST_MODIFIED, "range": "bytes=0-1"}, 206),
        ({"if-range": "Wed, 21 Oct 2015 07:28:00 GMT", "range": "bytes=0-1"}, 200),
        ({"if-range": '"other"', "range": "bytes=0-1"}, 200),
        ({"if-range": '"other"', "range": "bytes=900-"}, 200),
        ({"if-range": entity_tag(PIECE), "range": "bytes=900-"}, 416),
        ({"if-range": entity_tag(PIECE)}, 200),
        ({"if-modified-since": LAST_MODIFIED, "range": "bytes=0-1"}, 304),
        ({"if-none-match": '"other"', "if-modified-since": LAST_MODIFIED}, 200),
        ({"if-unmodified-since": "Fri, 31 Dec 1999 23:59:59 GMT"}, 412),
    ],
)
def test_conditions_have_the_precedence_of_rfc_9110(headers: dict[str, str], status: int) -> None:
    assert decide("GET", headers, PIECE).status == status
    assert decide("HEAD", headers, PIECE).status == (200 if status in (206, 416) else status)


def test_a_304_carries_what_a_200_would_say_of_caching_and_no_length() -> None:
    decision = decide("GET", {"if-none-match": "*"}, WHOLE)
    plain = decide("GET", {}, WHOLE)
    for name in ("ETag", "Last-Modified", "Cache-Control"):
        assert header(decision, name) == header(plain, name) is not None
    assert header(decision, "Content-Length") is None and not body(decision)


def test_each_piece_has_a_tag_of_its_own() -> None:
    assert len({entity_tag(WHOLE), entity_tag(PIECE), entity_tag(PIECE._replace(offset=101))}) == 3


def test_content_is_immutable_for_caches() -> None:
    assert header(decide("GET", {}, WHOLE), "Cache-Control") == "public, max-age=31536000, immutable"


# Repr-Digest


@pytest.mark.parametrize(
    ("wanted", "is_told"),
    [
        ("sha-256=10", True),
        ("sha-256=1", True),
        ("sha-512=3, sha-256=10, unixsum=0", True),
        ("sha-512=3,sha-256=10", True),
        ("sha-256=0", False),
        ("sha-512=10", False),
        ("", False),
    ],
)
def test_a_digest_is_told_to_those_who_want_it(wanted: str, is_told: bool) -> None:
    expected = f"sha-256=:{base64.b64encode(hashlib.sha256(DATA).digest()).decode()}:" if is_told else None
    assert header(decide("GET", {"want-repr-digest": wanted}, WHOLE), "Repr-Digest") == expected
    assert header(decide("HEAD", {"want-repr-digest": wanted}, WHOLE), "Repr-Digest") == expected


def test_a_digest_is_of_the_whole_representation_also_where_a_part_is_sent() -> None:
    wanted = {"want-repr-digest": "sha-256=1"}
    whole = header(decide("GET", wanted, WHOLE), "Repr-Digest")
    assert whole is not None
    assert header(decide("GET", {**wanted, "range": "bytes=0-1"}, WHOLE), "Repr-Digest") == whole
    assert header(decide("GET", {**wanted, "range": "bytes=0-1,5-6"}, WHOLE), "Repr-Digest") == whole


def test_of_a_segment_no_digest_is_known() -> None:
    assert repr_digest(PIECE) == ()
    assert header(decide("GET", {"want-repr-digest": "sha-256=1"}, PIECE), "Repr-Digest") is None
    assert header(decide("GET", {}, WHOLE), "Repr-Digest") is None


# What is promised is what is sent

_TEXTS = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"bytes=([0-9]{0,3}-[0-9]{0,3}, ?){0,5}[0-9]{0,3}-[0-9]{0,3}", fullmatch=True),
    st.sampled_from([entity_tag(WHOLE), entity_tag(PIECE), "*", LAST_MODIFIED, "bytes=0-0,2-3", "sha-256=1"]),
)
_NAMES = (
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "want-repr-digest",
)


@given(st.sampled_from(["GET", "HEAD"]), st.dictionaries(st.sampled_from(_NAMES), _TEXTS), st.booleans(), st.booleans())
def test_as_many_bytes_are_sent_as_are_promised(
    method: str, headers: dict[str, str], is_whole: bool, several: bool
) -> None:
    extent = WHOLE if is_whole else PIECE
    decision = decide(method, headers, extent, several=several)
    assert decision.status in (200, 206, 304, 412, 416)
    sent = body(decision)
    if method == "GET" and decision.status in (200, 206):
        assert header(decision, "Content-Length") == str(len(sent))
    else:
        assert not sent
    if sent:
        assert extent.offset <= decision.first < decision.end <= extent.offset + extent.length
    assert b"\n" not in head(decision.status, decision.headers).replace(b"\r\n", b"")


@given(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 1200)), min_size=2, max_size=MOST_RANGES))
def test_parts_are_the_slices_that_were_asked_for(asked: list[tuple[int, int]]) -> None:
    pairs = [(min(pair), max(pair)) for pair in asked]
    decision = decide("GET", {"range": "bytes=" + ",".join(f"{first}-{last}" for first, last in pairs)}, WHOLE)
    if not decision.parts:
        return
    inside = [(first, min(last, 999)) for first, last in pairs if first < 1000]
    assert parts(decision) == [
        (f"bytes {first}-{last}/1000", "video/mp4", DATA[first : last + 1]) for first, last in inside
    ]


def test_a_head_is_lines_and_an_empty_one() -> None:
    assert head(404, (("A", "b"),)) == b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n"


def test_a_problem_says_what_rfc_9457_wants() -> None:
    assert problem(404, 'no "such"') == b'{"title":"Not Found","status":404,"detail":"no \\"such\\""}'
