"""What ExaBGP says on its pipe, as values: one JSON object a line.

Its shapes differ by version and all are in use, so all are read: an AS path is a list (4.x, with sets beside it), text
(as its wiki has it) or an object of segments (5.x); prefixes are a list of objects, a list of texts (`compact`) or the
keys of an object (3.x). ExaBGP 5 calls the segments of a confederation sequences; only members of a confederation send
those.

Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from steering.errors import RouteError
from steering.routes.route import (
    USUAL_PREFERENCE,
    AsPath,
    Attributes,
    Key,
    Kind,
    Origin,
    as_path,
    parse_path,
    parse_prefix,
    read_amount,
)

_VERSIONS = {"ipv4 unicast": 4, "ipv6 unicast": 6}
_ORIGINS = {"igp": Origin.IGP, "egp": Origin.EGP, "incomplete": Origin.INCOMPLETE}
_KINDS = {
    "as-sequence": Kind.SEQUENCE,
    "as-set": Kind.SET,
    "confederation-sequence": Kind.CONFEDERATION_SEQUENCE,
    "confederation-set": Kind.CONFEDERATION_SET,
}
# What it says to a command, unless it is told not to (api.ack).
_ANSWERS = (b"", b"done", b"error")


@dataclass(frozen=True)
class Up:
    peer: str


@dataclass(frozen=True)
class Down:
    peer: str
    why: str


@dataclass(frozen=True)
class Opened:
    peer: str
    router_id: int


@dataclass(frozen=True)
class EndOfRib:
    peer: str
    version: int


@dataclass(frozen=True)
class Update:
    """Prefixes that are withdrawn, and others that are announced with the same attributes."""

    peer: str
    withdrawn: tuple[Key, ...]
    announced: tuple[Key, ...]
    attributes: Attributes


Message: TypeAlias = Up | Down | Opened | EndOfRib | Update


def parse(line: bytes) -> Message | None:
    """None for what does not concern routes. Raises RouteError for what ExaBGP cannot have meant."""
    if line.strip() in _ANSWERS:
        return None
    try:
        document = msgspec.json.decode(line)
        if not isinstance(document, dict) or "exabgp" not in document:
            raise RouteError("it has no member `exabgp`")
        neighbor = document.get("neighbor")
        if neighbor is None or neighbor.get("direction") == "send":
            return None
        return _parse(document.get("type"), neighbor, _peer(neighbor))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RouteError(f"it is no JSON: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RouteError(f"it has another form than ExaBGP's: {error!r}") from error


def _parse(kind: Any, neighbor: Mapping[str, Any], peer: str) -> Message | None:
    if kind == "state":
        if neighbor["state"] == "up":
            return Up(peer)
        # "connected" is the TCP connection, before anything was said on it.
        return Down(peer, str(neighbor.get("reason", ""))) if neighbor["state"] == "down" else None
    if kind == "open":
        return Opened(peer, int(ipaddress.IPv4Address(neighbor["open"]["router_id"])))
    if kind != "update":
        return None
    message = neighbor["message"]
    if "eor" in message:
        version = _VERSIONS.get(f"{message['eor']['afi']} {message['eor']['safi']}")
        return EndOfRib(peer, version) if version is not None else None
    update = message["update"]
    announced = tuple(_announced(update.get("announce", {})))
    attributes = _attributes(update["attribute"]) if announced else Attributes()
    return Update(peer, tuple(_withdrawn(update.get("withdraw", {}))), announced, attributes)


def _peer(neighbor: Mapping[str, Any]) -> str:
    address = neighbor["address"]
    return str(ipaddress.ip_address(address["peer"] if isinstance(address, dict) else neighbor["ip"]))


def _announced(families: Mapping[str, Any]) -> Iterator[Key]:
    for family, next_hops in families.items():
        if family in _VERSIONS:
            for prefixes in next_hops.values():
                yield from _prefixes(prefixes)


def _withdrawn(families: Mapping[str, Any]) -> Iterator[Key]:
    for family, prefixes in families.items():
        if family in _VERSIONS:
            yield from _prefixes(prefixes)


def _prefixes(prefixes: Iterable[Any]) -> Iterator[Key]:
    for one in prefixes:
        if isinstance(one, str):
            yield parse_prefix(one)
        # Several paths of one session (RFC 7911) would overwrite each other; we do not ask for them.
        elif "path-information" not in one:
            yield parse_prefix(one["nlri"])


def _attributes(given: Mapping[str, Any]) -> Attributes:
    med = given.get("med")
    return Attributes(
        as_path=_as_path(given),
        local_preference=read_amount(given.get("local-preference", USUAL_PREFERENCE)),
        origin=_ORIGINS[str(given.get("origin", "incomplete")).lower()],
        med=read_amount(med) if med is not None else None,
    )


def _as_path(given: Mapping[str, Any]) -> AsPath:
    path = given.get("as-path", ())
    if isinstance(path, str):
        return parse_path(path.replace("[", " ").replace("]", " "))
    if isinstance(path, dict):
        segments = [path[place] for place in sorted(path, key=int)]
        return as_path((_KINDS[segment["element"]], segment["value"]) for segment in segments)
    return as_path(
        [
            (Kind.CONFEDERATION_SEQUENCE, given.get("confederation-path", ())),
            (Kind.SEQUENCE, path),
            (Kind.SET, given.get("as-set", ())),
        ]
    )
