"""The address a request comes from, when some of the way is ours.

Pure: what the socket and a header say in, an address out.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from steering.prefixes.addresses import BITS, parse_address, parse_prefix, show_address, unmapped

# Nobody's way has more proxies; a header may be as long as whoever wrote it liked.
_MOST_HOPS = 16
_MOST_REMEMBERED = 1024


class TrustedProxies:
    """The proxies whose X-Forwarded-For is believed. Raises SitesError for what is no prefix."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        # IP version, bits below the network, and what is above them.
        self._networks: list[tuple[int, int, int]] = []
        for text in prefixes:
            # A dual-stack socket's log names IPv4 proxies so; addresses are compared without.
            version, network, length = unmapped(parse_prefix(text, "trusted_proxies"))
            below = BITS[version] - length
            self._networks.append((version, below, network >> below))
        # Proxies are few, and each request comes from one.
        self._trusts = lru_cache(_MOST_REMEMBERED)(self._is_trusted)

    def client(self, peer: str, forwarded: str) -> str:
        """The last address that no trusted proxy stands for; `forwarded` is X-Forwarded-For, the nearest hop last.

        Whatever is further left was written by the client itself, who may claim to be anybody.
        """
        if not forwarded or not self._networks:
            return peer
        client = peer
        for hop in reversed(forwarded.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]):
            if not self._trusts(client):
                break
            text = _address_of(hop)
            if text is None:
                break
            client = text
        return client

    def _is_trusted(self, text: str) -> bool:
        address = parse_address(text)
        if address is None:
            return False
        version, number = address
        return any(version == of and number >> below == network for of, below, network in self._networks)


def _address_of(hop: str) -> str | None:
    """The address of a hop, None if it is none. Some proxies write a port behind it, and brackets for that."""
    text, port = hop.strip(), ""
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    if port.strip(":") and not port.strip(":").isdecimal():
        return None
    address = parse_address(text)
    if address is None:
        return None
    # IPv4 has one way to be written, and that is how it was read.
    return text if address[0] == 4 and ":" not in text else show_address(address)
