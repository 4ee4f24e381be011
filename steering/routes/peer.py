"""The BGP sessions that an operator declared: with whom, and for which site they speak.

Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from config.steering import BgpSettings
from steering.errors import PeersError, RouteError
from steering.routes.prefix_set import PrefixSet
from steering.routes.route import Key, parse_prefix

# Where a session's routes come from: an ExaBGP of ours, one of the operator's, a BIRD, or files.
Source: TypeAlias = Literal["listen", "feed", "bird", "import"]


@dataclass(frozen=True)
class Peer:
    """One session, as far as its routes go by it."""

    name: str
    site: str
    appliance: str = ""
    address: str = ""  # the neighbour's, as `ipaddress` writes it
    peer_as: int = 0
    local_as: int = 0
    shortest: dict[int, int] = field(default_factory=lambda: {4: 8, 6: 16})  # by IP version
    longest: dict[int, int] = field(default_factory=lambda: {4: 24, 6: 48})
    limits: dict[int, int] = field(default_factory=lambda: {4: 2_000_000, 6: 1_000_000})  # prefixes; 0: none at all
    drops_over_limit: bool = False
    hold_s: float = 86400.0
    allowed: PrefixSet = field(default_factory=PrefixSet)
    source: Source = "listen"

    @property
    def is_external(self) -> bool:
        return self.peer_as != self.local_as

    @property
    def place(self) -> tuple[int, int]:
        """The neighbour's address as a number, for the last step of best path."""
        if not self.address:
            return 0, 0
        address = ipaddress.ip_address(self.address)
        return address.version, int(address)


def declared(settings: Iterable[BgpSettings]) -> dict[str, Peer]:
    """The sessions by name. Raises PeersError."""
    peers: dict[str, Peer] = {}
    neighbours: dict[str, str] = {}
    for position, one in enumerate(settings):
        peer = _peer(one, f"bgp[{position}] ({one.name})")
        if peer.name in peers:
            raise PeersError(f"bgp[{position}]: found the name {peer.name!r} a second time, expected one session of it")
        other = neighbours.setdefault(peer.address, peer.name) if peer.address else peer.name
        if other != peer.name:
            raise PeersError(
                f"bgp[{position}] ({peer.name}): peer: found {peer.address}, which is the one of {other} already"
            )
        peers[peer.name] = peer
    return peers


def parse_keys(texts: Iterable[str], where: str) -> list[Key]:
    """Prefixes of a setting. Raises PeersError."""
    try:
        return [parse_prefix(text) for text in texts]
    except RouteError as error:
        raise PeersError(f"{where}: {error}") from error


def _peer(one: BgpSettings, where: str) -> Peer:
    for version, shortest, longest, bits in (
        (4, one.shortest_v4, one.longest_v4, 32),
        (6, one.shortest_v6, one.longest_v6, 128),
    ):
        if not 0 < shortest <= longest <= bits:
            raise PeersError(
                f"{where}: shortest_v{version}, longest_v{version}: found {shortest} and {longest}, expected two "
                f"lengths up to {bits}, the smaller one first"
            )
    for version, limit in ((4, one.prefix_limit_v4), (6, one.prefix_limit_v6)):
        if limit < 0:
            raise PeersError(f"{where}: prefix_limit_v{version}: found {limit}, expected a number of prefixes")
    address = _address(one.peer, f"{where}: peer") if one.peer else ""
    if one.source in ("listen", "feed") and not address:
        raise PeersError(f"{where}: peer: found nothing, expected the address of the ISP's router")
    if one.source == "listen":
        _check_listening(one, where)
    if one.source == "bird" and one.bird_socket is None:
        raise PeersError(f"{where}: bird_socket: found nothing, expected the path of BIRD's control socket")
    return Peer(
        name=one.name,
        site=one.site,
        appliance=one.appliance,
        address=address,
        peer_as=one.peer_as,
        local_as=one.local_as,
        shortest={4: one.shortest_v4, 6: one.shortest_v6},
        longest={4: one.longest_v4, 6: one.longest_v6},
        limits={4: one.prefix_limit_v4, 6: one.prefix_limit_v6},
        drops_over_limit=one.over_limit == "drop",
        hold_s=one.hold_routes,
        allowed=PrefixSet(parse_keys(one.allow, f"{where}: allow")),
        source=cast(Source, one.source),
    )


def _check_listening(one: BgpSettings, where: str) -> None:
    local = _address(one.local_address, f"{where}: local_address")
    if (":" in local) != (":" in one.peer):
        raise PeersError(f"{where}: local_address: found {local} for the peer {one.peer}, expected the same IP version")
    for name, asn in (("peer_as", one.peer_as), ("local_as", one.local_as)):
        if not 0 < asn < 0xFFFFFFFF:
            raise PeersError(f"{where}: {name}: found {asn}, expected an AS number")
    if not 0 < one.port < 65536:
        raise PeersError(f"{where}: port: found {one.port}, expected 1 to 65535")
    # They go into ExaBGP's configuration, where these end a word. RFC 2385 limits a password to 80 bytes.
    if len(one.password.encode()) > 80 or any(mark in one.password for mark in "\"\\\n\r\t;{}[]# '"):
        raise PeersError(
            f"{where}: password: expected at most 80 characters, no blanks and none of \" ' \\ ; {{}} [] #"
        )


def _address(text: str, where: str) -> str:
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError as error:
        raise PeersError(f"{where}: found {text!r}, expected an IP address") from error
    if "%" in address:
        raise PeersError(f"{where}: found {text!r}, expected an address without a zone, which ExaBGP does not know")
    return address
