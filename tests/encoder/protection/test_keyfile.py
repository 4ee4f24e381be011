from __future__ import annotations

import json
import struct

import pytest

from encoder.errors import ProtectionError
from encoder.protection import keyfile, systems
from encoder.protection.keyfile import parse_key_file
from encoder.protection.keys import Track
from tests.encoder.protection.rings import HIGH, LICENCE_URL, LOW, SECRETS, SOUND, b64, key_file, uuid


def pssh(system: str, data: bytes = b"data") -> str:
    body = bytes.fromhex(system.replace("-", "")) + struct.pack(">I", len(data)) + data
    return b64(struct.pack(">I4sI", 12 + len(body), b"pssh", 0) + body)


def test_toml_and_json_say_the_same() -> None:
    ring = parse_key_file(key_file(), "keys")
    document = {
        "keys": [
            {"id": uuid(LOW), "key": SECRETS[LOW], "tracks": ["video"]},
            {"id": uuid(SOUND), "key": SECRETS[SOUND].upper(), "tracks": ["audio"]},
        ],
        "systems": [{"name": "clearkey", "licence_url": LICENCE_URL}],
    }
    assert parse_key_file(json.dumps(document), "keys") == ring
    assert ring.key_of(Track("a1", "audio", channels=2)).secret.hex() == SECRETS[SOUND]
    assert [signal.key_id for signal in ring.signals] == [LOW, SOUND]


def test_systems_get_what_is_given_for_the_keys_that_they_are_for() -> None:
    widevine, playready = pssh(systems.WIDEVINE), pssh(systems.PLAYREADY, b"a PlayReady object")
    ring = parse_key_file(
        key_file(
            more=f"""
[[systems]]
name = "widevine"
keys = ["{uuid(LOW)}"]
pssh = "{widevine}"

[[systems]]
name = "playready"
pssh = "{playready}"
licence_url = "https://playready.example/?a=1&b=2"

[[systems]]
name = "fairplay"
uri = "skd://keys.example/{{key_id}}"

[[systems]]
name = "identity"
uri = "https://keys.example/{{key_id}}"
"""
        ),
        "keys",
    )
    said = {(one.system, one.key_id): one for one in ring.signals}
    assert (systems.WIDEVINE, SOUND) not in said
    first = said[systems.WIDEVINE, LOW]
    assert first.pssh == widevine
    assert f'URI="data:text/plain;base64,{widevine}",KEYFORMAT="urn:uuid:{systems.WIDEVINE}"' in first.hls
    second = said[systems.PLAYREADY, SOUND]
    assert f";base64,{b64('a PlayReady object')}" in second.hls
    assert "https://playready.example/?a=1&amp;b=2</dashif:Laurl>" in second.dash
    assert said[systems.FAIRPLAY, LOW].hls == (
        f'METHOD=SAMPLE-AES,URI="skd://keys.example/{uuid(LOW)}",KEYFORMAT="com.apple.streamingkeydelivery",'
        'KEYFORMATVERSIONS="1"'
    )
    assert f'URI="https://keys.example/{uuid(SOUND)}"' in said[systems.IDENTITY, SOUND].hls


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((SECRETS[LOW], SECRETS[LOW][:-1]), "keys.toml, key 1: key has 31 characters, expected 32 hex digits"),
        ((SECRETS[LOW], "x" + SECRETS[LOW][1:]), "keys.toml, key 1: key has 32 characters, expected 32 hex digits"),
        ((uuid(LOW), "film"), "keys.toml, key 1: id has 4 characters, expected 32 hex digits"),
        (('["audio"]', '["sound"]'), f"keys.toml, key 2 ({uuid(SOUND)}): tracks 'sound', expected some of all, audio"),
        (('["audio"]', "[]"), f"keys.toml, key 2 ({uuid(SOUND)}): no tracks, expected some of all, audio"),
        (("tracks =", "track ="), "Object contains unknown field `track` - at `$.keys[0]`"),
        (('"clearkey"', '"clear"'), "keys.toml, system 1: name 'clear', expected one of widevine"),
        ((LICENCE_URL, "licences"), "system 1 (clearkey): licence_url is something else than an http"),
        (("[[systems]]", "[systems"), "keys.toml is not TOML at line 12"),
        (("[[systems]]", '[[systems]]\nkeys = ["00"]'), "system 1 (clearkey): 2 characters, expected 32 hex digits"),
        (("[[systems]]", f'[[systems]]\nkeys = ["{HIGH}"]'), "a DRM system names the key a7e61c37"),
        ((key_file(), '{"keys": ['), "keys.toml is not JSON"),
        ((key_file(), "systems = []"), "Object missing required field `keys`"),
        (('tracks = ["video"]', f'{SECRETS[LOW]} = "key"'), "Object contains unknown field `...` - at `$.keys[0]`"),
        ((key_file(), f"a = {'[' * 100_000}"), "lists in lists without end"),
        ((key_file(), f'{{"keys": {"[" * 100_000}'), "Expected `object`, got `array`"),
        ((key_file(), f"a = {'1' * 5_000}"), "keys.toml is not TOML"),
        ((LICENCE_URL, f"keys.example/?key={SECRETS[LOW]}"), "something else than an http or https URL"),
        ((LICENCE_URL, "https://a.example/\u2028"), "something else than an http or https URL"),
    ],
)
def test_what_is_wrong_with_a_key_file_is_said_without_a_key(change: tuple[str, str], complaint: str) -> None:
    text = key_file()
    assert change[0] in text
    with pytest.raises(ProtectionError) as raised:
        parse_key_file(text.replace(*change), "keys.toml")
    assert complaint in str(raised.value)
    assert not any(secret[1:-1] in str(raised.value) for secret in SECRETS.values())
    assert raised.value.__cause__ is None  # those of parsers keep what they read


