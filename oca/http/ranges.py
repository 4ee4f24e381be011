"""What a Range header asks of a representation of known size (RFC 9110 section 14).

Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from oca.errors import OcaError

# Digits are bounded: int() of a megabyte of them takes seconds. 19 digits hold any 63-bit offset.
_SPEC = r"(\d{0,19})-(\d{0,19})"
_RANGES = re.compile(rf"bytes\s*=[\s,]*{_SPEC}(?:[\s,]*,\s*{_SPEC})*[\s,]*", re.IGNORECASE | re.ASCII)
_ONE = re.compile(_SPEC, re.ASCII)
# Players ask for one, download managers for a handful. More is an attack on whoever makes the parts (RFC 9110 17.15).
MOST_RANGES = 16
# Sixteen ranges of 19 digits with generous blanks; the expression above backtracks over longer nonsense.
_LONGEST_HEADER = 1024


class Span(NamedTuple):
    """Bytes [first, end)."""

    first: int
    end: int


class RangeNotSatisfiable(OcaError):
    """The answer is 416 with `Content-Range: bytes */size`."""

    def __init__(self, header: str, size: int) -> None:
        super().__init__(f"Range {header[:80]!r} lies outside the {size} bytes there are", status=416)
        self.size = size


def parse_ranges(header: str | None, size: int) -> tuple[Span, ...]:
    """The ranges asked for, in their order; none where the whole is to be sent.

    Ranges outside of the representation are left out. A header that is malformed, of another unit, of too many ranges,
    or of ranges that add up to more than there is (so they overlap) is ignored, as 14.2 allows.
    Raises RangeNotSatisfiable if no range lies inside.
    """
    if header is None or len(header) > _LONGEST_HEADER or not _RANGES.fullmatch(header):
        return ()
    spans = []
    asked = _ONE.findall(header)
    if len(asked) > MOST_RANGES:
        return ()
    for first_text, last_text in asked:
        if not first_text:  # suffix: the last N bytes
            if not last_text:
                return ()
            length = int(last_text)
            if length and size:
                spans.append(Span(max(0, size - length), size))
            continue
        first = int(first_text)
        if last_text and int(last_text) < first:
            return ()  # "5-4" is malformed (14.1.1), not unsatisfiable
        if first < size:
            spans.append(Span(first, min(int(last_text) + 1, size) if last_text else size))
    if not spans:
        raise RangeNotSatisfiable(header, size)
    if len(spans) > 1 and sum(end - first for first, end in spans) > size:
        return ()
    return tuple(spans)
