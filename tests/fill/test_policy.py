from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import inf

import pytest

from config.errors import ConfigError
from fill.names import Offer
from fill.policy import NO_POLICY, Policy, Release, decode_policy
from tests.fill.catalogs import make_offer

_CHRISTMAS = datetime(2026, 12, 24, 18, tzinfo=UTC).timestamp()


def test_pins_bans_and_releases_are_read() -> None:
    policy = decode_policy(
        "policy.toml",
        """
        pin = ["a", "b"]
        ban = ["c"]
        [[release]]
        title = "d"
        at = 2026-12-24T18:00:00Z
        until = 2027-06-01
        regions = ["de"]
        like = ["a"]
        plays = 12
        """.replace("2027-06-01", "2027-06-01T00:00:00+02:00"),
    )
    assert (policy.pin, policy.ban) == (frozenset({"a", "b"}), frozenset({"c"}))
    until = datetime(2027, 5, 31, 22, tzinfo=UTC).timestamp()
    assert policy.release("d") == Release("d", _CHRISTMAS, until, frozenset({"de"}), ("a",), 12)


def test_a_title_that_the_operator_says_nothing_of_has_no_limits() -> None:
    assert NO_POLICY.release("a") == Release("a")
    assert NO_POLICY.may_hold("a", "de", 0.0)


def test_a_time_without_offset_is_utc() -> None:
    policy = decode_policy("policy.toml", '[[release]]\ntitle = "d"\nat = 2026-12-24T18:00:00')
    assert policy.release("d").at == _CHRISTMAS


def test_a_title_may_be_held_before_its_release_and_not_after_its_end() -> None:
    policy = Policy(releases={"d": Release("d", at=100.0, until=200.0, regions=frozenset({"de"}))})
    assert [policy.may_hold("d", "de", now) for now in (0.0, 150.0, 200.0)] == [True, True, False]
    assert not policy.may_hold("d", "fr", 150.0)


def test_a_banned_title_is_held_nowhere() -> None:
    assert not Policy(ban=frozenset({"a"})).may_hold("a", "de", 0.0)


def _limited(title: str, start: float = 0.0, end: float = inf) -> Offer:
    return replace(make_offer(title), available_from=start, available_until=end)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pins = []", "unknown key"),
        ("pin = 3", "a list of titles"),
        ('pin = ["../a"]', "a list of titles"),
        ('pin = ["a"]\nban = ["a"]', "pinned as well"),
        ("release = 3", r"tables \[\[release\]\]"),
        ("[[release]]\nat = 2026-12-24T18:00:00Z", "expected a title"),
        ('[[release]]\ntitle = "a"\nat = "tomorrow"', "a date and time"),
        ('[[release]]\ntitle = "a"\nat = 2026-12-24T18:00:00Z\nuntil = 2026-12-24T17:00:00Z', "a time after"),
        ('[[release]]\ntitle = "a"\nplays = -1', "a number of plays"),
        ('[[release]]\ntitle = "a"\nplays = nan', "a number of plays"),
        ('[[release]]\ntitle = "a"\nregions = "de"', "a list of regions"),
        ('[[release]]\ntitle = "a"\nlike = ["/"]', "a list of titles"),
        ('[[release]]\ntitle = "a"\nwhen = 3', "unknown key"),
        ('[[release]]\ntitle = "a"\n[[release]]\ntitle = "a"', "each title once"),
        ("pin = [", "syntax"),
    ],
)
def test_what_is_wrong_is_said(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        decode_policy("policy.toml", text)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        decode_policy("policy.toml", 'pin = 3\nban = 4\n[[release]]\ntitle = "a"\nplays = "many"')
    assert len(raised.value.problems) == 3


def test_the_catalogs_times_limit_a_title_too_and_the_narrower_limit_counts() -> None:
    policy = Policy(releases={"film": Release("film", at=50.0, until=300.0, regions=frozenset({"de"}))})
    offers = [
        _limited("film", 100.0, 400.0),
        _limited("other", end=200.0),
        _limited("free"),
    ]
    merged = policy.with_catalog(offers)
    assert merged.release("film") == Release("film", at=100.0, until=300.0, regions=frozenset({"de"}))
    assert merged.release("other") == Release("other", until=200.0)
    assert merged.release("free") == Release("free")
