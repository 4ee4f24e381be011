from __future__ import annotations

from typing import Any

import pytest

from config.steering import BgpSettings
from steering.errors import PeersError
from steering.routes.peer import declared, parse_keys

USUAL: dict[str, Any] = {
    "name": "isp1",
    "site": "north",
    "peer": "11.0.0.1",
    "peer_as": 3356,
    "local_address": "11.0.0.2",
    "local_as": 2906,
}


def test_a_session_is_declared_with_its_limits() -> None:
    peer = declared([BgpSettings(**USUAL, longest_v4=28, prefix_limit_v6=5, allow=("11.0.0.0/8",))])["isp1"]
    assert (peer.longest, peer.limits[6], peer.is_external, peer.place) == ({4: 28, 6: 48}, 5, True, (4, 0x0B000001))
    assert peer.allowed


def test_an_ipv6_neighbours_address_is_one_however_it_is_written() -> None:
    more = {**USUAL, "peer": "2A00:0::0001", "local_address": "2a00::2"}
    assert declared([BgpSettings(**more)])["isp1"].address == "2a00::1"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"peer": "router.example"}, "expected an IP address"),
        ({"peer": "fe80::1%eth0", "local_address": "fe80::2"}, "without a zone"),
        ({"prefix_limit_v4": -1}, "prefix_limit_v4"),
        ({"peer": ""}, "expected the address of the ISP's router"),
        ({"local_address": ""}, "local_address"),
        ({"local_address": "2a00::2"}, "the same IP version"),
        ({"peer_as": 0}, "peer_as"),
        ({"local_as": 4294967295}, "local_as"),
        ({"port": 0}, "port"),
        ({"shortest_v4": 25}, "shortest_v4, longest_v4: found 25 and 24"),
        ({"longest_v6": 129}, "shortest_v6, longest_v6"),
        ({"shortest_v4": 0}, "shortest_v4"),
        ({"allow": ("11.0.0.1/8",)}, "allow: found '11.0.0.1/8'"),
        ({"password": 'x"; announce'}, "password"),
        ({"password": "x" * 81}, "password"),
        ({"source": "bird"}, "bird_socket"),
        ({"source": "feed", "peer": ""}, "peer"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(PeersError, match=reason) as caught:
        declared([BgpSettings(**{**USUAL, **wrong})])
    assert "bgp[0] (isp1)" in str(caught.value)


def test_a_password_is_never_in_the_error() -> None:
    with pytest.raises(PeersError) as caught:
        declared([BgpSettings(**USUAL, password='sesame"')])
    assert "sesame" not in str(caught.value)


def test_two_sessions_of_one_name_or_one_neighbour_are_refused() -> None:
    with pytest.raises(PeersError, match="a second time"):
        declared([BgpSettings(**USUAL), BgpSettings(**{**USUAL, "peer": "11.0.0.3"})])
    with pytest.raises(PeersError, match="which is the one of isp1 already"):
        declared([BgpSettings(**USUAL), BgpSettings(**{**USUAL, "name": "isp2"})])


def test_an_imported_session_needs_no_addresses() -> None:
    assert set(declared([BgpSettings(name=name, site="north", source="import") for name in ("a", "b")])) == {"a", "b"}


def test_our_own_prefixes_must_be_some() -> None:
    with pytest.raises(PeersError, match="own_prefixes: found 'x'"):
        parse_keys(["11.0.0.0/8", "x"], "own_prefixes")
