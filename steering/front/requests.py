"""Reads what is asked all day: bytes in, a request out if it is the front's, in a form that is wholly understood.

    GET, HEAD, OPTIONS   /play/{title}/master.m3u8|manifest.mpd     /steer/hls|dash
    POST, OPTIONS        /cmcd                                       with Content-Length, 64 KiB at most
    POST                 /api/v1/reports                             JSON, likewise

All else is foreign, and so is each of these where something about it is rare: HTTP/1.0, an absolute URI, an Upgrade,
content where none belongs, a head that llhttp does not take. The only fields that are looked at are those of `Fields`.
Players and appliances send the same ones with each request, so fields that were parsed before are found again by their
bytes, which takes a tenth of the time. What differs from one to the next is cut out before: X-Forwarded-For, which each
client behind a proxy has its own of, and the length of content.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

import httptools

from config.structs import Frozen
from oca.http.request import LARGEST_BODY_BYTES, LARGEST_HEAD_BYTES
from steering.sessions.pathways import Format

# A title as encoder.package has it. Bytes beyond ASCII are no URL, but no reason to leave a poll without an answer.
_LINE = re.compile(
    rb"(GET|HEAD|OPTIONS) /(?:play/([a-z0-9][a-z0-9._-]{0,63})/(?:(master\.m3u8)|manifest\.mpd)|steer/(?:(hls)|dash))"
    rb"(?:\?([^\x00-\x20\x7f]*))? HTTP/1\.1"
)
_EVENTS_LINE = re.compile(rb"(POST|OPTIONS) /cmcd(?:\?([^\x00-\x20\x7f]*))? HTTP/1\.1")
_REPORT_LINE = re.compile(rb"(POST) /api/v1/reports() HTTP/1\.1")
_STARTS = tuple(
    f"{method} {path}".encode()
    for method, paths in (
        ("GET", ("/play/", "/steer/")),
        ("HEAD", ("/play/", "/steer/")),
        ("OPTIONS", ("/play/", "/steer/", "/cmcd")),
        ("POST", ("/cmcd", "/api/v1/reports")),
    )
    for path in paths
)
_END = b"\r\n\r\n"
_FORWARDED = (b"\r\nX-Forwarded-For: ", b"\r\nx-forwarded-for: ")
_LENGTH = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
# What may be cut out without llhttp having seen it.
_ADDRESSES = re.compile(rb"[0-9A-Fa-f.:, \[\]]*")
_DIGITS = re.compile(rb"[0-9]{1,9}")
_GZIP = re.compile(r"(?:^|[,\s])(?:gzip|\*)(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)
# As many as there are kinds of players and devices; some 500 bytes each.
_MOST_KNOWN = 4096
_LARGEST_KNOWN = 2048


class Kind(Enum):
    PLAY = "play"
    STEER = "steer"
    EVENTS = "events"
    REPORT = "report"


# To look a member up in its enum takes 0.1 us each time.
_PLAY, _STEER = Kind.PLAY, Kind.STEER


class NotOurs(Enum):
    """Why there is no request."""

    INCOMPLETE = "incomplete"  # what came may become one
    FOREIGN = "foreign"


class Fields(Frozen, frozen=True):
    """What the header fields of a request say, as far as it matters here."""

    host: str
    forwarded: str  # X-Forwarded-For, the nearest hop last
    takes_gzip: bool
    keeps_alive: bool
    length: int | None  # of the content; None: it says nothing of it
    is_json: bool


class Request(Frozen, frozen=True):
    method: str
    kind: Kind
    form: Format
    title: str  # "" where nothing is played
    query: str
    fields: Fields
    forwarded: str
    body: bytes
    size: int  # of all of it, in bytes


_known: dict[bytes, Fields] = {}


def read_request(data: bytes) -> Request | NotOurs:
    """The first request in `data`."""
    end = data.find(_END)
    if end < 0:
        may_be_ours = len(data) <= LARGEST_HEAD_BYTES and _starts_as_ours(data)
        return NotOurs.INCOMPLETE if may_be_ours else NotOurs.FOREIGN
    if end > LARGEST_HEAD_BYTES:
        return NotOurs.FOREIGN
    line_end = data.find(b"\r\n")
    line = (
        _LINE.fullmatch(data, 0, line_end)
        or _REPORT_LINE.fullmatch(data, 0, line_end)
        or _EVENTS_LINE.fullmatch(data, 0, line_end)
    )
    if line is None:
        return NotOurs.FOREIGN
    fields, forwarded, length = _read_fields(data[line_end : end + 2], has_content=line[1] == b"POST")
    if fields is None or length > LARGEST_BODY_BYTES or (length and line[1] != b"POST"):
        return NotOurs.FOREIGN
    if line.re is _REPORT_LINE and not fields.is_json:
        return NotOurs.FOREIGN
    size = end + 4 + length
    if len(data) < size:
        return NotOurs.INCOMPLETE
    method = line[1].decode()
    if line.re is not _LINE:
        kind = Kind.REPORT if line.re is _REPORT_LINE else Kind.EVENTS
        query = (line[2] or b"").decode(errors="replace")
        return Request(method, kind, "hls", "", query, fields, forwarded, data[end + 4 : size], size)
    _, title, is_hls_play, is_hls_poll, query_bytes = line.groups()
    query = query_bytes.decode(errors="replace") if query_bytes else ""
    form: Format = "hls" if is_hls_play or is_hls_poll else "dash"
    kind = _STEER if title is None else _PLAY
    return Request(method, kind, form, title.decode() if title else "", query, fields, forwarded, b"", size)


def _starts_as_ours(data: bytes) -> bool:
    return any(data.startswith(start) or start.startswith(data) for start in _STARTS)


def _read_fields(text: bytes, *, has_content: bool) -> tuple[Fields | None, str, int]:
    """The fields, X-Forwarded-For and the content's length; None for fields that the front does not take.

    `text` begins with a line's end.
    """
    rest, forwarded = _cut(text, _FORWARDED, _ADDRESSES)
    length = ""
    if has_content:
        rest, length = _cut(rest, _LENGTH, _DIGITS)
    fields = _known.get(rest)
    if fields is None:
        fields = _parse(rest)
        if fields is None:
            return None, "", 0
        if len(rest) <= _LARGEST_KNOWN and not fields.length:  # lengths differ from one to the next
            _know(rest, fields)
    # A second one of what was cut out: the order of the first matters, and of two lengths llhttp takes neither.
    if (forwarded and fields.forwarded) or (length and fields.length is not None):
        fields, forwarded, length = _parse(text), "", ""
        if fields is None:
            return None, "", 0
    return fields, forwarded or fields.forwarded, int(length) if length else fields.length or 0


def _cut(text: bytes, names: Sequence[bytes], expected: re.Pattern[bytes]) -> tuple[bytes, str]:
    """The fields without one, and its value; as they are if it is not there, or not as usual."""
    for name in names:
        at = text.find(name)
        if at >= 0:
            end = text.index(b"\r\n", at + len(name))
            value = text[at + len(name) : end]
            is_folded = text[end + 2 : end + 3] in (b" ", b"\t")
            if expected.fullmatch(value) and not is_folded:
                return text[:at] + text[end:], value.decode("ascii")
    return text, ""


def _know(text: bytes, fields: Fields) -> None:
    if len(_known) >= _MOST_KNOWN:
        for old in list(_known)[: _MOST_KNOWN // 2]:
            del _known[old]
    _known[text] = fields


def _parse(text: bytes) -> Fields | None:
    reader = _Reader()
    try:
        # A POST's fields are good ones for a GET as well, and a length is then told for both.
        reader.parser.feed_data(b"POST / HTTP/1.1" + text + b"\r\n")
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    finally:
        reader.parser = None  # they know each other, so nobody but the collector would free them
    return reader.fields() if reader.is_complete else None


class _Reader:
    """Callbacks of httptools for one head."""

    def __init__(self) -> None:
        self.parser: Any = httptools.HttpRequestParser(self)
        self._values: dict[bytes, list[str]] = {}
        self._keeps_alive = False
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._values.setdefault(name.lower(), []).append(value.decode("latin-1").strip())

    def on_headers_complete(self) -> None:
        # Of a message that is over, the parser says nothing any more.
        self._keeps_alive = self.parser.should_keep_alive()
        self.is_complete = not self.parser.should_upgrade()

    def fields(self) -> Fields | None:
        hosts = self._values.get(b"host", [])
        lengths = self._values.get(b"content-length", [])
        if len(hosts) != 1 or not all(length.isdecimal() for length in lengths):
            return None
        if b"transfer-encoding" in self._values or b"expect" in self._values or b"content-encoding" in self._values:
            return None
        return Fields(
            host=hosts[0],
            forwarded=",".join(self._values.get(b"x-forwarded-for", [])),
            takes_gzip=_GZIP.search(",".join(self._values.get(b"accept-encoding", []))) is not None,
            keeps_alive=self._keeps_alive,
            length=int(lengths[0]) if lengths else None,
            is_json=self._values.get(b"content-type", [""])[0].partition(";")[0].strip().lower() == "application/json",
        )
