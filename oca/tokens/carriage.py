"""Where in a request a token may be: path prefix, header, cookie or query, looked for in this order.

The path comes first because it is how our manifests carry it: relative URIs keep the prefix, so nothing in a playlist
has to be rewritten per session. What is left of path and query is what the token is judged by, and what is served.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

NAME = "CTA-Common-Access-Token"  # of the header and of the cookie (CTA-5007)
QUERY_NAME = "cat"
_HEADER = NAME.lower()
# Content is below /v1/, and only there a prefix makes sense: /v1/t/... is the title "t", /t/x/other is nothing of ours.
_PREFIX = r"/t/([A-Za-z0-9_-]+={0,2})(/v1/.*)"
_PREFIXED, _PREFIXED_BYTES = re.compile(_PREFIX, re.DOTALL), re.compile(_PREFIX.encode(), re.DOTALL)


class Carrier(StrEnum):
    PATH = "path"
    HEADER = "header"
    COOKIE = "cookie"
    QUERY = "query"


class Carried(NamedTuple):
    token: str
    carrier: Carrier
    path: str  # without the prefix
    query: str  # without `cat`


def find_token(target: bytes | str, headers: Mapping[str, str]) -> Carried | None:
    """`target` is the request's, in origin form; names in `headers` are lower case. None if there is no token."""
    text = target.decode("latin-1") if isinstance(target, bytes) else target
    path, _, query = text.partition("?")
    query, in_query = _take_parameter(query)
    if match := _PREFIXED.fullmatch(path):
        return Carried(match[1], Carrier.PATH, match[2], query)
    if token := headers.get(_HEADER, "").strip():
        return Carried(token, Carrier.HEADER, path, query)
    if token := _cookie(headers.get("cookie", "")):
        return Carried(token, Carrier.COOKIE, path, query)
    return Carried(in_query, Carrier.QUERY, path, query) if in_query else None


def without_token(path: bytes) -> bytes:
    """A path as tokens are judged by it, and as content is looked for by it: the two must never differ."""
    prefixed = _PREFIXED_BYTES.fullmatch(path) if path.startswith(b"/t/") else None
    return prefixed[2] if prefixed else path


def _take_parameter(query: str) -> tuple[str, str]:
    """The query without `cat`, and the first value of it."""
    if QUERY_NAME not in query:
        return query, ""
    parameters = [(part, *part.partition("=")[::2]) for part in query.split("&")]
    values = [unquote(value) for _, name, value in parameters if name == QUERY_NAME]
    kept = "&".join(part for part, name, _ in parameters if name != QUERY_NAME)
    return kept, next((value for value in values if value), "")


def _cookie(header: str) -> str:
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        # Names are case-sensitive, but issuers spell this one in both ways.
        if name.strip().lower() == _HEADER and value.strip(' "'):
            return value.strip(' "')
    return ""
