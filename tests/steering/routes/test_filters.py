from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from steering.routes.filters import SPECIAL, Filters, Reason, describe
from steering.routes.peer import Peer
from steering.routes.prefix_set import PrefixSet
from steering.routes.route import Attributes, parse_path
from steering.routes.vrps import Vrps
from tests.steering.routes.values import attributes, key, keys, peer, prefix


def reason(text: str, path: str = "3356 1299", peer: Peer = peer(), filters: Filters | None = None) -> Reason:  # noqa: B008
    return (filters or Filters()).judge(peer, Attributes(parse_path(path)))(key(text))


@pytest.mark.parametrize("text", ["11.0.0.0/8", "11.0.0.0/24", "2a00::/16", "2a00:1450::/32", "2a00:1450::/48"])
def test_a_usual_route_is_accepted(text: str) -> None:
    assert reason(text) is Reason.ACCEPTED


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_a_default_route_is_not_believed(text: str) -> None:
    assert reason(text) is Reason.DEFAULT_ROUTE


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0/8", "10.1.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "203.0.113.0/24", "224.0.0.0/8", "255.255.255.0/24"),
        *("::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "2001:db8::/32", "2001::/32", "2002::/16", "64:ff9b::/96"),
        *("5f00::/16", "3fff::/20", "4000::/16", "a000::/16"),
    ],
)
def test_special_purpose_and_unallocated_space_is_not_believed(text: str) -> None:
    assert reason(text) is Reason.SPECIAL_PURPOSE


@pytest.mark.parametrize("text", ["192.31.196.0/24", "192.175.48.0/24", "2620:4f:8000::/48", "191.255.255.0/24"])
def test_special_space_that_is_globally_reachable_is_believed(text: str) -> None:
    assert reason(text) is Reason.ACCEPTED


def test_ipaddress_agrees_on_what_is_global() -> None:
    for first in range(256):
        text = f"{first}.77.0.0/16"
        is_special = not ipaddress.ip_network(text).is_global or first >= 224
        assert SPECIAL.covers(prefix(text)) is is_special, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.0.0.0/7", Reason.TOO_SHORT),
        ("11.0.0.0/25", Reason.TOO_SPECIFIC),
        ("2a00::/15", Reason.TOO_SHORT),
        ("2a00::/49", Reason.TOO_SPECIFIC),
    ],
)
def test_prefixes_of_unusual_length_are_not_believed(text: str, expected: Reason) -> None:
    assert reason(text) is expected
    every_length = peer(shortest={4: 1, 6: 1}, longest={4: 32, 6: 128})
    assert reason(text, peer=every_length) is Reason.ACCEPTED


def test_our_own_as_in_the_path_is_a_loop() -> None:
    assert reason("11.0.0.0/8", "3356 2906 1299") is Reason.LOOP
    inside = peer(peer_as=2906)
    assert reason("11.0.0.0/8", "1299", inside) is Reason.ACCEPTED


@pytest.mark.parametrize("number", [0, 23456, 64496, 64512, 65535, 65536, 65551, 4200000000, 4294967295])
def test_a_reserved_or_private_as_in_the_path_is_not_believed(number: int) -> None:
    assert reason("11.0.0.0/8", f"3356 {number}") is Reason.RESERVED_AS
    assert reason("11.0.0.0/8", f"3356 {{1299 {number}}}") is Reason.RESERVED_AS


def test_as_0_is_nobody_also_where_the_neighbours_number_is_not_declared() -> None:
    assert reason("11.0.0.0/8", "3356 0", peer(peer_as=0)) is Reason.RESERVED_AS
    assert reason("11.0.0.0/8", "0 3356", peer(local_as=0)) is Reason.RESERVED_AS


def test_a_private_as_that_is_the_neighbours_own_is_believed() -> None:
    assert reason("11.0.0.0/8", "65001 1299", peer(peer_as=65001)) is Reason.ACCEPTED


def test_our_own_prefixes_echoed_by_an_isp_are_not_believed() -> None:
    filters = Filters(keys("11.5.0.0/16", "2a00:1450::/32"))
    assert reason("11.5.0.0/16", filters=filters) is Reason.OWN_PREFIX
    assert reason("11.5.7.0/24", filters=filters) is Reason.OWN_PREFIX
    assert reason("2a00:1450:1::/48", filters=filters) is Reason.OWN_PREFIX
    assert reason("11.0.0.0/8", filters=filters) is Reason.ACCEPTED


def test_a_session_may_be_held_to_a_list_which_may_have_special_space() -> None:
    only = peer(allowed=PrefixSet(keys("11.0.0.0/8", "10.0.0.0/8")))
    assert reason("11.1.0.0/16", peer=only) is Reason.ACCEPTED
    assert reason("10.1.0.0/16", peer=only) is Reason.ACCEPTED
    assert reason("12.0.0.0/16", peer=only) is Reason.NOT_ALLOWED
    assert reason("2a00::/32", peer=only) is Reason.NOT_ALLOWED


def test_an_rpki_invalid_route_is_not_believed() -> None:
    filters = Filters(vrps=Vrps([(key("11.0.0.0/8"), 16, 1299)]))
    assert reason("11.1.0.0/16", filters=filters) is Reason.ACCEPTED
    assert reason("11.1.0.0/16", "3356 174", filters=filters) is Reason.RPKI_INVALID
    assert reason("11.1.0.0/16", "3356 {1299}", filters=filters) is Reason.RPKI_INVALID
    assert reason("12.0.0.0/16", "3356 174", filters=filters) is Reason.ACCEPTED


def test_a_route_with_an_empty_path_is_of_the_sessions_own_network() -> None:
    filters = Filters(vrps=Vrps([(key("11.0.0.0/8"), 16, 2906)]))
    assert reason("11.1.0.0/16", "", peer(peer_as=2906), filters) is Reason.ACCEPTED
    assert reason("11.1.0.0/16", "", peer(peer_as=3356), filters) is Reason.RPKI_INVALID


@pytest.mark.parametrize("which", [one for one in Reason if one is not Reason.ACCEPTED])
def test_every_reason_has_a_sentence(which: Reason) -> None:
    assert describe(which, key("11.0.0.0/8"), attributes(), peer())
    assert not describe(Reason.ACCEPTED, key("11.0.0.0/8"), attributes(), peer())


SPACES = some.lists(
    some.builds(lambda bits, length: (4, bits >> (6 - length) << (6 - length) << 26, length),
                some.integers(0, 63), some.integers(0, 6))
)  # fmt: skip


@given(SPACES, SPACES)
def test_a_set_covers_what_is_inside_one_of_it(
    members: list[tuple[int, int, int]], asked: list[tuple[int, int, int]]
) -> None:
    found = PrefixSet(network << 8 | length for _, network, length in members)
    networks = [ipaddress.ip_network((network, length)) for _, network, length in members]
    for one in asked:
        network = ipaddress.ip_network(one[1:])
        assert found.covers(one) is any(network.subnet_of(member) for member in networks)  # type: ignore[arg-type]
