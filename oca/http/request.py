"""Reads the requests of one connection: bytes in, requests out.

The parser is llhttp (through httptools), strict: what two servers on the way might understand differently is refused,
and nothing after it is read. A connection costs no parser until it needs one: players send the same header fields with
each request and only another path, so fields that were parsed before are looked up by their bytes.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import httptools

# RFC 9110 asks for 8000 octets of request line at least; CMCD in headers and long tokens need more.
LARGEST_HEAD_BYTES = 16 * 1024
# CMCD events are the only requests with content; players send some hundred bytes an event.
LARGEST_BODY_BYTES = 64 * 1024
_HEAD_TOO_LARGE = f"the head of a request may have {LARGEST_HEAD_BYTES} bytes"
_BODY_TOO_LARGE = f"content is only read here: a POST may carry {LARGEST_BODY_BYTES} bytes, other methods none"
# Only these are looked at; all others cost nothing but their bytes.
_KNOWN_FIELDS = frozenset(
    b"range if-range if-match if-none-match if-modified-since if-unmodified-since cache-control user-agent host "
    b"content-length transfer-encoding content-type want-repr-digest cookie cta-common-access-token expect priority "
    b"cmcd-request cmcd-object cmcd-status cmcd-session".split()
)
# With these, fields are different in each request, and keeping them would only push out what is asked again.
_CHANGING_FIELDS = frozenset({"range", "content-length", "cmcd-request", "cmcd-object", "cmcd-status", "cmcd-session"})
# What makes the answer to a GET another one than the whole with 200 (oca.http.answer decides).
DECIDING_FIELDS = frozenset(
    {"range", "if-none-match", "if-match", "if-range", "if-modified-since", "if-unmodified-since", "want-repr-digest"}
)
_HOST = re.compile(r"[^\s/,]*\s*")
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
# What a request line may be to go without the parser: origin form, visible ASCII, no fragment.
_USUAL_LINE = re.compile(rb"(GET|HEAD) (/[!-\x22\x24-~]*) HTTP/1\.1")
_OTHER_PROTOCOL = re.compile(rb" (?:RTSP|ICE)/")
# Urgency 7 among the parameters of a Priority field, a dictionary of RFC 8941.
_BACKGROUND = re.compile(r"(?:^|,)\s*u=7\s*(?:$|[,;])")
_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}
# Some 500 bytes each; as many as there are kinds of players and devices, with room for cookies of single clients.
_MOST_KNOWN_HEADS = 4096
_LARGEST_KNOWN_HEAD = 2048


class Request(NamedTuple):
    """`headers` holds what is looked at here, names in lower case; it may be shared and is never changed."""

    method: str
    target: bytes
    headers: Mapping[str, str]
    keep_alive: bool
    complaint: tuple[int, str] | None = None  # what is wrong with it: status and sentence; the connection then ends
    body: bytes = b""


class Refused(Exception):
    """Stops httptools in the middle of a message."""


class KnownHead(NamedTuple):
    """Header fields that were parsed before, found again by their bytes."""

    headers: Mapping[str, str]
    keep_alive: bool
    is_usual: bool  # nothing in them makes the answer another one than the whole with 200


known_heads: dict[bytes, KnownHead] = {}


class RequestReader:
    """`midway` is true within a request, `wants_continue` within one whose content waits for our word.

    After a complaint nothing is read any more.
    """

    __slots__ = (
        "_body", "_fields", "_head_bytes", "_parser", "_raw_bytes", "_ready", "_target", "has_refused", "midway",
        "wants_continue",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpRequestParser | None = None
        self._ready: list[Request] = []
        self.has_refused = False
        self.midway = self.wants_continue = False
        # Raw bytes count what the parser may have buffered, head bytes what it told.
        self._raw_bytes = self._head_bytes = 0
        self._fields: dict[str, str] = {}
        self._target = b""
        self._body = b""

    def feed(self, data: bytes) -> Sequence[Request]:
        """The requests that are complete with `data`; one that is refused is the last and has a complaint."""
        if self.has_refused:
            return ()
        if not self.midway:
            line, _, fields = data.partition(b"\r\n")
            known = known_heads.get(fields)
            if known is not None and len(data) <= LARGEST_HEAD_BYTES:
                usual = _USUAL_LINE.fullmatch(line)
                if usual is not None:
                    return (Request(_METHODS[usual[1]], usual[2], known.headers, known.keep_alive),)
            if _OTHER_PROTOCOL.search(line):  # llhttp reads these too, and does not tell
                self._refuse(505, "only HTTP/1.1 is spoken here")
                return self._taken()
            ready = self._parse(data)
            if len(ready) == 1 and _USUAL_LINE.fullmatch(line):
                _know(fields, ready[0])
            return ready
        return self._parse(data)

    def _parse(self, data: bytes) -> list[Request]:
        self._ready = []
        self.midway = True
        self._raw_bytes += len(data)
        while data:
            if self._parser is None:
                self._parser = httptools.HttpRequestParser(self)
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                # RFC 9110 7.8: a server may ignore Upgrade. What follows is ordinary HTTP/1.1 for a new parser.
                self._parser = None
                data = data[upgrade.args[0] :]
            except httptools.HttpParserCallbackError:  # usually Refused, and the complaint is there
                self._refuse(400, "not HTTP/1.1")
                data = b""
            except httptools.HttpParserError as error:
                self._refuse(505 if "HTTP version" in str(error) else 400, f"not HTTP/1.1: {error}")
                data = b""
        if self._raw_bytes > LARGEST_HEAD_BYTES + len(self._body):
            self._refuse(431, _HEAD_TOO_LARGE)
        if not self.midway:
            self._parser = None  # 1 KiB that an idle client need not keep
        return self._taken()

    def _taken(self) -> list[Request]:
        ready, self._ready = self._ready, []
        return ready

    def _refuse(self, status: int, sentence: str) -> None:
        """Nothing after this can be understood."""
        if not self.has_refused:
            self.has_refused = True
            self.midway = False
            self._ready.append(Request("GET", self._target, {}, False, (status, sentence)))

    # Callbacks of httptools, in the order of a message

    def on_message_begin(self) -> None:
        self._target = self._body = b""
        self._fields = {}
        self._head_bytes = 0
        self.midway = True

    def on_url(self, target: bytes) -> None:
        self._target += target
        self._head_bytes += len(target)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        name = name.lower()
        if name in _KNOWN_FIELDS:
            key = name.decode("ascii")
            known = self._fields.get(key)
            text = value.decode("latin-1")
            # RFC 9110 5.3: several fields of one name are one list. A second Range or Host is malformed either way.
            self._fields[key] = text if known is None else f"{known}{'; ' if key == 'cookie' else ', '}{text}"

    def on_headers_complete(self) -> None:
        self._raw_bytes = 0
        fields, parser = self._fields, self._parser
        assert parser is not None
        if self._head_bytes > LARGEST_HEAD_BYTES:
            self._refuse(431, _HEAD_TOO_LARGE)
            raise Refused
        if "transfer-encoding" in fields:
            self._refuse(411, "content of unknown length is not read here, expected Content-Length")
            raise Refused
        length = fields.get("content-length", "0")
        if int(length) > (LARGEST_BODY_BYTES if parser.get_method() == b"POST" else 0):
            self._refuse(413, _BODY_TOO_LARGE)
            raise Refused
        if length != "0" and parser.should_upgrade():
            # llhttp ends such a message after its head: its content would be read as the next request.
            self._refuse(400, "content with an Upgrade is not read here")
            raise Refused
        self.wants_continue = length != "0" and fields.get("expect", "").lower() == "100-continue"
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(505, f"HTTP/{version} is not spoken here, expected HTTP/1.1")
            raise Refused
        host = fields.get("host", "" if version == "1.0" else "/")
        if not _HOST.fullmatch(host):
            self._refuse(400, "a request needs exactly one Host")  # RFC 9112 3.2
            raise Refused

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        self._raw_bytes = 0
        self.midway = self.wants_continue = False
        if self._target[:1] != b"/":
            self._target = _origin_form(self._target)
        method = parser.get_method().decode("ascii")
        # A client of HTTP/1.0 keeps a connection only if it is told so, in a way that proxies misread (RFC 9112 C.2.2).
        keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        self._ready.append(Request(method, self._target, self._fields, keep_alive, None, self._body))


def is_background(priority: str) -> bool:
    """Whether a Priority field says urgency 7, background work, as appliances that fill do (RFC 9218 4.1)."""
    return _BACKGROUND.search(priority) is not None


def usual_line(path: bytes) -> bytes:
    """The request line of a GET for `path` as nearly all have it."""
    return b"GET %b HTTP/1.1" % path


def _know(fields: bytes, request: Request) -> None:
    """Keeps the header fields of a usual request, if they are all that came with it, under their bytes."""
    if (
        request.complaint is None
        and fields.find(b"\r\n\r\n") == len(fields) - 4
        and len(fields) <= _LARGEST_KNOWN_HEAD
        and _CHANGING_FIELDS.isdisjoint(request.headers)
    ):
        if len(known_heads) >= _MOST_KNOWN_HEADS:
            for old in list(known_heads)[: _MOST_KNOWN_HEADS // 2]:
                del known_heads[old]
        is_usual = request.keep_alive and DECIDING_FIELDS.isdisjoint(request.headers)
        known_heads[fields] = KnownHead(request.headers, request.keep_alive, is_usual)


def _origin_form(target: bytes) -> bytes:
    """A target in absolute form, as it would be without its authority (RFC 9112 3.2.2); others as they are."""
    match = _AUTHORITY.match(target)
    if match is None:
        return target
    rest = target[match.end() :]
    return rest if rest[:1] == b"/" else b"/" + rest
