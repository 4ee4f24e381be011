"""What a Range header asks of a representation of known size (RFC 9110 section 14)."""

from __future__ import annotations

import re
from typing import NamedTuple

from oca.errors import OcaError

# Digits are bounded: int() of a megabyte of them takes seconds. 19 digits hold any 63-bit offset.
_SINGLE = re.compile(r"bytes\s*=\s*(\d{0,19})-(\d{0,19})\s*", re.IGNORECASE | re.ASCII)


class Span(NamedTuple):
    """Bytes [first, end)."""

    first: int
    end: int


class RangeNotSatisfiable(OcaError):
    """The answer is 416 with `Content-Range: bytes */size`."""

    def __init__(self, header: str, size: int) -> None:
        super().__init__(f"Range {header[:80]!r} lies outside the {size} bytes there are", status=416)
        self.size = size


def parse_range(header: str | None, size: int) -> Span | None:
    """The one range asked for, or None where the whole is to be sent.

    A header that is malformed, of another unit or of several ranges is ignored, as 14.2 allows.
    Raises RangeNotSatisfiable.
    """
    match = _SINGLE.fullmatch(header) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    assert header is not None
    if not match[1]:  # suffix: the last N bytes
        length = int(match[2])
        if length == 0 or size == 0:
            raise RangeNotSatisfiable(header, size)
        return Span(max(0, size - length), size)
    first = int(match[1])
    end = int(match[2]) + 1 if match[2] else size
    if end <= first and match[2]:
        return None  # "5-4" is malformed (14.1.1), not unsatisfiable
    if first >= size:
        raise RangeNotSatisfiable(header, size)
    return Span(first, min(end, size))
