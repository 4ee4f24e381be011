"""Decides what a request for a piece of a package is answered with: status, bytes, head.

Pure: request -> decision as a value; moving the bytes is the connection's work. The appliance and the origin decide
here, so that a player cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from encoder.package import Extent
from oca.http.conditions import not_modified, precondition_failed, range_applies
from oca.http.ranges import RangeNotSatisfiable, parse_range

# Packages never change, so a year (the largest that caches honour) without asking again: RFC 8246.
CACHE_CONTROL = "public, max-age=31536000, immutable"
# CTA-5004 section 4.2: players of another origin may send CMCD in these headers only if a preflight names them.
_REQUEST_HEADERS = "Range, If-Range, If-None-Match, CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session"
_EXPOSED_HEADERS = "Content-Length, Content-Range, ETag, Cache-Status, Date, CMSD-Dynamic"
CORS_HEADERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", _EXPOSED_HEADERS),
    # Without it a page sees no timing of our answers, and players then estimate throughput badly.
    ("Timing-Allow-Origin", "*"),
)
PREFLIGHT_HEADERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
    ("Access-Control-Max-Age", "86400"),
)


class Decision(NamedTuple):
    """`first` and `end` bound the bytes to send within the stored file; equal where no body follows."""

    status: int
    first: int
    end: int
    headers: tuple[tuple[str, str], ...]


def entity_tag(extent: Extent) -> str:
    """Strong, from the digest: the same wherever the piece is served, and after any restart."""
    digest = extent.file.digest[:32]
    if extent.length == extent.file.size:
        return f'"{digest}"'
    return f'"{digest}-{extent.offset}-{extent.length}"'


def decide(method: str, headers: Mapping[str, str], extent: Extent) -> Decision:
    """The answer to GET or HEAD for `extent`. Header names in `headers` are lower case.

    Precedence is RFC 9110 13.2.2: If-Match, If-None-Match, then Range with If-Range (of GET only, 14.2).
    """
    etag = entity_tag(extent)
    common: tuple[tuple[str, str], ...] = (("ETag", etag), ("Cache-Control", CACHE_CONTROL), ("Accept-Ranges", "bytes"))
    if precondition_failed(headers.get("if-match"), etag):
        return Decision(412, 0, 0, (*common, ("Content-Length", "0")))
    if not_modified(headers.get("if-none-match"), etag):
        return Decision(304, 0, 0, common)
    span = None
    if method == "GET" and range_applies(headers.get("if-range"), etag):
        try:
            span = parse_range(headers.get("range"), extent.length)
        except RangeNotSatisfiable:
            return Decision(416, 0, 0, (("Content-Range", f"bytes */{extent.length}"), ("Content-Length", "0")))
    common = (("Content-Type", extent.media_type), *common)
    if span is None:
        end = extent.length if method == "GET" else 0
        return Decision(200, extent.offset, extent.offset + end, (*common, ("Content-Length", str(extent.length))))
    content_range = ("Content-Range", f"bytes {span.first}-{span.end - 1}/{extent.length}")
    length = ("Content-Length", str(span.end - span.first))
    return Decision(206, extent.offset + span.first, extent.offset + span.end, (*common, content_range, length))


def problem(status: int, detail: str) -> bytes:
    """An RFC 9457 problem document."""
    return msgspec.json.encode({"title": HTTPStatus(status).phrase, "status": status, "detail": detail})


def head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and header fields as they go over the wire."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
