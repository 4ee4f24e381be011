"""Decides what a request for a piece of a package is answered with: status, bytes, head.

Pure: request -> decision as a value; moving the bytes is the connection's work. The appliance and the origin decide
here, so that a player cannot tell them apart.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from encoder.package import Extent
from oca.http.conditions import LAST_MODIFIED, precondition, range_applies
from oca.http.ranges import RangeNotSatisfiable, Span, parse_ranges

# Packages never change, so a year (the largest that caches honour) without asking again: RFC 8246.
CACHE_CONTROL = "public, max-age=31536000, immutable"
# CTA-5004 section 4.2: players of another origin may send CMCD in these headers only if a preflight names them.
_REQUEST_HEADERS = (
    "Range, If-Range, If-None-Match, If-Modified-Since, Content-Type, Want-Repr-Digest, CTA-Common-Access-Token, "
    "CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session"
)
_EXPOSED_HEADERS = (
    "Content-Length, Content-Range, ETag, Cache-Status, Date, CMSD-Dynamic, Repr-Digest, CTA-Common-Access-Token, "
    "Nearcast-Token"
)
_CRLF = "\r\n"
CORS_HEADERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", _EXPOSED_HEADERS),
    # Without it a page sees no timing of our answers, and players then estimate throughput badly.
    ("Timing-Allow-Origin", "*"),
)
PREFLIGHT_HEADERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS, POST"),
    ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
    ("Access-Control-Max-Age", "86400"),
)


class Part(NamedTuple):
    """One range of an answer of several: what goes before its bytes [first, end) of the stored file, and those."""

    head: bytes
    first: int
    end: int


class Decision(NamedTuple):
    """`first` and `end` bound the bytes to send within the stored file; equal where no body follows.

    With `parts` the body is made of those, in their order, the last of which is only the closing delimiter.
    """

    status: int
    first: int
    end: int
    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...] = ()


def entity_tag(extent: Extent) -> str:
    """Strong, from the digest: the same wherever the piece is served, and after any restart."""
    digest = extent.file.digest[:32]
    if extent.length == extent.file.size:
        return f'"{digest}"'
    return f'"{digest}-{extent.offset}-{extent.length}"'


def decide(method: str, headers: Mapping[str, str], extent: Extent, *, several: bool = True) -> Decision:
    """The answer to GET or HEAD for `extent`. Header names in `headers` are lower case.

    Precedence is RFC 9110 13.2.2: conditions, then Range with If-Range (of GET only, 14.2). Where `several` is false,
    a request of several ranges is answered with the whole.
    """
    etag = entity_tag(extent)
    common: tuple[tuple[str, str], ...] = (
        ("ETag", etag),
        ("Last-Modified", LAST_MODIFIED),
        ("Cache-Control", CACHE_CONTROL),
        ("Accept-Ranges", "bytes"),
    )
    status = precondition(headers, etag)
    if status == 412:
        return Decision(412, 0, 0, (*common, ("Content-Length", "0")))
    if status == 304:
        return Decision(304, 0, 0, common)
    spans: tuple[Span, ...] = ()
    if method == "GET" and range_applies(headers.get("if-range"), etag):
        try:
            spans = parse_ranges(headers.get("range"), extent.length)
        except RangeNotSatisfiable:
            return Decision(416, 0, 0, (("Content-Range", f"bytes */{extent.length}"), ("Content-Length", "0")))
    if "want-repr-digest" in headers:
        common = (*common, *_wanted_digest(headers["want-repr-digest"], extent))
    if len(spans) > 1 and several:
        return _multipart(spans, extent, common)
    common = (("Content-Type", extent.media_type), *common)
    if len(spans) != 1:
        end = extent.length if method == "GET" else 0
        return Decision(200, extent.offset, extent.offset + end, (*common, ("Content-Length", str(extent.length))))
    span = spans[0]
    length = ("Content-Length", str(span.end - span.first))
    content_range = ("Content-Range", _content_range(span, extent))
    return Decision(206, extent.offset + span.first, extent.offset + span.end, (*common, content_range, length))


def _content_range(span: Span, extent: Extent) -> str:
    return f"bytes {span.first}-{span.end - 1}/{extent.length}"


def _multipart(spans: tuple[Span, ...], extent: Extent, common: tuple[tuple[str, str], ...]) -> Decision:
    """multipart/byteranges (RFC 9110 14.6). The delimiter is half a SHA-256 of what it delimits, so not found in it."""
    delimiter = extent.file.digest[-32:]
    parts: list[Part] = []
    for span in spans:
        fields = (("Content-Type", extent.media_type), ("Content-Range", _content_range(span, extent)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        part_head = f"{'' if not parts else _CRLF}--{delimiter}{_CRLF}{lines}{_CRLF}".encode()
        parts.append(Part(part_head, extent.offset + span.first, extent.offset + span.end))
    parts.append(Part(f"\r\n--{delimiter}--\r\n".encode(), parts[-1].end, parts[-1].end))
    length = sum(len(part.head) + part.end - part.first for part in parts)
    content_type = ("Content-Type", f"multipart/byteranges; boundary={delimiter}")
    first, end = min(part.first for part in parts), max(part.end for part in parts)
    return Decision(206, first, end, (content_type, *common, ("Content-Length", str(length))), tuple(parts))


def _wanted_digest(wanted: str, extent: Extent) -> tuple[tuple[str, str], ...]:
    """What Want-Repr-Digest gets: SHA-256 where that is acceptable (preference 0 is "not"), else nothing."""
    preference = dict(member.strip().partition("=")[::2] for member in wanted.split(","))
    return repr_digest(extent) if preference.get("sha-256", "0") != "0" else ()


def repr_digest(extent: Extent) -> tuple[tuple[str, str], ...]:
    """Repr-Digest (RFC 9530) of a whole stored file; of its pieces no digest is known."""
    if extent.length != extent.file.size:
        return ()
    return (("Repr-Digest", f"sha-256=:{base64.b64encode(bytes.fromhex(extent.file.digest)).decode()}:"),)


def problem(status: int, detail: str) -> bytes:
    """An RFC 9457 problem document."""
    return msgspec.json.encode({"title": HTTPStatus(status).phrase, "status": status, "detail": detail})


def head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and header fields as they go over the wire."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
