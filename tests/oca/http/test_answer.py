from __future__ import annotations

import pytest

from encoder.package import Extent, StoredFile
from oca.http.answer import Decision, decide, entity_tag, head

FILE = StoredFile("v.mp4", 1000, "d" * 64, ("b" * 64,))
WHOLE = Extent(FILE, 0, 1000, "video/mp4")
PIECE = Extent(FILE, 100, 50, "video/iso.segment")


def header(decision: Decision, name: str) -> str | None:
    return dict(decision.headers).get(name)


def test_a_plain_get_sends_the_piece_from_where_it_lies() -> None:
    decision = decide("GET", {}, PIECE)
    assert (decision.status, decision.first, decision.end) == (200, 100, 150)
    assert header(decision, "Content-Length") == "50"
    assert header(decision, "Content-Type") == "video/iso.segment"


def test_head_promises_the_length_and_sends_nothing() -> None:
    decision = decide("HEAD", {"range": "bytes=0-1"}, PIECE)
    assert (decision.status, decision.end - decision.first, header(decision, "Content-Length")) == (200, 0, "50")


def test_a_range_is_counted_from_the_piece_not_from_the_file() -> None:
    decision = decide("GET", {"range": "bytes=10-19"}, PIECE)
    assert (decision.status, decision.first, decision.end) == (206, 110, 120)
    assert header(decision, "Content-Range") == "bytes 10-19/50"


def test_a_range_past_the_end_is_416_and_tells_the_size() -> None:
    decision = decide("GET", {"range": "bytes=50-"}, PIECE)
    assert (decision.status, header(decision, "Content-Range")) == (416, "bytes */50")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": entity_tag(PIECE), "range": "bytes=0-1"}, 304),
        ({"if-match": '"other"', "if-none-match": entity_tag(PIECE)}, 412),
        ({"if-match": entity_tag(PIECE), "range": "bytes=0-1"}, 206),
        ({"if-range": entity_tag(PIECE), "range": "bytes=0-1"}, 206),
        ({"if-range": '"other"', "range": "bytes=0-1"}, 200),
        ({"if-range": '"other"', "range": "bytes=900-"}, 200),
    ],
)
def test_conditions_have_the_precedence_of_rfc_9110(headers: dict[str, str], status: int) -> None:
    assert decide("GET", headers, PIECE).status == status


def test_each_piece_has_a_tag_of_its_own() -> None:
    assert len({entity_tag(WHOLE), entity_tag(PIECE), entity_tag(PIECE._replace(offset=101))}) == 3


def test_content_is_immutable_for_caches() -> None:
    assert header(decide("GET", {}, WHOLE), "Cache-Control") == "public, max-age=31536000, immutable"


def test_a_head_is_lines_and_an_empty_one() -> None:
    assert head(404, (("A", "b"),)) == b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n"
