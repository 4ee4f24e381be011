"""Whose address a request carries."""

from __future__ import annotations

import pytest

from steering.clients import TrustedProxies
from steering.errors import SitesError

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # not a proxy of ours: it may write what it likes
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the left one was written by the client
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("2001:db8::1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, junk", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_client_is_the_last_address_no_proxy_of_ours_stands_for(peer: str, forwarded: str, client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_without_proxies_the_header_is_not_read() -> None:
    assert TrustedProxies().client("10.0.0.1", "198.51.100.7") == "10.0.0.1"


def test_a_proxy_that_is_no_prefix_is_refused() -> None:
    with pytest.raises(SitesError, match="trusted_proxies: found 'proxy', expected a prefix"):
        TrustedProxies(["proxy"])