@pytest.mark.parametrize(
    ("box", "complaint"),
    [
        ("%%%", "not base64"),
        (b64("too short"), "not one whole box"),
        (pssh(systems.PLAYREADY), f"of the DRM system {systems.PLAYREADY}, expected {systems.WIDEVINE}"),
        (b64(bytes.fromhex("00000020") + b"pssh" + bytes(4) + bytes.fromhex(systems.WIDEVINE.replace("-", "")) +
             b"\0\0\0\7"), "another size"),
    ],
)  # fmt: skip
def test_box_that_is_not_the_systems_is_refused(box: str, complaint: str) -> None:
    with pytest.raises(ProtectionError, match=complaint):
        parse_key_file(key_file(more=f'[[systems]]\nname = "widevine"\npssh = "{box}"'), "keys")


def test_key_in_what_a_system_is_told_is_refused() -> None:
    leak = f'[[systems]]\nname = "identity"\nuri = "https://keys.example/?key={SECRETS[LOW]}"'
    with pytest.raises(ProtectionError, match="what the DRM system identity is told contains a key"):
        parse_key_file(key_file(more=leak), "keys")


@pytest.mark.parametrize(
    "told",
    [
        b64(bytes.fromhex(SECRETS[LOW])).rstrip("="),
        SECRETS[SOUND].upper(),
        uuid(SECRETS[SOUND]),
        b64(f"<KEY>{SECRETS[LOW]}</KEY>".encode("utf-16-le")),
    ],
)
def test_key_is_found_in_what_a_system_is_told_however_it_is_written(told: str) -> None:
    leak = f'[[systems]]\nname = "identity"\nuri = "https://keys.example/?{told}"'
    with pytest.raises(ProtectionError, match="is told contains a key"):
        parse_key_file(key_file(more=leak), "keys")


def test_key_in_a_box_is_refused() -> None:
    box = pssh(systems.WIDEVINE, b"key: " + bytes.fromhex(SECRETS[SOUND]))
    with pytest.raises(ProtectionError, match="is told contains a key"):
        parse_key_file(key_file(more=f'[[systems]]\nname = "widevine"\npssh = "{box}"'), "keys")


@pytest.mark.parametrize("public", [uuid(LOW), f'{uuid(LOW)}"\niv = "{SECRETS[SOUND]}'])
def test_key_that_is_an_id_or_an_iv_is_refused(public: str) -> None:
    text = key_file().replace(uuid(LOW), public).replace(SECRETS[LOW], LOW if public == uuid(LOW) else SECRETS[LOW])
    with pytest.raises(ProtectionError, match="is also an ID or an IV, which everybody gets to see"):
        parse_key_file(text, "keys")


def test_box_in_lines_is_one_box() -> None:
    box = pssh(systems.WIDEVINE)
    lines = f'"""\n{box[:20]}\n  {box[20:]}\n"""'
    ring = parse_key_file(key_file(more=f'[[systems]]\nname = "widevine"\npssh = {lines}'), "keys")
    assert ring.signals[-1].pssh == box and f"base64,{box}" in ring.signals[-1].hls


def test_quote_in_a_uri_is_refused() -> None:
    with pytest.raises(ProtectionError, match="a uri with a quote"):
        parse_key_file(key_file(more="[[systems]]\nname = 'fairplay'\nuri = 'skd://a\",X=\"'"), "keys")


def test_entry_of_a_key_file_does_not_show_its_key() -> None:
    assert repr(keyfile._Key(LOW, SECRETS[LOW])) == f"_Key(id={LOW!r})"
