"""Which announced routes are believed, and why not the others.

They are those that a careful network puts on any session: a route says who is sent to a site, and a wrong one takes
other people's viewers there.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from steering.routes.peer import Peer
from steering.routes.prefix_set import PrefixSet
from steering.routes.route import AsPath, Attributes, Key, origin_as, parse_prefix, show_key, unpack
from steering.routes.vrps import Validity, Vrps

# What the IANA special-purpose address registries (RFC 6890 and its updates, read October 2026) do not call globally
# reachable, with multicast and what is reserved. Of IPv6 only 2000::/3 is given out at all.
_SPECIAL = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/3", "::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
)
SPECIAL = PrefixSet(parse_prefix(text) for text in _SPECIAL)
# AS numbers that stand for nobody: IANA's special-purpose AS numbers registry, with AS_TRANS (RFC 7607, 6793, 5398,
# 6996, 7300). They end up in a path by mistake; what has one in it was not meant for us.
_NOBODY = (
    range(1),
    range(23456, 23457),
    range(64496, 65552),
    range(4200000000, 4294967296),
)


class Reason(Enum):
    """Why a route is not believed; the value is the label of its counter."""

    ACCEPTED = "accepted"
    DEFAULT_ROUTE = "default-route"
    SPECIAL_PURPOSE = "special-purpose"
    TOO_SHORT = "too-short"
    TOO_SPECIFIC = "too-specific"
    OWN_PREFIX = "own-prefix"
    NOT_ALLOWED = "not-allowed"
    LOOP = "loop"
    RESERVED_AS = "reserved-as"
    RPKI_INVALID = "rpki-invalid"

    def __bool__(self) -> bool:
        """A reason there is; ACCEPTED is none."""
        return self is not Reason.ACCEPTED


ACCEPTED = Reason.ACCEPTED


class Filters:
    """What all sessions are judged by."""

    def __init__(self, own_prefixes: Iterable[Key] = (), vrps: Vrps | None = None) -> None:
        self._own = PrefixSet(own_prefixes)
        self.vrps = vrps

    def judge(self, peer: Peer, attributes: Attributes) -> Callable[[Key], Reason]:
        """What judges prefixes that were announced together: what is the same for all of them is looked at once."""
        of_path = _judge_path(attributes.as_path, peer)
        origin = _origin(attributes, peer)
        own, vrps = self._own or None, self.vrps
        shortest, longest, allowed = peer.shortest, peer.longest, peer.allowed or None

        def reason(key: Key) -> Reason:
            prefix = unpack(key)
            version, _, length = prefix
            if not length:
                return Reason.DEFAULT_ROUTE
            if allowed is not None:
                if not allowed.covers(prefix):
                    return Reason.NOT_ALLOWED
            elif SPECIAL.covers(prefix):
                return Reason.SPECIAL_PURPOSE
            if length < shortest[version]:
                return Reason.TOO_SHORT
            if length > longest[version]:
                return Reason.TOO_SPECIFIC
            if own is not None and own.covers(prefix):
                return Reason.OWN_PREFIX
            if of_path:
                return of_path
            if vrps is not None and vrps.validity(prefix, origin) is Validity.INVALID:
                return Reason.RPKI_INVALID
            return ACCEPTED

        return reason


def _origin(attributes: Attributes, peer: Peer) -> int | None:
    """Who originates the route; None for a set. One without any AS in its path is of the session's own network."""
    origin = origin_as(attributes.as_path)
    return peer.peer_as if origin == 0 else origin


def _judge_path(path: AsPath, peer: Peer) -> Reason:
    for _, numbers in path:
        for number in numbers:
            if number == peer.local_as and number and peer.is_external:
                return Reason.LOOP
            # The operator wrote the neighbour's own number down, so a private one is meant; 0: none was written.
            if (number != peer.peer_as or not number) and any(number in nobody for nobody in _NOBODY):
                return Reason.RESERVED_AS
    return ACCEPTED


def describe(reason: Reason, key: Key, attributes: Attributes, peer: Peer) -> str:
    """The reason as a sentence for the ISP's engineer; "" if the route is accepted."""
    prefix, (version, _, length) = show_key(key), unpack(key)
    if reason is Reason.DEFAULT_ROUTE:
        return f"{prefix} is a default route: it says nothing of who is a client of this network"
    if reason is Reason.SPECIAL_PURPOSE:
        return f"{prefix} is in space that IANA reserves for a special purpose or has not given out"
    if reason is Reason.TOO_SHORT:
        return f"{prefix} is too short: a /{length}, expected /{peer.shortest[version]} or longer"
    if reason is Reason.TOO_SPECIFIC:
        return f"{prefix} is too specific: a /{length}, expected /{peer.longest[version]} or shorter"
    if reason is Reason.OWN_PREFIX:
        return f"{prefix} is in our own prefixes"
    if reason is Reason.NOT_ALLOWED:
        return f"{prefix} is not in what session {peer.name} is allowed to announce"
    if reason is Reason.LOOP:
        return f"our own AS {peer.local_as} is in its path"
    if reason is Reason.RESERVED_AS:
        return "its AS path has a number that is reserved or private"
    if reason is Reason.RPKI_INVALID:
        origin = _origin(attributes, peer)
        who = "a set of ASes" if origin is None else f"AS {origin}"
        return f"{prefix} is RPKI-invalid: no ROA lets {who} originate a /{length} of it, but there is one for others"
    return ""
