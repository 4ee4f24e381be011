from __future__ import annotations

import pytest

from config.errors import ConfigError
from fill.demand import DEFAULT_AUDIO_SHARE, NEW_FOR_S, UNWATCHED_SHARE, Pins, decode_pins, expect
from fill.popularity import FileName, Popularity
from tests.fill.catalogs import MIB, NOW, make_offer


def popularity(watched: dict[tuple[str, str], float]) -> Popularity:
    return Popularity({FileName(*key): size for key, size in watched.items()}, len(watched), 0)


NOTHING = popularity({})


def test_what_is_watched_is_expected_to_be_watched() -> None:
    expected = expect([make_offer("film")], popularity({("film", "v720.mp4"): 8000 * MIB}), NOW)
    plays = expected[FileName("film", "v720.mp4")].plays
    assert plays == pytest.approx(1000, rel=0.01)
    assert expected[FileName("film", "v480.mp4")].plays < 5


def test_a_rung_that_nobody_used_yet_is_not_worthless() -> None:
    expected = expect([make_offer("film")], popularity({("film", "v720.mp4"): 8 * MIB}), NOW)
    assert expected[FileName("film", "v480.mp4")].plays > 0.1


def test_sidecars_are_not_expected_to_be_watched() -> None:
    names = {name.file for name in expect([make_offer("film")], NOTHING, NOW)}
    assert names == {"v480.mp4", "v720.mp4", "audio-en.mp4"}


def test_a_new_title_gets_the_mean_of_the_watched_ones() -> None:
    offers = [make_offer("a"), make_offer("b"), make_offer("new", age_s=60)]
    expected = expect(offers, popularity({("a", "v720.mp4"): 80 * MIB, ("b", "v720.mp4"): 160 * MIB}), NOW)
    assert sum(expected[FileName("new", f"{name}.mp4")].plays for name in ("v480", "v720")) == pytest.approx(15)
    assert "new title" in expected[FileName("new", "v720.mp4")].reason


def test_an_old_title_that_nobody_watched_is_worth_little_and_not_nothing() -> None:
    offers = [make_offer("a"), make_offer("old", age_s=NEW_FOR_S + 1)]
    expected = expect(offers, popularity({("a", "v720.mp4"): 80 * MIB}), NOW)
    assert sum(expected[FileName("old", f"{name}.mp4")].plays for name in ("v480", "v720")) == pytest.approx(
        10 * UNWATCHED_SHARE
    )


def test_before_anything_was_watched_every_new_title_is_worth_the_same() -> None:
    expected = expect([make_offer("a", age_s=1), make_offer("b", age_s=1)], NOTHING, NOW)
    assert expected[FileName("a", "v720.mp4")].plays == expected[FileName("b", "v720.mp4")].plays > 0


def test_what_an_earlier_package_was_watched_counts_for_its_title() -> None:
    expected = expect([make_offer("film")], popularity({("film", "v1080.mp4"): 600 * MIB}), NOW)
    assert sum(expected[FileName("film", f"{name}.mp4")].plays for name in ("v480", "v720")) == pytest.approx(100)


def test_pins_come_from_toml() -> None:
    pins = decode_pins("pins.toml", 'pin = ["a", "b"]\nban = ["c"]')
    assert pins == Pins(frozenset({"a", "b"}), frozenset({"c"}))
    assert decode_pins("pins.toml", "") == Pins()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pin = [", "syntax"),
        ("pins = []", "unknown key"),
        ('pin = "a"', "a list of titles"),
        ("ban = [1]", "a list of titles"),
        ('pin = ["../x"]', "a list of titles"),
        ('pin = ["a"]\nban = ["a"]', "pinned as well"),
    ],
)
def test_bad_pins_say_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        decode_pins("pins.toml", text)


def test_the_default_audio_track_is_expected_to_be_heard_most() -> None:
    assert 0.5 < DEFAULT_AUDIO_SHARE < 1
