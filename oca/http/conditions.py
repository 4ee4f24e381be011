"""What the conditional headers decide when every entity tag is strong (RFC 9110 section 13).

Content has no Last-Modified: packages are immutable, so the tag says all. A date in If-Range therefore never matches,
and If-Modified-Since is ignored, as 13.1.3 and 13.1.5 ask of a resource without a modification date.
"""

from __future__ import annotations

import re

_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


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


def precondition_failed(if_match: str | None, etag: str) -> bool:
    """True where the answer is 412. If-Match compares strongly, so a weak tag never matches."""
    return if_match is not None and not _names(if_match, etag, weakly=False)


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """True where the answer to GET or HEAD is 304."""
    return if_none_match is not None and _names(if_none_match, etag, weakly=True)


def range_applies(if_range: str | None, etag: str) -> bool:
    """True if Range is to be obeyed: no If-Range, or exactly our tag."""
    return if_range is None or if_range.strip() == etag
