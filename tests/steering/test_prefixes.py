"""Longest prefix match against the obvious way of doing it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.errors import SitesError
from steering.prefixes import Address, Match, Network, Prefixes, _parse_usual, parse_address

v4 = st.builds(
    lambda bits, length: ipaddress.ip_network((bits, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
v6 = st.builds(
    lambda bits, length: ipaddress.ip_network((bits, length), strict=False),
    st.integers(2**32, 2**128 - 1),
    st.integers(0, 128),
)
networks = st.lists(st.one_of(v4, v6), unique=True, max_size=20)


@given(networks, st.data())
def test_the_longest_covering_prefix_wins(announced: list[Network], data: st.DataObject) -> None:
    prefixes = Prefixes((f"site-{n}", [str(network)]) for n, network in enumerate(announced))
    inside = [network[data.draw(st.integers(0, network.num_addresses - 1))] for network in announced]
    address: Address = data.draw(st.sampled_from([*inside, ipaddress.ip_address("192.0.2.1")]))
    covering = [
        (network.prefixlen, Match(str(network), f"site-{n}"))
        for n, network in enumerate(announced)
        if network.version == address.version and address in network
    ]
    assert prefixes.find(address) == (max(covering)[1] if covering else None)


def test_a_prefix_of_length_zero_covers_what_no_longer_one_does() -> None:
    prefixes = Prefixes([("everybody", ["0.0.0.0/0"]), ("home", ["192.0.2.0/24"])])
    assert prefixes.find(ipaddress.ip_address("198.51.100.1")) == Match("0.0.0.0/0", "everybody")
    assert prefixes.find(ipaddress.ip_address("192.0.2.1")) == Match("192.0.2.0/24", "home")
    assert prefixes.find(ipaddress.ip_address("2001:db8::1")) is None


def test_no_prefixes_cover_nobody() -> None:
    assert Prefixes().find(ipaddress.ip_address("192.0.2.1")) is None
    assert len(Prefixes()) == 0


def test_an_ipv4_client_of_a_dual_stack_socket_is_an_ipv4_client() -> None:
    assert parse_address("::ffff:192.0.2.1") == ipaddress.ip_address("192.0.2.1")


def test_a_scope_is_no_part_of_an_address() -> None:
    assert parse_address("fe80::1%eth0") == ipaddress.ip_address("fe80::1")


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "999.1.1.1"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


def test_an_address_inside_a_network_is_refused_with_the_network_that_was_meant() -> None:
    with pytest.raises(SitesError, match=r"site 'north', prefix 2: found '192.0.2.7/24', expected 192.0.2.0/24"):
        Prefixes([("north", ["10.0.0.0/8", "192.0.2.7/24"])])


@given(st.one_of(v4, v6).map(str), st.text("0123456789./: ", max_size=20))
def test_the_short_way_reads_what_the_long_way_reads(good: str, other: str) -> None:
    for text in (good, other, good.replace("/", "/0"), f"0{good}", f"{good} "):
        usual = _parse_usual(text)
        if usual is not None:
            network = ipaddress.IPv4Network(text)
            assert usual == (int(network.network_address), network.prefixlen)


def test_nonsense_is_refused_with_its_place() -> None:
    with pytest.raises(SitesError, match=r"site 'north', prefix 1: found '10.0.0.0/33', expected a prefix such as"):
        Prefixes([("north", ["10.0.0.0/33"])])


def test_two_sites_cannot_announce_the_same_prefix() -> None:
    with pytest.raises(SitesError, match=r"site 'south', prefix 1: 10.0.0.0/8 is announced by site 'north' already"):
        Prefixes([("north", ["10.0.0.0/8"]), ("south", ["10.0.0.0/8"])])


def test_a_site_may_name_a_prefix_twice() -> None:
    assert len(Prefixes([("north", ["10.0.0.0/8", "10.0.0.0/8"])])) == 1
