"""The key file: keys, what each is for, and what DRM systems are told of them, in TOML or JSON.

    [[keys]]
    id = "a7e61c37-3e21-4902-b1bf-7a4f2e3d1d01"  # a UUID or 32 hex digits
    key = "..."                                    # 32 hex digits
    tracks = ["sd", "hd"]                          # encoder.protection.keys.TRACKS
    iv = "..."                                     # optional, 32 hex digits

    [[systems]]
    name = "widevine"                              # widevine, playready, fairplay, clearkey or identity
    keys = ["a7e61c37-3e21-4902-b1bf-7a4f2e3d1d01"]  # those it is for; all, if there is no such line
    pssh = "..."                                   # Widevine, PlayReady: the whole box in base64
    uri = "skd://.../{key_id}"                     # FairPlay, identity
    licence_url = "https://..."                    # ClearKey; others if players are to be told

Pure: text in, KeyRing out. docs/protection.md tells operators.
"""

from __future__ import annotations

import re
import tomllib
from urllib.parse import urlsplit

import msgspec

from encoder.errors import ProtectionError
from encoder.package import DrmSignal
from encoder.protection import systems
from encoder.protection.keys import (
    TRACKS,
    ContentKey,
    KeyRing,
    Rule,
    check_ring,
    parse_hex,
    parse_id,
    rule_of,
    show_id,
)

# A name that no field has may be a key in the wrong place.
_LONG_NAME = re.compile(r"`[^`]{24,}`")


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    key: str
    tracks: list[str] = []
    iv: str = ""

    def __repr__(self) -> str:
        return f"_Key(id={self.id!r})"


class _System(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    keys: list[str] = []
    pssh: str = ""
    uri: str = ""
    licence_url: str = ""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[_Key]
    systems: list[_System] = []


def parse_key_file(text: str, where: str) -> KeyRing:
    """Raises ProtectionError saying what is wrong in `where`, without ever quoting a key."""
    document = _decode(text, where)
    keys, rules = [], []
    for number, entry in enumerate(document.keys, 1):
        key = _key(entry, f"{where}, key {number}")
        keys.append(key)
        rules += _rules(entry, key.key_id, f"{where}, key {number}")
    signals = [
        signal
        for number, system in enumerate(document.systems, 1)
        for signal in _signals(system, keys, f"{where}, system {number}")
    ]
    return check_ring(KeyRing(where, tuple(keys), tuple(rules), tuple(signals)))


def _decode(text: str, where: str) -> _Document:
    # Their messages name places and types. `from None`, for the exceptions keep the text that they read.
    try:
        if text.lstrip().startswith("{"):
            return msgspec.json.decode(text, type=_Document)
        return msgspec.convert(tomllib.loads(text), _Document)
    except msgspec.ValidationError as error:
        raise ProtectionError(f"{where}: {_LONG_NAME.sub('`...`', str(error))}") from None
    except RecursionError:
        raise ProtectionError(f"{where} has lists in lists without end, expected a key file") from None
    except msgspec.DecodeError:
        raise ProtectionError(f"{where} is not JSON, expected a key file in TOML or JSON, or a CPIX document") from None
    except ValueError as error:  # a number of thousands of digits is one, too
        line = str(error).partition("(at ")[2].rstrip(")") or "its end"
        raise ProtectionError(
            f"{where} is not TOML at {line}, expected a key file in TOML or JSON, or a CPIX document"
        ) from None


def _key(entry: _Key, place: str) -> ContentKey:
    fields = {"id": entry.id, "key": entry.key, "iv": entry.iv}
    parsed: dict[str, bytes] = {}
    for name, text in fields.items():
        try:
            digits = text.replace("-", "") if name == "id" else text
            parsed[name] = parse_hex(digits) if name != "iv" or text else b""
        except ValueError as error:
            raise ProtectionError(f"{place}: {name} has {error}") from None
    return ContentKey(parsed["id"].hex(), parsed["key"], parsed["iv"])


def _rules(entry: _Key, key_id: str, place: str) -> list[Rule]:
    if not entry.tracks:
        raise ProtectionError(f"{place} ({show_id(key_id)}): no tracks, expected some of {', '.join(TRACKS)}")
    for name in entry.tracks:
        if name not in TRACKS:
            raise ProtectionError(f"{place} ({show_id(key_id)}): tracks {name!r}, expected some of {', '.join(TRACKS)}")
    return [rule_of(key_id, name) for name in entry.tracks]


def _signals(system: _System, keys: list[ContentKey], place: str) -> list[DrmSignal]:
    if system.name not in systems.NAMES:
        raise ProtectionError(f"{place}: name {system.name!r}, expected one of {', '.join(systems.NAMES)}")
    try:
        ids = [parse_id(text) for text in system.keys] or [key.key_id for key in keys]
        return [_signal(system, key_id) for key_id in ids]
    except ValueError as error:
        raise ProtectionError(f"{place} ({system.name}): {error}") from None


def _signal(system: _System, key_id: str) -> DrmSignal:
    uri = system.uri.replace("{key_id}", show_id(key_id))
    pssh = "".join(system.pssh.split())  # key services break long lines
    if system.licence_url:
        _demand_web(system.licence_url, "licence_url")
    match system.name:
        case "widevine":
            return systems.widevine(key_id, pssh, system.licence_url)
        case "playready":
            return systems.playready(key_id, pssh, system.licence_url)
        case "fairplay":
            return systems.fairplay(key_id, uri, system.licence_url)
        case "clearkey":
            _demand_web(system.licence_url, "licence_url")
            return systems.clearkey(key_id, system.licence_url)
        case _:
            _demand_web(uri, "uri")
            return systems.identity(key_id, uri)


def _demand_web(url: str, name: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or not url.isprintable():
        raise ValueError(f"{name} is something else than an http or https URL")  # which may have a key in it
