from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from steering.errors import RouteError
from steering.routes.route import pack
from steering.routes.vrps import Validity, Vrps, decode
from tests.steering.routes.values import key, prefix

VRPS = Vrps([(key("11.0.0.0/16"), 20, 3356), (key("11.0.0.0/16"), 16, 1299), (key("2a00::/32"), 48, 0)])


@pytest.mark.parametrize(
    ("text", "origin", "validity"),
    [
        ("11.0.0.0/16", 3356, Validity.VALID),
        ("11.0.16.0/20", 3356, Validity.VALID),
        ("11.0.16.0/21", 3356, Validity.INVALID),
        ("11.0.0.0/16", 1299, Validity.VALID),
        ("11.0.0.0/17", 1299, Validity.INVALID),
        ("11.0.0.0/16", 2914, Validity.INVALID),
        ("11.0.0.0/16", None, Validity.INVALID),  # a set originates it
        ("11.0.0.0/15", 3356, Validity.NOT_FOUND),
        ("11.1.0.0/16", 3356, Validity.NOT_FOUND),
        ("2a00::/32", 0, Validity.INVALID),  # AS 0 lets nobody, not even itself
        ("2a00::/48", 3356, Validity.INVALID),
        ("2a01::/32", 3356, Validity.NOT_FOUND),
    ],
)
def test_a_route_is_valid_if_a_payload_that_covers_it_says_so(text: str, origin: int, validity: Validity) -> None:
    assert VRPS.validity(prefix(text), origin) is validity


NETWORKS = some.builds(
    lambda bits, length: (4, bits >> (4 - length) << (4 - length) << 28, length),
    some.integers(0, 15),
    some.integers(0, 4),
)


@given(
    some.lists(some.tuples(NETWORKS, some.integers(0, 3), some.integers(0, 2))),
    some.lists(some.tuples(NETWORKS, some.integers(1, 2))),
)
def test_validity_is_what_the_rfcs_definition_says(
    payloads: list[tuple[tuple[int, int, int], int, int]], routes: list[tuple[tuple[int, int, int], int]]
) -> None:
    vrps = Vrps((pack(*network), network[2] + more, asn) for network, more, asn in payloads)
    for (version, network, length), origin in routes:
        covering = [
            (found, longest + found[2], asn)
            for found, longest, asn in payloads
            if found[2] <= length and network >> (32 - found[2]) == found[1] >> (32 - found[2])
        ]
        matches = any(length <= longest and asn == origin for _, longest, asn in covering)
        expected = Validity.VALID if matches else Validity.INVALID if covering else Validity.NOT_FOUND
        assert vrps.validity((version, network, length), origin) is expected


ROA = {"prefix": "11.0.0.0/16", "maxLength": 20}
FORMS: dict[str, dict[str, Any]] = {
    "rpki-client": {
        "metadata": {"buildmachine": "a", "buildtime": "2026-10-01T00:00:00Z", "roas": 1},
        "roas": [{**ROA, "asn": 3356, "ta": "ripe", "expires": 1790899200}],
    },
    "routinator": {
        "metadata": {"generated": 1790812800, "generatedTime": "2026-10-01T00:00:00Z"},
        "roas": [{**ROA, "asn": "AS3356", "ta": "ripe"}],
    },
    "stayrtr": {
        "metadata": {"counts": 1, "generated": 1790812800, "valid": 1790899200},
        "roas": [{**ROA, "asn": 3356}],
    },
}


@pytest.mark.parametrize("validator", FORMS)
def test_every_validators_form_is_read(validator: str) -> None:
    vrps = decode(json.dumps(FORMS[validator]).encode())
    assert vrps.count == 1
    assert vrps.written_at == 1790812800
    assert vrps.validity(prefix("11.0.0.0/20"), 3356) is Validity.VALID


def test_a_payload_without_a_longest_length_is_of_its_own() -> None:
    vrps = decode(b'{"roas": [{"asn": 3356, "prefix": "11.0.0.0/16"}]}')
    assert vrps.validity(prefix("11.0.0.0/17"), 3356) is Validity.INVALID
    assert vrps.written_at is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no VRPs"),
        (b"[]", "no VRPs"),
        (b"{}", "roas"),
        (b'{"roas": [{"asn": 3356}]}', "prefix"),
        (b'{"roas": [{"asn": "ASx", "prefix": "11.0.0.0/8"}]}', r"roas\[0\]"),
        (b'{"roas": [{"asn": 1, "prefix": "11.0.0.0/8"}, {"asn": 1, "prefix": "11.0.0.1/8"}]}', r"roas\[1\]"),
        (b'{"roas": [{"asn": 1, "prefix": "11.0.0.0/8", "maxLength": 7}]}', "makes no sense"),
        (b'{"roas": [{"asn": -1, "prefix": "11.0.0.0/8"}]}', "makes no sense"),
        (b"\xff\xfe", "no VRPs"),
        (b'{"roas": [], "metadata": {"x": ' + b"[" * 100_000, "no VRPs"),
        (b'{"roas": [], "metadata": {"buildtime": ' + b"9" * 400 + b"}}", "buildtime"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(text: bytes, reason: str) -> None:
    with pytest.raises(RouteError, match=reason):
        decode(text)
