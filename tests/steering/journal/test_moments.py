from __future__ import annotations

import pytest

from steering.journal.moments import parse_moment, show_moment

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("2027-01-15T08:00:00.500Z", NOW + 0.5),
        ("10m ago", NOW - 600),
        ("1h 30m ago", NOW - 5400),
    ],
)
def test_moments_are_read(text: str, moment: float) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "2027-01-15T08:00:00", "ten minutes ago", " ago", "10m", "99999999999h ago"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_moment(text, NOW)


def test_a_moment_that_is_shown_can_be_read() -> None:
    assert parse_moment(show_moment(NOW), 0.0) == NOW
