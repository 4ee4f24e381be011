"""Addresses and prefixes, read as `ipaddress` reads them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.errors import SitesError
from steering.prefixes.addresses import (
    covering,
    parse_address,
    parse_prefix,
    read_prefix,
    show_address,
    show_prefix,
    unmapped,
)
from tests.steering.tables import prefixes

addresses = st.one_of(
    st.builds(lambda number: (4, number), st.integers(0, 2**32 - 1)),
    st.builds(lambda number: (6, number), st.integers(2**48, 2**128 - 1)),
)
almost = st.text("0123456789abcdefABCDEF.:/% ٣\0", max_size=24)


@given(addresses)
def test_an_address_reads_back(address: tuple[int, int]) -> None:
    text = show_address(address)
    assert parse_address(text) == address
    assert text == str(ipaddress.ip_address(text))


@given(st.one_of(almost, st.text(max_size=12)))
def test_what_is_an_address_is_one_to_ipaddress_too(text: str) -> None:
    address = parse_address(text)
    if address is not None:
        meant = ipaddress.ip_address(text.partition("%")[0])
        meant = getattr(meant, "ipv4_mapped", None) or meant
        assert address == (meant.version, int(meant))


@given(prefixes)
def test_a_prefix_reads_back(prefix: tuple[int, int, int]) -> None:
    text = show_prefix(prefix)
    assert read_prefix(text) == prefix == parse_prefix(text, "here")
    version, network, length = prefix
    assert covering((version, network), length) == prefix


@given(almost)
def test_the_short_way_reads_what_the_long_way_reads(text: str) -> None:
    prefix = read_prefix(text)
    if prefix is not None:
        network = ipaddress.ip_network(text)
        assert prefix == (network.version, int(network.network_address), network.prefixlen)


def test_an_ipv4_client_of_a_dual_stack_socket_is_an_ipv4_client() -> None:
    assert parse_address("::ffff:192.0.2.1") == parse_address("192.0.2.1") == (4, 0xC0000201)


@pytest.mark.parametrize(
    ("prefix", "meant"),
    [
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"), ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:192.0.2.1/128", "192.0.2.1/32"), ("::/95", "::/95"), ("::fffe:0:0/96", "::fffe:0:0/96"),
        ("192.0.2.0/24", "192.0.2.0/24"),
    ],
)  # fmt: skip
def test_an_ipv4_prefix_in_an_ipv6_one_is_unmapped(prefix: str, meant: str) -> None:
    assert show_prefix(unmapped(parse_prefix(prefix, "here"))) == meant


def test_a_scope_is_no_part_of_an_address_and_ipv4_has_none() -> None:
    assert parse_address("fe80::1%eth0") == parse_address("fe80::1")
    assert parse_address("192.0.2.1%eth0") is None


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "999.1.1.1", "01.2.3.4", "1.2.3.4\0", "\ud800", "1.2.3.4 "]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


def test_an_address_alone_is_a_prefix_of_one() -> None:
    assert parse_prefix("192.0.2.7", "here") == (4, 0xC0000207, 32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("10.0.0.0/33", "a prefix such as"),
        ("ten", "a prefix such as"),
        ("", "a prefix such as"),
    ],
)
def test_what_is_no_prefix_is_refused_with_its_place_and_what_was_meant(text: str, expected: str) -> None:
    with pytest.raises(SitesError, match=f"here: found '{text}', expected {expected}"):
        parse_prefix(text, "here")
