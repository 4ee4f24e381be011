from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from steering.errors import RouteError
from steering.routes.exabgp_messages import Down, EndOfRib, Message, Opened, Up, Update, parse
from steering.routes.route import Attributes, Origin, parse_path
from tests.steering.routes.values import keys

# Recorded from ExaBGP 5.0.15 with BIRD 2.0.12 as its neighbour.
HEAD = b'{ "exabgp": "5.0.0", "time": 1795288749.4, "host" : "vm", "pid" : 1539, "ppid" : 1526, "counter": 4, '
NEIGHBOR = (
    b'"neighbor": { "address": { "local": "10.97.0.1", "peer": "10.97.0.2" }, "asn": { "local": 64700, "peer": 64600 }'
    b', "router-id": "10.97.0.1" , '
)
UP = HEAD + b'"type": "state", ' + NEIGHBOR + b'"state": "up" } }\n'
CONNECTED = HEAD + b'"type": "state", ' + NEIGHBOR + b'"state": "connected" } }\n'
DOWN = HEAD + b'"type": "state", ' + NEIGHBOR + b'"state": "down", "reason": "notification received (6,2)" } }\n'
OPEN = (
    HEAD + b'"type": "open", ' + NEIGHBOR + b'"direction": "receive", "open": { "version": 4, "asn": 64600, '
    b'"hold_time": 240, "router_id": "192.0.2.2", "capabilities": { "1": { "name": "multiprotocol", "families": '
    b'[ "ipv4/unicast", "ipv6/unicast" ] }, "65": { "name": "asn4", "asn4": 64600 } } } } }\n'
)
UPDATE = (
    HEAD + b'"type": "update", ' + NEIGHBOR + b'"direction": "receive", "message": { "update": { "attribute": { '
    b'"origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": [64600, 3356, 3356]}, "1": {"element": '
    b'"as-set", "value": [1299, 2914]}}, "med": 7, "community": [ [ 65000, 1 ] ] }, "announce": { "ipv4 unicast": { '
    b'"10.97.0.2": [ { "nlri": "11.2.0.0/16" }, { "nlri": "11.3.0.0/16" } ] } } } } } }\n'
)
IPV6 = (
    HEAD + b'"type": "update", ' + NEIGHBOR + b'"direction": "receive", "message": { "update": { "attribute": { '
    b'"origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": [64600]}} }, "announce": '
    b'{ "ipv6 unicast": { "fd97::2": [ { "nlri": "2a01:100::/32" } ] } } } } } }\n'
)
WITHDRAW = (
    HEAD + b'"type": "update", ' + NEIGHBOR + b'"direction": "receive", "message": { "update": { "withdraw": '
    b'{ "ipv4 unicast": [ { "nlri": "11.1.0.0/16" } ] } } } } }\n'
)
EOR = (
    HEAD + b'"type": "update", ' + NEIGHBOR + b'"direction": "receive", "message": { "eor": { "afi" : "ipv6", '
    b'"safi" : "unicast" } } } }\n'
)
SHUTDOWN = HEAD + b'"type": "notification", "notification": "shutdown" }\n'
PEER = "10.97.0.2"


ANNOUNCED = {"announce": {"ipv4 unicast": {"a": ["11.0.0.0/8"]}}}


def update(message: Any, **neighbor: Any) -> bytes:
    around = {"address": {"local": "11.0.0.9", "peer": "11.0.0.1"}, "direction": "receive", "message": message}
    return json.dumps({"exabgp": "4.0.1", "type": "update", "neighbor": around | neighbor}).encode()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (UP, Up(PEER)),
        (CONNECTED, None),
        (DOWN, Down(PEER, "notification received (6,2)")),
        (OPEN, Opened(PEER, 0xC0000202)),
        (EOR, EndOfRib(PEER, 6)),
        (WITHDRAW, Update(PEER, tuple(keys("11.1.0.0/16")), (), Attributes())),
        (IPV6, Update(PEER, (), tuple(keys("2a01:100::/32")), Attributes(parse_path("64600")))),
        (
            UPDATE,
            Update(
                PEER,
                (),
                tuple(keys("11.2.0.0/16", "11.3.0.0/16")),
                Attributes(parse_path("64600 3356 3356 {1299 2914}"), med=7),
            ),
        ),
        (SHUTDOWN, None),
        (b"done\n", None),
        (b"\n", None),
    ],
)
def test_what_exabgp_5_says(line: bytes, message: Message | None) -> None:
    assert parse(line) == message


