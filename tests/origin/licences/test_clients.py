from __future__ import annotations

import pytest

from origin.errors import LicenceError
from origin.licences.clients import client_of, household_of, parse_proxies

PROXIES = parse_proxies(["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),  # the first is what the client claims
        ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "nonsense", "fd00::1"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a proxy that nobody trusts
        ("", "198.51.100.1", ""),
    ],
)
def test_client_is_the_last_address_that_no_trusted_proxy_stands_for(peer: str, forwarded: str, client: str) -> None:
    assert client_of(peer, forwarded, PROXIES) == client


def test_household_is_an_ipv4_address_or_what_a_provider_gives_of_ipv6() -> None:
    assert household_of("203.0.113.9") == "203.0.113.9"
    assert household_of("2001:db8:1:2::9") == household_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"


def test_what_is_no_prefix_is_refused() -> None:
    with pytest.raises(LicenceError, match="trusted_proxies 'ours', expected prefixes"):
        parse_proxies(["ours"])
