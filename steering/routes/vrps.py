"""Validated ROA payloads: who may originate which prefix (RFC 6811), as a validator writes them into a JSON file.

rpki-client, Routinator and StayRTR write the same form: {"metadata": {...}, "roas": [{"asn": 64496 or "AS64496",
"prefix": "192.0.2.0/24", "maxLength": 24}, ...]}; they name the time of writing differently.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from steering.errors import RouteError
from steering.prefixes.addresses import BITS, Prefix
from steering.routes.route import Key, parse_prefix, unpack

# An AS number has 32 bits; a payload is one integer: AS number and longest length.
_LENGTH_BITS = 8
# Seconds since the epoch that a clock may show: the year 5138.
_LATEST = 1e11


class Validity(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    NOT_FOUND = "not found"


class _Payload(msgspec.Struct):
    asn: int | str
    prefix: str
    maxLength: int | None = None


class _File(msgspec.Struct):
    roas: list[_Payload]
    metadata: dict[str, Any] = {}


class Vrps:
    """Half a million of them in 85 MB; a look-up goes through the lengths that there are, the shortest first."""

    __slots__ = ("_by_length", "count", "written_at")

    def __init__(self, payloads: Iterable[tuple[Key, int, int]] = (), written_at: float | None = None) -> None:
        """`payloads` are prefix, longest length and AS number; `written_at` in seconds since the epoch."""
        collected: dict[int, dict[int, dict[int, tuple[int, ...]]]] = {4: {}, 6: {}}
        self.count = 0
        self.written_at = written_at
        for key, longest, asn in payloads:
            version, network, length = unpack(key)
            networks = collected[version].setdefault(length, {})
            place = network >> (BITS[version] - length)
            networks[place] = (*networks.get(place, ()), asn << _LENGTH_BITS | longest)
            self.count += 1
        self._by_length = {version: tuple(sorted(lengths.items())) for version, lengths in collected.items()}

    def validity(self, prefix: Prefix, origin: int | None) -> Validity:
        """Of a route that `origin` originates; None where its AS path ends in a set (RFC 6811 section 2)."""
        version, network, length = prefix
        bits = 32 if version == 4 else 128
        is_covered = False
        for own, networks in self._by_length[version]:
            if own > length:
                break
            found = networks.get(network >> (bits - own))
            if found is None:
                continue
            is_covered = True
            for payload in found:
                # AS 0 in a ROA says that nobody may (RFC 6483 section 4).
                if payload >> _LENGTH_BITS == origin and origin and length <= payload & 0xFF:
                    return Validity.VALID
        return Validity.INVALID if is_covered else Validity.NOT_FOUND


def decode(text: bytes) -> Vrps:
    """Raises RouteError."""
    try:
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RouteError(f"no VRPs as rpki-client, Routinator or StayRTR write them: {error}") from error
    return Vrps((_payload(one, place) for place, one in enumerate(file.roas)), _written_at(file.metadata))


def _payload(one: _Payload, place: int) -> tuple[Key, int, int]:
    try:
        asn = int(one.asn.upper().removeprefix("AS")) if isinstance(one.asn, str) else one.asn
        key = parse_prefix(one.prefix)
    except (ValueError, RouteError) as error:
        raise RouteError(f"roas[{place}]: {error}") from error
    version, _, length = unpack(key)
    longest = one.maxLength if one.maxLength is not None else length
    if not 0 <= asn <= 0xFFFFFFFF or not length <= longest <= BITS[version]:
        raise RouteError(f"roas[{place}]: AS {asn} with a longest length of {longest} for {one.prefix} makes no sense")
    return key, longest, asn


def _written_at(metadata: dict[str, Any]) -> float | None:
    """When, in seconds since the epoch, by the first of the names that the validators use. Raises RouteError."""
    for name in ("buildtime", "generatedTime", "generated"):
        value = metadata.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not abs(value) < _LATEST:
                raise RouteError(f"metadata: {name}: found {str(value)[:40]}, expected seconds since 1970")
            return float(value)
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
