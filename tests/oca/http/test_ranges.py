from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.http.ranges import RangeNotSatisfiable, Span, parse_range


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-9", (5, 10)),
        ("bytes=5-", (5, 100)),
        ("bytes=5-999", (5, 100)),
        ("bytes=-7", (93, 100)),
        ("bytes=-999", (0, 100)),
        ("BYTES=1-2", (1, 3)),
        ("bytes=99-99", (99, 100)),
    ],
)
def test_one_range_is_understood(header: str, span: tuple[int, int]) -> None:
    assert parse_range(header, 100) == Span(*span)


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes 0-1", "bytes=0-1x"],
)
def test_what_is_malformed_or_not_ours_is_ignored(header: str | None) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"])
def test_a_range_past_the_end_is_416(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, 100)
    assert (caught.value.status, caught.value.size) == (416, 100)


def test_nothing_of_an_empty_file_can_be_satisfied() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=0-", 0)


@given(st.text(max_size=60), st.integers(0, 1000))
def test_no_header_yields_bytes_that_are_not_there(header: str, size: int) -> None:
    try:
        span = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert span is None or 0 <= span.first < span.end <= size


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1000))
def test_a_range_is_what_slicing_gives(first: int, last: int, size: int) -> None:
    data = bytes(size)
    try:
        span = parse_range(f"bytes={first}-{last}", size)
    except RangeNotSatisfiable:
        assert first >= size and last >= first
        return
    if last < first:
        assert span is None
    else:
        assert span is not None
        assert span.end - span.first == len(data[first : last + 1])
