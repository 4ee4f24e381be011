"""The claims that depend on the request, made into conditions once, so that each request only compares.

    catu      every part of the URI that it names matches
    catm      the method is in the list
    catnip    the client's address is in one of the networks; of AS numbers nothing is known here, so none matches
    catalpn   the protocol that TLS agreed on is in the list
    cath      every header that it names is there, and matches

A claim that cannot be understood denies: it was meant to restrict.

Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cbor2 import CBORTag

from oca.errors import TokenError
from oca.tokens.envelope import Claims, as_map
from oca.tokens.matches import read_match

CATNIP, CATU, CATM, CATALPN, CATH = 311, 312, 313, 314, 315
_IPV4, _IPV6 = 52, 54  # RFC 9164
_LARGEST_CATH = 8  # headers; each may have a pattern to be searched for
# A path that a server could settle to another one: a prefix that matches it says nothing about what it leads to.
_UNSETTLED = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|\\", re.IGNORECASE)


class Asked(NamedTuple):
    """What is asked for. `path` and `query` are as sent, but without the token: carriage.find_token takes it out."""

    method: str
    scheme: str
    host: str  # without port
    port: int
    path: str
    query: str
    client: str  # the address as text
    alpn: str  # "" where TLS agreed on none
    headers: Mapping[str, str]  # names in lower case


class Condition(NamedTuple):
    claim: str
    expected: str
    holds: Callable[[Asked], bool]


def conditions(claims: Claims) -> tuple[Condition, ...]:
    """In the order in which they are cheap to judge. Raises TokenError."""
    return tuple(_read_all(claims))


def _read_all(claims: Claims) -> Iterator[Condition]:
    for label, name, read in (
        (CATM, "catm", _methods),
        (CATALPN, "catalpn", _protocols),
        (CATU, "catu", _uri),
        (CATH, "cath", _headers),
        (CATNIP, "catnip", _networks),
    ):
        if label in claims:
            try:
                yield from read(claims[label])
            except ValueError as error:
                raise TokenError(name, f"{name} of the access token cannot be judged: {error}", status=403) from None


def _methods(value: object) -> Iterator[Condition]:
    methods = _array(value, "methods")
    allowed = frozenset(method for method in methods if isinstance(method, str))
    if len(allowed) != len(methods):
        raise ValueError("a method is text, and there once")
    yield Condition("catm", f"one of the methods {', '.join(sorted(allowed))}", lambda asked: asked.method in allowed)


def _protocols(value: object) -> Iterator[Condition]:
    protocols = _array(value, "protocols")
    if not all(isinstance(protocol, bytes | str) for protocol in protocols):
        raise ValueError("a protocol is a byte string")
    texts = (one.decode("latin-1") if isinstance(one, bytes) else one for one in protocols)
    allowed = frozenset(texts) - {""}
    yield Condition("catalpn", "another protocol in TLS", lambda asked: asked.alpn in allowed)


def _parent(asked: Asked) -> str:
    return asked.path.rpartition("/")[0]


def _filename(asked: Asked) -> str:
    return asked.path.rpartition("/")[2]


def _stem(asked: Asked) -> str:
    filename = _filename(asked)
    return filename.removesuffix(_extension(asked))


def _extension(asked: Asked) -> str:
    """With its dot. The dot that begins a name begins no extension."""
    stem, dot, extension = _filename(asked).rpartition(".")
    return dot + extension if stem else ""


# Name, what it is of a request, and whether case matters (RFC 3986 6.2.2.1).
_PARTS: Mapping[object, tuple[str, Callable[[Asked], str], bool]] = {
    0: ("scheme", lambda asked: asked.scheme.lower(), True),
    1: ("host", lambda asked: asked.host.lower(), True),
    2: ("port", lambda asked: str(asked.port), False),
    3: ("path", lambda asked: asked.path, False),
    4: ("query", lambda asked: asked.query, False),
    5: ("parent path", _parent, False),
    6: ("filename", _filename, False),
    7: ("stem", _stem, False),
    8: ("extension", _extension, False),
}


def _uri(value: object) -> Iterator[Condition]:
    parts = as_map(value)
    if not parts:
        raise ValueError("it is a map from parts of a URI to matches")
    yield Condition("catu", "a path without dot segments", lambda asked: _UNSETTLED.search(asked.path) is None)
    for label, spec in parts.items():
        if type(label) is not int or label not in _PARTS:
            raise ValueError("a part of a URI is a number from 0 to 8")
        name, part, fold = _PARTS[label]
        match = read_match(spec, fold=fold)
        yield Condition("catu", f"as {name}: {match.expected}", _on_part(part, match.holds))


def _on_part(part: Callable[[Asked], str], holds: Callable[[str], bool]) -> Callable[[Asked], bool]:
    return lambda asked: holds(part(asked))


def _headers(value: object) -> Iterator[Condition]:
    headers = as_map(value)
    if not headers:
        raise ValueError("it is a map from names of headers to matches")
    if len(headers) > _LARGEST_CATH:
        raise ValueError(f"it names {_LARGEST_CATH} headers at most")
    for name, spec in headers.items():
        if not isinstance(name, str):
            raise ValueError("the name of a header is text")
        match = read_match(spec)
        yield Condition("cath", f"in a header: {match.expected}", _on_header(name.lower(), match.holds))


def _on_header(name: str, holds: Callable[[str], bool]) -> Callable[[Asked], bool]:
    return lambda asked: name in asked.headers and holds(asked.headers[name])


class _Network(NamedTuple):
    version: int
    shift: int  # bits of an address that are not of the prefix
    prefix: int


def _networks(value: object) -> Iterator[Condition]:
    entries = _array(value, "networks")
    networks = tuple(_network(entry) for entry in entries if type(entry) is not int)

    def holds(asked: Asked) -> bool:
        try:
            address = ipaddress.ip_address(asked.client.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address  # what a dual-stack socket makes of IPv4
        version, number = address.version, int(address)
        return any(version == net.version and number >> net.shift == net.prefix for net in networks)

    yield Condition("catnip", "another network of the client", holds)


def _network(entry: object) -> _Network:
    if not isinstance(entry, CBORTag) or entry.tag not in (_IPV4, _IPV6):
        raise ValueError("a network is an AS number, or an address in tag 52 or 54")
    version, bits = (4, 32) if entry.tag == _IPV4 else (6, 128)
    match entry.value:
        case bytes(address) if len(address) * 8 == bits:
            return _Network(version, 0, int.from_bytes(address))
        # RFC 9164 3.2: zeros at the end are left out.
        case [int(length), bytes(prefix)] if type(length) is int and 0 <= length <= bits and len(prefix) * 8 <= bits:
            number = int.from_bytes(prefix.ljust(bits // 8, b"\0"))
            if number & ((1 << (bits - length)) - 1):
                raise ValueError("a prefix has no bits set beyond its length")
            return _Network(version, bits - length, number >> (bits - length))
        case _:
            raise ValueError(f"an IPv{version} network is an address, or an array of length and prefix")


def _array(value: object, what: str) -> Sequence[object]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"it is an array of {what}")
    return value
