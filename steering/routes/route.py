"""A route as a session announces it: a prefix, and the attributes that best path and filters go by.

A prefix is one integer (`Key`) wherever there are a million of them: that takes a third of the memory of a tuple. From
the highest bit: 1 if it is IPv6, the network's 128 (32) bits, eight bits of length.

Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import IntEnum
from typing import TypeAlias

import msgspec

from steering.errors import RouteError
from steering.prefixes.addresses import Prefix, read_prefix, show_prefix

Key: TypeAlias = int

_IPV6 = 1 << 136
_NETWORK = (1 << 128) - 1
# Local preference where nobody gave one, as on an external session: what routers assume.
USUAL_PREFERENCE = 100


def pack(version: int, network: int, length: int) -> Key:
    key = network << 8 | length
    return key | _IPV6 if version == 6 else key


def unpack(key: Key) -> Prefix:
    if key >= _IPV6:
        return 6, key >> 8 & _NETWORK, key & 0xFF
    return 4, key >> 8, key & 0xFF


def version_of(key: Key) -> int:
    return 6 if key >= _IPV6 else 4


def parse_prefix(text: str) -> Key:
    """Raises RouteError. An address without a length is a prefix of one address."""
    usual = read_prefix(text)
    if usual is not None:
        return pack(*usual)
    try:
        if "%" in text:
            raise ValueError("a zone is a host's own word, and no part of a prefix")
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise RouteError(f"found {text!r}, expected a prefix such as 192.0.2.0/24 or 2001:db8::/32") from error
    return pack(network.version, int(network.network_address), network.prefixlen)


def show_key(key: Key) -> str:
    return show_prefix(unpack(key))


class Kind(IntEnum):
    """Of a segment of an AS path (RFC 4271 section 4.3, RFC 5065 section 3)."""

    SET = 1
    SEQUENCE = 2
    CONFEDERATION_SEQUENCE = 3
    CONFEDERATION_SET = 4


class Origin(IntEnum):
    """RFC 4271 section 4.3; the lower, the better."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


Segment: TypeAlias = tuple[int, tuple[int, ...]]  # a Kind, and AS numbers
AsPath: TypeAlias = tuple[Segment, ...]


class Attributes(msgspec.Struct, frozen=True, gc=False):
    """What is said of many prefixes at once; equal ones are kept once."""

    as_path: AsPath = ()
    local_preference: int = USUAL_PREFERENCE
    origin: int = Origin.IGP
    med: int | None = None


def read_amount(value: object) -> int:
    """A local preference or a MED, which have 32 bits (RFC 4271 sections 5.1.4 and 5.1.5). Raises RouteError."""
    try:
        amount = int(value) if isinstance(value, str) else value
    except ValueError:
        amount = None
    if type(amount) is not int or not 0 <= amount <= 0xFFFFFFFF:
        raise RouteError(f"found the preference or MED {str(value)[:40]!r}, expected 0 to 4294967295")
    return amount


def sequence(*numbers: int) -> AsPath:
    return ((Kind.SEQUENCE, numbers),) if numbers else ()


def hops(path: AsPath) -> int:
    """The path's length: a set counts one, confederations none (RFC 4271 9.1.2.2 a, RFC 5065 5.3)."""
    return sum(len(numbers) if kind == Kind.SEQUENCE else kind == Kind.SET for kind, numbers in path)


def ases(path: AsPath) -> int:
    """How many numbers it names, as often as it does."""
    return sum(len(numbers) for _, numbers in path)


def neighbour(path: AsPath) -> int:
    """The AS that the route came from, 0 where that is our own or a set."""
    for kind, numbers in path:
        if kind == Kind.SEQUENCE:
            return numbers[0]
        if kind == Kind.SET:
            return 0
    return 0


def origin_as(path: AsPath) -> int | None:
    """Who put the prefix into BGP (RFC 6811 section 2): None where the path ends in a set; 0 for an empty path."""
    for kind, numbers in reversed(path):
        if kind == Kind.SEQUENCE:
            return numbers[-1]
        if kind == Kind.SET:
            return None
    return 0


_BRACKETS = {
    Kind.SET: ("{", "}"),
    Kind.SEQUENCE: ("", ""),
    Kind.CONFEDERATION_SEQUENCE: ("(", ")"),
    Kind.CONFEDERATION_SET: ("({", "})"),
}
_PIECES = re.compile(r"\(\{([\d\s,]*)\}\)|\{([\d\s,]*)\}|\(([\d\s,]*)\)|(\d+)|(\s+)|(.)")


def show_path(path: AsPath) -> str:
    """As BIRD and others print it: "64500 3356 {1299 2914}"."""
    parts = []
    for kind, numbers in path:
        begin, end = _BRACKETS[Kind(kind)]
        parts.append(begin + " ".join(map(str, numbers)) + end)
    return " ".join(parts)


def parse_path(text: str) -> AsPath:
    """The counterpart of show_path. Raises RouteError."""
    segments: list[tuple[Kind, list[int]]] = []
    for confederation_set, plain_set, confederation, number, _, wrong in _PIECES.findall(text):
        if wrong:
            raise RouteError(f"found the AS path {text!r}, expected numbers, {{sets}} and (confederations)")
        if number:
            if not segments or segments[-1][0] is not Kind.SEQUENCE:
                segments.append((Kind.SEQUENCE, []))
            segments[-1][1].append(int(number))
        for kind, group in (
            (Kind.CONFEDERATION_SET, confederation_set),
            (Kind.SET, plain_set),
            (Kind.CONFEDERATION_SEQUENCE, confederation),
        ):
            if group.strip():
                segments.append((kind, [int(one) for one in group.replace(",", " ").split()]))
    return as_path(segments)


def as_path(segments: Iterable[tuple[int, Iterable[int]]]) -> AsPath:
    """Segments as a value. Raises RouteError for what is no AS number."""
    path = tuple((int(kind), tuple(numbers)) for kind, numbers in segments)
    for _, numbers in path:
        for number in numbers:
            if type(number) is not int or not 0 <= number <= 0xFFFFFFFF:
                raise RouteError(f"found the AS number {number!r}, expected 0 to 4294967295")
    return tuple(segment for segment in path if segment[1])