@pytest.mark.parametrize(
    ("attribute", "path"),
    [
        ({"as-path": [3356, 1299]}, "3356 1299"),
        ({"as-path": [3356], "as-set": [1299, 2914], "confederation-path": []}, "3356 {1299 2914}"),
        ({"as-path": [3356], "confederation-path": [65001]}, "(65001) 3356"),
        ({"as-path": "3356 1299"}, "3356 1299"),
        ({"as-path": "[ 3356 1299 ]"}, "3356 1299"),
        ({"as-path": "3356 {1299 2914}"}, "3356 {1299 2914}"),
        ({"as-path": ""}, ""),
        (
            {"as-path": {"1": {"element": "as-set", "value": [9]}, "0": {"element": "as-sequence", "value": [3356]}}},
            "3356 {9}",
        ),
        ({"as-path": {}}, ""),
        ({}, ""),
    ],
)
def test_every_form_of_an_as_path_is_read(attribute: dict[str, Any], path: str) -> None:
    given = {"origin": "incomplete", "local-preference": 200, **attribute}
    line = update(
        {"update": {"attribute": given, "announce": {"ipv4 unicast": {"11.0.0.1": [{"nlri": "11.0.0.0/8"}]}}}}
    )
    message = parse(line)
    assert isinstance(message, Update)
    assert message.attributes == Attributes(parse_path(path), 200, Origin.INCOMPLETE)


@pytest.mark.parametrize("prefixes", [[{"nlri": "11.0.0.0/8"}], ["11.0.0.0/8"], {"11.0.0.0/8": {}}])
def test_every_form_of_prefixes_is_read(prefixes: Any) -> None:
    both = {
        "attribute": {},
        "announce": {"ipv4 unicast": {"11.0.0.1": prefixes}},
        "withdraw": {"ipv4 unicast": prefixes},
    }
    message = parse(update({"update": both}))
    assert isinstance(message, Update)
    assert message.announced == message.withdrawn == tuple(keys("11.0.0.0/8"))


def test_further_paths_of_a_prefix_and_other_families_are_passed_over() -> None:
    announce = {
        "ipv4 unicast": {"11.0.0.1": [{"nlri": "11.0.0.0/8", "path-information": "0.0.0.7"}]},
        "ipv4 flow": {"no-nexthop": [{"destination-ipv4": ["11.0.0.0/8"], "string": "flow"}]},
        "l2vpn vpls": {"11.0.0.1": [{"rd": "1:1"}]},
    }
    message = parse(update({"update": {"attribute": {}, "announce": announce}}))
    assert message == Update("11.0.0.1", (), (), Attributes())


def test_what_we_said_ourselves_is_passed_over() -> None:
    assert parse(update({"update": {"withdraw": {"ipv4 unicast": ["11.0.0.0/8"]}}}, direction="send")) is None


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"{}\n",
        b"[1, 2]\n",
        b'"exabgp"\n',
        b"\xff\xfe\n",
        UPDATE[:100],
        UPDATE.replace(b"11.2.0.0/16", b"11.2.0.0/99"),
        UPDATE.replace(b"3356", b'"x"'),
        UPDATE.replace(b"3356", b"-1"),
        UPDATE.replace(b"3356", b"4294967296"),
        UPDATE.replace(b'"igp"', b'"better"'),
        UPDATE.replace(b"as-sequence", b"as-sequins"),
        UPDATE.replace(b'"attribute"', b'"attributes"'),
        UPDATE.replace(b"10.97.0.2", b"a router"),
        update({}),
        update({"update": {"attribute": {}, "announce": []}}),
        update({"update": {"attribute": {}, "announce": {"ipv4 unicast": {"a": [7]}}}}),
        update(None),
        b'{"exabgp": "5.0.0", "type": "state", "neighbor": 7}',
        b"[" * 100_000,
        UPDATE.replace(b"11.2.0.0/16", b"2a00::%eth0/32"),
        *(
            update({"update": {**ANNOUNCED, "attribute": {"med": med}}})
            for med in (-1, 2**32, 1e30, 1.5, True, "9" * 5000)
        ),
        *(update({"update": {**ANNOUNCED, "attribute": {"local-preference": one}}}) for one in (-1, 2**32, None)),
    ],
)
def test_nonsense_is_refused(line: bytes) -> None:
    with pytest.raises(RouteError):
        parse(line)


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
)


@given(ANYTHING, some.sampled_from(["state", "open", "update", "notification", "x"]))
def test_no_json_does_more_than_be_refused(anything: Any, kind: str) -> None:
    for line in (
        update(anything, type=kind),
        update({"update": anything}),
        update({"update": {"announce": {"ipv4 unicast": anything}, "attribute": {}}}),
        update({"update": {"announce": {"ipv4 unicast": {"a": ["11.0.0.0/8"]}}, "attribute": {"as-path": anything}}}),
        json.dumps({"exabgp": "5", "type": kind, "neighbor": anything}).encode(),
    ):
        try:
            message = parse(line)
        except RouteError:
            continue
        assert message is None or isinstance(message, Message)
