from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.http.conditions import not_modified, precondition_failed, range_applies

TAG = '"abc-0-10"'


@pytest.mark.parametrize("header", [TAG, f'"x", {TAG}', f"W/{TAG}", "*", f'{TAG} , "y"', f'"a,b",{TAG}'])
def test_if_none_match_that_names_the_tag_is_304(header: str) -> None:
    assert not_modified(header, TAG)


@pytest.mark.parametrize("header", [None, '"x"', "", "abc-0-10", '"abc-0-1', f'"x{TAG}'])
def test_if_none_match_that_does_not_is_not(header: str | None) -> None:
    assert not not_modified(header, TAG)


def test_if_match_compares_strongly() -> None:
    assert not precondition_failed(None, TAG)
    assert not precondition_failed(TAG, TAG)
    assert not precondition_failed("*", TAG)
    assert precondition_failed(f"W/{TAG}", TAG)
    assert precondition_failed('"x"', TAG)
    assert not precondition_failed(f'W/"x", {TAG}', TAG)


def test_if_range_obeys_only_exactly_our_tag() -> None:
    assert range_applies(None, TAG)
    assert range_applies(TAG, TAG)
    assert not range_applies(f"W/{TAG}", TAG)
    assert not range_applies("Wed, 21 Oct 2015 07:28:00 GMT", TAG)


@given(st.text(max_size=200))
def test_no_header_breaks_the_parser(header: str) -> None:
    not_modified(header, TAG)
    precondition_failed(header, TAG)
    range_applies(header, TAG)
