"""Writes MRT dumps, independently of what reads them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable


def record(kind: int, subtype: int, body: bytes) -> bytes:
    return struct.pack("!IHHI", 1_700_000_000, kind, subtype, len(body)) + body


def peers(*given: tuple[str, int]) -> bytes:
    """A PEER_INDEX_TABLE: addresses and AS numbers."""
    body = bytes([192, 0, 2, 1]) + struct.pack("!H", 4) + b"view" + struct.pack("!H", len(given))
    for text, asn in given:
        address = ipaddress.ip_address(text)
        body += bytes([2 | (address.version == 6)]) + bytes([10, 0, 0, 1]) + address.packed + struct.pack("!I", asn)
    return record(13, 1, body)


def attribute(kind: int, value: bytes) -> bytes:
    if len(value) > 255:
        return bytes([0x50, kind]) + struct.pack("!H", len(value)) + value
    return bytes([0x40, kind, len(value)]) + value


def as_path(*segments: tuple[int, Iterable[int]]) -> bytes:
    value = b""
    for kind, numbers in segments:
        listed = list(numbers)
        value += bytes([kind, len(listed)]) + struct.pack(f"!{len(listed)}I", *listed)
    return attribute(2, value)


def route(text: str, *entries: tuple[int, bytes]) -> bytes:
    """A RIB_IPV4_UNICAST or RIB_IPV6_UNICAST: numbers of peers and their attributes."""
    network = ipaddress.ip_network(text)
    body = struct.pack("!I", 0) + bytes([network.prefixlen])
    body += network.network_address.packed[: (network.prefixlen + 7) // 8] + struct.pack("!H", len(entries))
    for peer, attributes in entries:
        body += struct.pack("!HIH", peer, 1_700_000_000, len(attributes)) + attributes
    return record(13, 2 if network.version == 4 else 4, body)
