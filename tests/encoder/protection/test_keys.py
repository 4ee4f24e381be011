from __future__ import annotations

from fractions import Fraction

import pytest

from encoder.errors import ProtectionError
from encoder.protection.keys import (
    AudioFilter,
    ContentKey,
    KeyRing,
    Range,
    Rule,
    Track,
    VideoFilter,
    check_ring,
    parse_hex,
    rule_of,
)
from tests.encoder.protection.rings import HIGH, LOW, SECRETS, SOUND

KEYS = {key_id: ContentKey(key_id, bytes.fromhex(secret)) for key_id, secret in SECRETS.items()}


def ring(*rules: Rule, keys: tuple[ContentKey, ...] = tuple(KEYS.values())) -> KeyRing:
    return KeyRing("keys.toml", keys, rules, ())


def video(width: int, height: int, rate: str = "25") -> Track:
    return Track(f"v{height}", "video", width, height, Fraction(rate), None, 1_000_000)


def sound(channels: int) -> Track:
    return Track("a1", "audio", channels=channels, bitrate=128_000)


@pytest.mark.parametrize(
    ("width", "height", "group"),
    [(320, 180, "sd"), (768, 576, "sd"), (1024, 576, "hd"), (1920, 1080, "hd"), (2560, 1440, "uhd1"),
     (4096, 2160, "uhd1"), (7680, 4320, "uhd2")],
)  # fmt: skip
def test_groups_of_tracks_are_parted_at_the_sizes_of_other_packagers(width: int, height: int, group: str) -> None:
    rules = [rule_of(KEYS[LOW].key_id, group)]
    assert ring(*rules).key_of(video(width, height)) == KEYS[LOW]
    for other in {"sd", "hd", "uhd1", "uhd2", "audio"} - {group}:
        with pytest.raises(ProtectionError, match="has no key for"):
            ring(rule_of(LOW, other)).key_of(video(width, height))


def test_each_track_gets_the_key_of_its_group() -> None:
    rules = ring(rule_of(LOW, "sd"), rule_of(HIGH, "hd"), rule_of(SOUND, "audio"))
    assert rules.key_of(video(640, 360)) == KEYS[LOW]
    assert rules.key_of(video(1280, 720)) == KEYS[HIGH]
    assert rules.key_of(sound(6)) == KEYS[SOUND]


def test_track_without_a_key_is_refused_by_name_and_size() -> None:
    with pytest.raises(ProtectionError, match=r"keys.toml has no key for v2160 \(video, 3840x2160\), expected one"):
        ring(rule_of(LOW, "sd"), rule_of(HIGH, "hd")).key_of(video(3840, 2160))


def test_track_with_two_keys_is_refused() -> None:
    with pytest.raises(ProtectionError, match=r"2 keys .* for v360 \(video, 640x360\), expected one"):
        ring(rule_of(LOW, "video"), rule_of(HIGH, "sd")).key_of(video(640, 360))


def test_filters_of_one_kind_are_alternatives_and_kinds_must_all_fit() -> None:
    both = Rule(LOW, videos=(VideoFilter(Range(0, 100)), VideoFilter(Range(500, 600))), bitrates=(Range(1, 2_000_000),))
    assert both.fits(video(10, 10)) and both.fits(video(50, 11))
    assert not both.fits(video(20, 15))
    assert not both.fits(video(10, 10)._replace(bitrate=3_000_000))
    assert not both.fits(sound(2))


def test_lower_end_of_frame_rates_is_outside_and_the_upper_inside() -> None:
    fast = Rule(LOW, videos=(VideoFilter(above_fps=30, most_fps=60),))
    assert not fast.fits(video(640, 360, "30"))
    assert fast.fits(video(640, 360, "60000/1001")) and fast.fits(video(640, 360, "60"))


def test_channels_and_bitrates_that_are_not_known_yet_fit() -> None:
    stereo = ring(Rule(SOUND, audios=(AudioFilter(Range(0, 2)),), bitrates=(Range(0, 1000),)))
    stereo.demand_keys([Track("audio 1", "audio")])
    with pytest.raises(ProtectionError, match="no key for audio 2"):
        stereo.demand_keys([Track("audio 1", "audio"), Track("audio 2", "audio", channels=6)])


def test_iv_is_the_same_for_the_same_input_and_another_for_each_file() -> None:
    key = KEYS[LOW]
    assert key.iv_of("film", "v360.mp4") == key.iv_of("film", "v360.mp4")
    ivs = {key.iv_of("film", "v360.mp4"), key.iv_of("film", "v720.mp4"), key.iv_of("other", "v360.mp4")}
    assert len(ivs) == 3 and {len(iv) for iv in ivs} == {16}
    given = ContentKey(LOW, key.secret, bytes(16))
    assert given.iv_of("film", "v360.mp4") == bytes(16)


def test_fingerprint_names_keys_and_rules_and_does_not_show_them() -> None:
    one = ring(rule_of(LOW, "video"))
    assert one.fingerprint == ring(rule_of(LOW, "video")).fingerprint
    other_key = (ContentKey(LOW, bytes(16)), KEYS[HIGH], KEYS[SOUND])
    assert ring(rule_of(LOW, "video"), keys=other_key).fingerprint != one.fingerprint
    assert ring(rule_of(LOW, "sd")).fingerprint != one.fingerprint
    assert SECRETS[LOW] not in repr(one) + one.fingerprint


def test_keys_twice_none_too_many_and_rules_of_unknown_keys_are_refused() -> None:
    with pytest.raises(ProtectionError, match="has no keys"):
        check_ring(ring(keys=()))
    with pytest.raises(ProtectionError, match=r"has the key a7e61c37-.* twice"):
        check_ring(ring(keys=(KEYS[LOW], KEYS[LOW])))
    with pytest.raises(ProtectionError, match=r"a rule names the key a7e61c37-.*01, which is not there"):
        check_ring(ring(rule_of(HIGH, "hd"), keys=(KEYS[LOW],)))
    with pytest.raises(ProtectionError, match="65 keys, expected at most 64"):
        check_ring(ring(keys=tuple(ContentKey(f"{number:032x}", bytes(16)) for number in range(65))))


@pytest.mark.parametrize("text", ["", "00", "0" * 31, "0" * 33, "g" * 32, "+" + "0" * 31, "０" * 32])
def test_what_is_not_32_hex_digits_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^\d+ characters, expected 32 hex digits$"):
        parse_hex(text)
