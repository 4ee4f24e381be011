from __future__ import annotations

import pytest

from steering.errors import DumpError
from steering.routes.bird_text import is_end, is_established, plain_lines, read_routes
from steering.routes.route import Attributes, Origin, parse_path
from tests.steering.routes.values import key

# As BIRD 2.0.12 prints it.
TEXT = """\
BIRD 2.0.12 ready.
Table master4:
11.2.0.0/16          unicast [isp1 19:19:08.640] * (100) [AS3356i]
\tvia 10.97.0.2 on eth0
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 64600 3356 {1299 2914}
\tBGP.next_hop: 10.97.0.2
\tBGP.med: 7
\tBGP.local_pref: 200
\tBGP.community: (65000,1)
                     unicast [isp2 2026-11-20 from 10.97.0.3] (100) [AS3356?]
\tvia 10.97.0.3 on eth0
\tType: BGP univ
\tBGP.origin: Incomplete
\tBGP.as_path: 1299 3356
\tBGP.local_pref: 100
11.3.0.0/24          blackhole [static1 19:19:08.640] * (200)
\tType: static univ

Table master6:
2a01:100::/32        unicast [isp1 19:19:08.640] * (100) [AS64600i]
\tvia fe80::1 on eth0
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 64600
\tBGP.local_pref: 100
""".splitlines()


def test_the_best_route_of_each_prefix_is_read() -> None:
    assert read_routes(TEXT) == {
        key("11.2.0.0/16"): Attributes(parse_path("64600 3356 {1299 2914}"), 200, Origin.IGP, 7),
        key("11.3.0.0/24"): Attributes(),
        key("2a01:100::/32"): Attributes(parse_path("64600")),
    }


def test_of_one_protocol_only_its_routes_are_read() -> None:
    assert read_routes(TEXT, "isp2") == {
        key("11.2.0.0/16"): Attributes(parse_path("1299 3356"), 100, Origin.INCOMPLETE)
    }


def test_the_control_sockets_answer_is_the_same_with_codes_before() -> None:
    answer = [
        "1007-Table master4:",
        " 11.2.0.0/16          unicast [isp1 19:19:08.640] * (100) [AS3356i]",
        " \tvia 10.97.0.2 on eth0",
        "1008-\tType: BGP univ",
        "1012-\tBGP.origin: IGP",
        " \tBGP.as_path: 64600 3356",
        "1007-",
        " Table master6:",
        "0000 ",
    ]
    assert [is_end(line) for line in answer] == [False] * 8 + [True]
    assert read_routes(plain_lines(answer)) == {key("11.2.0.0/16"): Attributes(parse_path("64600 3356"))}


@pytest.mark.parametrize(
    ("lines", "protocol", "expected"),
    [
        (["isp1  BGP  ---  up  20:44:08  Established"], "", True),
        (["isp1  BGP  ---  start  20:44:08  Active", "isp2  BGP  ---  up  20:44:08  Established"], "", True),
        (["isp1  BGP  ---  start  20:44:08  Active", "isp2  BGP  ---  up  20:44:08  Established"], "isp1", False),
        (["isp1  BGP  ---  down  20:44:08"], "", False),
        (["static1  Static  master4  up  20:44:08"], "", True),  # no BGP session at all, so none that dropped
        (["static1  Static  master4  up  20:44:08"], "static1", True),
        (["Name  Proto  Table  State  Since  Info", "", "x"], "", True),
        (["device1  Device  ---  up  20:44:08"], "isp1", False),
    ],
)
def test_a_bird_has_routes_to_tell_while_a_session_of_it_is_up(lines: list[str], protocol: str, expected: bool) -> None:
    assert is_established(lines, protocol) is expected


@pytest.mark.parametrize("line", ["9001 syntax error, unexpected CF_SYM_UNDEFINED", "8003 No protocols match"])
def test_a_refusal_of_bird_is_an_error(line: str) -> None:
    assert is_end(line)
    with pytest.raises(DumpError, match="BIRD answered"):
        list(plain_lines([line]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("what is this", "line 1"),
        ("11.0.0.0/99          unicast [isp1 19:19:08.640] * (100)", "line 1: found '11.0.0.0/99'"),
        ("                     unicast [isp1 19:19:08.640] * (100)", "before any prefix"),
    ],
)
def test_what_is_no_route_is_refused_with_its_line(line: str, reason: str) -> None:
    with pytest.raises(DumpError, match=reason):
        read_routes([line])


@pytest.mark.parametrize("wrong", ["BGP.as_path: 64600 x", "BGP.local_pref: high", "BGP.origin: Better", "BGP.med: -"])
def test_an_attribute_that_cannot_be_read_is_refused_with_its_line(wrong: str) -> None:
    with pytest.raises(DumpError, match="line 3"):
        read_routes([*TEXT[:3], f"\t{wrong}"])
