from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.http.conditions import LAST_MODIFIED, not_modified, precondition, range_applies

TAG = '"abc-0-10"'
BEFORE, AFTER = "Fri, 31 Dec 1999 23:59:59 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize("header", [TAG, f'"x", {TAG}', f"W/{TAG}", "*", f'{TAG} , "y"', f'"a,b",{TAG}', f" {TAG} "])
def test_if_none_match_that_names_the_tag_is_304(header: str) -> None:
    assert not_modified(header, TAG)
    assert precondition({"if-none-match": header}, TAG) == 304


@pytest.mark.parametrize("header", [None, '"x"', "", "abc-0-10", '"abc-0-1', f'"x{TAG}', f"w/{TAG}", f"x{TAG}"])
def test_if_none_match_that_does_not_is_not(header: str | None) -> None:
    assert not not_modified(header, TAG)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (TAG, None),
        ("*", None),
        (f'W/"x", {TAG}', None),
        (f"W/{TAG}", 412),
        ('"x"', 412),
        ("", 412),
        (f'"x",W/{TAG}', 412),
    ],
)
def test_if_match_compares_strongly(header: str, status: int | None) -> None:
    assert precondition({"if-match": header}, TAG) == status


@pytest.mark.parametrize(
    ("date", "status"),
    [
        (LAST_MODIFIED, 304),
        (AFTER, 304),
        (BEFORE, None),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 304),  # RFC 850
        ("Wed Oct 21 07:28:00 2015", 304),  # asctime
        ("Fri Dec 31 23:59:59 1999", None),
        ("nonsense", None),
        ("", None),
        ("0", None),
        ("-1", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("1" * 10_000, None),
    ],
)
def test_if_modified_since_is_304_from_our_date_on(date: str, status: int | None) -> None:
    assert precondition({"if-modified-since": date}, TAG) == status


@pytest.mark.parametrize(("date", "status"), [(LAST_MODIFIED, None), (AFTER, None), (BEFORE, 412), ("nonsense", None)])
def test_if_unmodified_since_is_412_before_our_date(date: str, status: int | None) -> None:
    assert precondition({"if-unmodified-since": date}, TAG) == status


def test_what_was_stored_at_any_time_since_is_still_right() -> None:
    for at in (946684800, 1_700_000_000, 4_000_000_000):
        assert precondition({"if-modified-since": formatdate(at, usegmt=True)}, TAG) == 304


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # Step 1 decides over step 2, and both over the others.
        ({"if-match": TAG, "if-unmodified-since": BEFORE}, None),
        ({"if-match": '"x"', "if-unmodified-since": AFTER}, 412),
        ({"if-match": '"x"', "if-none-match": TAG}, 412),
        ({"if-match": TAG, "if-none-match": TAG}, 304),
        ({"if-unmodified-since": BEFORE, "if-none-match": TAG}, 412),
        ({"if-unmodified-since": AFTER, "if-none-match": TAG}, 304),
        # Step 3 decides over step 4.
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, None),
        ({"if-none-match": TAG, "if-modified-since": BEFORE}, 304),
        ({"if-match": TAG, "if-modified-since": AFTER}, 304),
        ({}, None),
    ],
)
def test_precedence_is_that_of_rfc_9110_13_2_2(headers: dict[str, str], status: int | None) -> None:
    assert precondition(headers, TAG) == status


@pytest.mark.parametrize("if_range", [None, TAG, f" {TAG} ", LAST_MODIFIED])
def test_if_range_obeys_our_tag_and_our_date(if_range: str | None) -> None:
    assert range_applies(if_range, TAG)


@pytest.mark.parametrize("if_range", [f"W/{TAG}", AFTER, BEFORE, "*", "", f'{TAG}, "x"', "Sat, 01-Jan-00 00:00:00 GMT"])
def test_if_range_obeys_nothing_else(if_range: str) -> None:
    assert not range_applies(if_range, TAG)


NAMES = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
TEXTS = st.one_of(
    st.text(max_size=100),
    st.from_regex(r'(W/)?"[a-z,]{0,3}"(, ?(W/)?"[a-z,]{0,3}"){0,3}', fullmatch=True),
    st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{1,9} [-+A-Z0-9]{1,6}", fullmatch=True),
)


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS), TEXTS)
def test_no_header_breaks_a_condition(headers: dict[str, str], if_range: str) -> None:
    assert precondition(headers, TAG) in (None, 304, 412)
    range_applies(if_range, TAG)


@given(st.integers(0, 4_000_000_000))
def test_the_two_conditions_on_dates_never_both_stop(at: int) -> None:
    date = formatdate(at, usegmt=True)
    assert (precondition({"if-modified-since": date}, TAG), precondition({"if-unmodified-since": date}, TAG)) in (
        (304, None), (None, 412),
    )  # fmt: skip
