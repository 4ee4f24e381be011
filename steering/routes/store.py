"""The routes of all sessions in a file, so that a restart forgets nothing that routers said.

    "NCROUTES" version checksum | msgpack: for each session its prefixes and, as numbers, their attributes

Written whole or not at all, every minute or so. Routes come out of it as stale ones; it does not say which of them were
believed, for the filters may have changed. The attributes of all stand once.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from steering.errors import StoreError
from steering.routes.route import Attributes, Key, pack, version_of

_MAGIC = b"NCROUTES"
_VERSION = 1
_HEAD = struct.Struct("!8sII")
# Bytes of a packed prefix: the network and its length.
_WIDTH = {4: 5, 6: 17}


class _Session(msgspec.Struct):
    stale_since: float
    router_id: int
    ipv4: bytes  # packed prefixes, one after the other
    ipv6: bytes
    attributes: bytes  # 32-bit numbers, IPv4's first


class _File(msgspec.Struct):
    saved_at: float
    attributes: list[Attributes]
    sessions: dict[str, _Session]


@dataclass(frozen=True)
class Kept:
    """A session's routes, since when they are no longer known to be up to date, and what else ranks them."""

    routes: list[tuple[Key, Attributes]]
    stale_since: float
    router_id: int = 0


def save(path: Path, sessions: Mapping[str, Kept], now: float) -> None:
    """`now` in seconds since the epoch. Raises StoreError."""
    numbers: dict[int, int] = {}  # by identity: equal attributes are one object already
    attributes: list[Attributes] = []
    file = _File(now, attributes, {})
    for name, kept in sessions.items():
        packed, found = {4: bytearray(), 6: bytearray()}, {4: array("I"), 6: array("I")}
        for key, one in kept.routes:
            number = numbers.setdefault(id(one), len(attributes))
            if number == len(attributes):
                attributes.append(one)
            version = version_of(key)
            packed[version] += (key & _MASK).to_bytes(_WIDTH[version])
            found[version].append(number)
        rows = found[4] + found[6]
        prefixes = bytes(packed[4]), bytes(packed[6])
        file.sessions[name] = _Session(kept.stale_since, kept.router_id, *prefixes, rows.tobytes())
    body = msgspec.msgpack.encode(file)
    try:
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as output:
            output.write(_HEAD.pack(_MAGIC, _VERSION, zlib.crc32(body)))
            output.write(body)
            output.flush()
            os.fsync(output.fileno())
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def load(path: Path) -> dict[str, Kept]:
    """By session; empty if there is no file yet. Raises StoreError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if len(text) < _HEAD.size or not text.startswith(_MAGIC):
        raise StoreError(f"{path} is no file of routes")
    _, version, checksum = _HEAD.unpack_from(text)
    if version != _VERSION:
        raise StoreError(f"{path} is of version {version}, expected {_VERSION}")
    body = memoryview(text)[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise StoreError(f"{path} is damaged: its checksum does not fit")
    try:
        file = msgspec.msgpack.decode(body, type=_File)
        return {
            name: Kept(_routes(session, file.attributes), session.stale_since or file.saved_at, session.router_id)
            for name, session in file.sessions.items()
        }
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise StoreError(f"{path} cannot be understood: {error}") from error


_MASK = (1 << 136) - 1


def _routes(session: _Session, attributes: list[Attributes]) -> list[tuple[Key, Attributes]]:
    numbers = array("I", session.attributes)
    keys = [*_keys(session.ipv4, 4), *_keys(session.ipv6, 6)]
    return [(key, attributes[number]) for key, number in zip(keys, numbers, strict=True)]


def _keys(packed: bytes, version: int) -> list[Key]:
    width, none = _WIDTH[version], pack(version, 0, 0)
    return [none | int.from_bytes(packed[at : at + width]) for at in range(0, len(packed), width)]
