"""Whose request it is: the address behind the proxies that an operator trusts, and what counts as one household.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from origin.errors import LicenceError

# Of an IPv6 address, what a provider gives to one subscriber (RFC 6177): the rest is his to choose.
_HOUSEHOLD = 64


def parse_proxies(prefixes: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Raises LicenceError for what is no prefix."""
    found = []
    for text in prefixes:
        try:
            found.append(ip_network(text))
        except ValueError:
            raise LicenceError(f"trusted_proxies {text!r}, expected prefixes like 10.0.0.0/8") from None
    return tuple(found)


def client_of(peer: str, forwarded: str, proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """The last address that no trusted proxy stands for; `forwarded` is X-Forwarded-For, the nearest hop last."""
    client = _address(peer)
    for hop in reversed(forwarded.split(",")):
        before = _address(hop.strip())
        if client is None or before is None or not any(client in network for network in proxies):
            break
        client = before
    return str(client or peer)


def household_of(client: str) -> str:
    """What the requests of one household have in common."""
    address = _address(client)
    return str(ip_network((address, _HOUSEHOLD), strict=False)) if isinstance(address, IPv6Address) else client


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address  # what a dual-stack socket makes of IPv4
