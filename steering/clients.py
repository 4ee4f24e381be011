"""The address a request comes from, when some of the way is ours.

Pure: what the socket and a header say in, an address out.
"""

from __future__ import annotations

from collections.abc import Iterable

from steering.prefixes import Address, Network, parse_address, parse_prefix


class TrustedProxies:
    """The proxies whose X-Forwarded-For is believed. Raises SitesError for what is no prefix."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(parse_prefix(text, "trusted_proxies") for text in prefixes)

    def client(self, peer: str, forwarded: str) -> str:
        """The last address that no trusted proxy stands for; `forwarded` is X-Forwarded-For, the nearest hop last.

        Whatever is further left was written by the client itself, who may claim to be anybody.
        """
        client = peer
        for hop in reversed([part.strip() for part in forwarded.split(",")]):
            if not self._trusts(client):
                break
            address = parse_address(hop)
            if address is None:
                break
            client = str(address)
        return client

    def _trusts(self, text: str) -> bool:
        address: Address | None = parse_address(text)
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )
