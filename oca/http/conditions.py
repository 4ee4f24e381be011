"""What the conditional headers decide (RFC 9110 section 13), where every entity tag is strong.

Packages are immutable, so the tag says all. For caches that only know dates there is a date as well, the same for
everything and long past: whatever somebody has stored of a content URL, whenever that was, is still right.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

# The same on every appliance and at every time, which a file's own date would not be.
LAST_MODIFIED = "Sat, 01 Jan 2000 00:00:00 GMT"
_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_MODIFIED_AT = parsedate_to_datetime(LAST_MODIFIED)
_LONGEST_DATE = 64


def precondition(headers: Mapping[str, str], etag: str) -> Literal[304, 412] | None:
    """The status that the conditions of a GET or HEAD demand; None: go on. Precedence is that of 13.2.2."""
    if_match = headers.get("if-match")
    if if_match is not None:
        if not _names(if_match, etag, weakly=False):
            return 412
    elif _is_before(headers.get("if-unmodified-since")):
        return 412
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        return 304 if not_modified(if_none_match, etag) else None
    return 304 if _is_after(headers.get("if-modified-since")) else None


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """True where the answer to GET or HEAD is 304."""
    return if_none_match is not None and _names(if_none_match, etag, weakly=True)


def range_applies(if_range: str | None, etag: str) -> bool:
    """True if Range is to be obeyed: no If-Range, or exactly our tag or our date (13.1.5: strong comparison only)."""
    return if_range is None or if_range.strip() in (etag, LAST_MODIFIED)


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    """True if a list of tags holds `etag`, or is "*". Weak comparison passes over W/, strong over tags that have it."""
    if header.strip() == "*":
        return True
    position = 0
    while match := _TAG.match(header, position):
        if match[2] == etag and (weakly or not match[1]):
            return True
        position = match.end()
        if position >= len(header):
            break
    return False


def _is_after(date: str | None) -> bool:
    """True if content has not changed since `date`. A date that is none is ignored (13.1.3)."""
    since = _parsed(date)
    return since is not None and since >= _MODIFIED_AT


def _is_before(date: str | None) -> bool:
    """True if content has changed since `date`."""
    since = _parsed(date)
    return since is not None and since < _MODIFIED_AT


def _parsed(date: str | None) -> datetime | None:
    if date is None or len(date) > _LONGEST_DATE:
        return None
    try:
        parsed = parsedate_to_datetime(date)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
