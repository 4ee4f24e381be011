"""Whose address a request carries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.errors import SitesError
from steering.prefixes.addresses import parse_address
from steering.prefixes.clients import TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "::ffff:172.16.0.0/108"])


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
        ("unix:", "198.51.100.7", "unix:"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),  # some proxies write a port
        ("10.0.0.1", "[2001:db9::1]:443", "2001:db9::1"),
        ("10.0.0.1", "[2001:db9::1]", "2001:db9::1"),
        ("10.0.0.1", "2001:DB9:0::1", "2001:db9::1"),
        ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "198.51.100.7%eth0", "10.0.0.1"),  # IPv4 has no zones
        ("10.0.0.1", "198.51.100.7, , 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.7, _hidden", "10.0.0.1"),  # RFC 7239 6.3
        ("172.16.0.1", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_the_client_is_the_last_address_no_proxy_of_ours_stands_for(peer: str, forwarded: str, client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


@pytest.mark.parametrize(
    "forwarded",
    [
        "for=198.51.100.7", 'for="[2001:db9::1]:443"', '"198.51.100.7"', "198.51.100.7;proto=https", "[", "]", "[]",
        "[::", "[::]a", "[::]:a", "198.51.100.7:a", ":", "::g", "198.51.100", "198.51.100.7/32", "0x7f.1", "017.0.0.1",
        "localhost", "198.51.100.7\0", "\ud800", ",", ",,,", " ", "\t", "-", "1" * 5000, ":" * 5000, "%", "%eth0",
        "٣.٣.٣.٣",
    ],
)  # fmt: skip
def test_nonsense_is_nobodys_address(forwarded: str) -> None:
    assert PROXIES.client("10.0.0.1", forwarded) == "10.0.0.1"


@given(st.text('0123456789abcdef.:[]%,; /"=\0é', max_size=60))
def test_whatever_is_forwarded_an_address_comes_out(forwarded: str) -> None:
    assert parse_address(PROXIES.client("10.0.0.1", forwarded)) is not None


def test_a_way_longer_than_any_is_not_followed_to_its_end() -> None:
    hops = ["198.51.100.7", *(["10.0.0.2"] * 100_000)]
    assert PROXIES.client("10.0.0.1", ",".join(hops)) == "10.0.0.2"
    assert PROXIES.client("10.0.0.1", ",".join(hops[:16])) == "198.51.100.7"


def test_without_proxies_the_header_is_not_read() -> None:
    assert TrustedProxies().client("10.0.0.1", "198.51.100.7") == "10.0.0.1"


def test_a_proxy_that_is_no_prefix_is_refused() -> None:
    with pytest.raises(SitesError, match="trusted_proxies: found 'proxy', expected a prefix"):
        TrustedProxies(["proxy"])
