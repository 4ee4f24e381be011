"""What of a body of CMCD events is a complaint about who serves, and about whom (CTA-5004-B, event mode).

    a stall        `sta=r` (rebuffering) in any record; `bs` or `bsd` (it starved since the last record)
    a failure      `e=rr` (response received) with no status, 404, 408 or 5xx; or whose first byte took four seconds
    an error       `e=e`, `sta=f` (fatal), but for those of decoders and of buffers, which nobody serves

401 and 403 are about tokens and 416 about players. dash.js 5.2 says as `ttfb` what time it is, and hls.js 1.7 that its
buffer does not grow whenever it fetches a segment in another quality: neither counts.

A record that names no host is about the one that was named last before it: players name it with each response, and
stalls come between those.

A body is 64 KiB at most, a thousand records of 11 us each to read. So it is cut, and of the records without any of the
characters of a complaint one is read.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from oca.cmcd import parse_events

LARGEST_BODY = 16 * 1024
MOST_RECORDS = 64
_SLOW_MS, _NONSENSE_MS = 4000, 600_000
_FAILED = frozenset({0, 404, 408})
_LEAST_SERVER_ERROR = 500
# What stands in every record that is a complaint, and in few others: to look for it takes a fifth of reading a record.
_MARKS = (b"sta=r", b"sta=f", b"rc=0", b"rc=404", b"rc=408", b"rc=5", b"e=e", b"bs")
_SLOW = re.compile(rb"ttfb=[0-9]{4,6}(?![0-9])")
_NAMED = re.compile(rb'\b(?:url="https?://|h=")([^/",]+)')
# hls.js: bufferAppendError and its kind, all of them about what the page does with bytes that came; a buffer that
# stalls is what we want to know. Shaka: categories 2 to 6 are text, media, manifest, streaming, drm.
_OWN_ERROR = re.compile(
    r"buffer(?!Stalled)|media|key|drm|decode|frag(?:Parsing|Decrypt)|[2-6][0-9]{3}\Z", re.IGNORECASE
)


class Said(NamedTuple):
    """What one record says."""

    host: str  # of whom: "oca-1.example:8080", or without the port; "" where it does not say
    session: str  # "" where it does not say
    is_complaint: bool


def read(body: bytes) -> Iterator[Said]:
    """The complaints, and the first of the other records, which tells that the session is there."""
    lines = body[:LARGEST_BODY].split(b"\n")
    if len(body) > LARGEST_BODY:
        lines.pop()  # cut off in the middle
    lines = [line for line in lines if line.strip()][:MOST_RECORDS]
    hosts = [named[1].decode("latin-1").lower() if (named := _NAMED.search(line)) else "" for line in lines]
    usual = next(filter(None, hosts), "")
    is_heard = False
    for line, host in zip(lines, hosts, strict=True):
        usual = host or usual
        if not (any(mark in line for mark in _MARKS) or _SLOW.search(line)):
            if is_heard:
                continue
            is_heard = True
        for keys in parse_events(line).records:
            session = keys.get("sid")
            yield Said(_host(keys) or usual, session if isinstance(session, str) else "", _is_complaint(keys))


def _is_complaint(keys: Mapping[str, Any]) -> bool:
    if keys.get("bs") is True or "bsd" in keys or keys.get("sta") == "r":
        return True
    if keys["e"] == "rr":
        return _has_failed(keys)
    if keys["e"] == "e" or keys.get("sta") == "f":
        codes = keys.get("ec") or ()
        return not codes or not all(_OWN_ERROR.match(code) for code in codes)
    return False


def _has_failed(keys: Mapping[str, Any]) -> bool:
    status, first_byte_ms = keys.get("rc", 200), keys.get("ttfb", 0)
    return status in _FAILED or status >= _LEAST_SERVER_ERROR or _SLOW_MS <= first_byte_ms < _NONSENSE_MS


def _host(keys: Mapping[str, Any]) -> str:
    """Of the object that was asked for, else of whom the player is at."""
    scheme, _, rest = str(keys.get("url", "")).partition("://")
    host = rest.partition("/")[0] if scheme in ("http", "https") else ""
    return (host or str(keys.get("h", ""))).lower()
