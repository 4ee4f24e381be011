"""What is found wrong with prefixes, and that nothing is where nothing is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.steering import BgpSettings, SiteSettings
from steering.checks.lint import Finding, Heard, Route, Severity, gather, lint
from steering.checks.registry import parse_registry
from steering.errors import SitesError
from steering.placement.geography import Geography
from steering.placement.sites import Sites
from steering.prefixes.addresses import Prefix, covering, read_prefix, show_address, show_prefix
from steering.prefixes.entries import Entries
from steering.prefixes.listed import Listing
from tests.steering.tables import like_bgp

SITES = ("north", "south", "west")
names = st.sampled_from(SITES)
# So few and so short that most are inside others.
crowded = st.builds(
    lambda number, length: covering((4, 20 << 24 | number << 16), length), st.integers(0, 255), st.integers(8, 13)
)
# Space that is not special: the findings of special space would be in everybody's way.
V4, V6 = "20.0.0.0/16", "2a00::/32"


def site(name: str = "north", *prefixes: str, **settings: object) -> SiteSettings:
    fields = {"latitude": 59.9, "longitude": 10.7, "server_subnets": (), **settings}
    return SiteSettings(name=name, prefixes=prefixes, **fields)  # type: ignore[arg-type]


def route(prefix: str, site: str = "north", appliance: str = "", session: str = "", **more: object) -> Route:
    return Route(session or f"{site}-{appliance or 'isp'}", site, prefix, appliance, **more)  # type: ignore[arg-type]


def heard(*routes: Route) -> Heard:
    return gather(routes)


def found(
    sites: Iterable[SiteSettings], heard: Heard | None = None, registry: str = "", default: str = "north"
) -> list[Finding]:
    declared = list(sites)
    space = parse_registry("registry", registry) if registry else None
    return lint(declared, default, [Listing(one.name, one.prefixes) for one in declared], heard, space)


def only(findings: list[Finding], check: str) -> Finding:
    (finding,) = [one for one in findings if one.check == check]
    return finding


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    routes = [
        route(prefix, name, appliance) for prefix in (V4, V6) for name, appliance in (
            ("north", "n1"), ("north", "n2"), ("south", "s1")
        )
    ]  # fmt: skip
    sites = [site("north", server_subnets=("20.0.1.0/28",)), site("south", server_subnets=("2a00::/64",))]
    assert found(sites, heard(*routes), f"{V4}\n{V6}") == []
    assert found([site("north", V4, V6)]) == []


@pytest.mark.parametrize(
    ("routes", "text", "examples"),
    [
        (
            [route(V4, appliance="n1"), route(V4, appliance="n2"), route("20.1.0.0/16", appliance="n1")],
            "n2 lacks 1 prefix of the 2 of IPv4 that the site was announced: all its appliances need the same",
            ("20.1.0.0/16",),
        ),
        (
            [route(V4, appliance="n1"), route(V4, appliance="n2"), route(V6, appliance="n1")],
            "n2 lacks 1 prefix of the 1 of IPv6 that the site was announced: all its appliances need the same",
            (V6,),
        ),
        (  # what one of them was announced and is not believed was announced all the same
            [
                route(V4, appliance="n1"),
                route("20.1.0.0/25", appliance="n1", accepted=False),
                route(V4, appliance="n2"),
            ],
            "n2 lacks 1 prefix of the 2 of IPv4 that the site was announced: all its appliances need the same",
            ("20.1.0.0/25",),
        ),
    ],
)
def test_appliances_of_a_site_that_were_announced_different_prefixes(
    routes: list[Route], text: str, examples: tuple[str, ...]
) -> None:
    finding = only(found([site()], heard(*routes)), "unequal")
    assert (finding.severity, finding.site, finding.text) == (Severity.ERROR, "north", text)
    assert finding.examples == examples


def test_sessions_of_one_appliance_are_heard_together() -> None:
    routes = [route(V4, appliance="n1", session="a"), route(V6, appliance="n1", session="b")]
    assert "unequal" not in checks(
        found([site()], heard(*routes, route(V4, appliance="n2"), route(V6, appliance="n2")))
    )


def test_a_session_for_each_ip_version_is_no_difference() -> None:
    routes = [route(V4, session="four"), route(V6, session="six")]
    assert "unequal" not in checks(found([site()], heard(*routes)))
    routes.append(route("20.1.0.0/16", session="another"))
    unequal = [one.text for one in found([site()], heard(*routes)) if one.check == "unequal"]
    assert [text.partition(" lacks")[0] for text in unequal] == ["session four", "session another"]


def test_a_session_lacks_what_others_of_its_network_announce_and_nothing_of_other_networks() -> None:
    routes = [
        route("20.0.0.0/16", session="a", as_path="3001 3002"), route("20.1.0.0/16", session="a", as_path="3001"),
        route("20.0.0.0/16", session="b", as_path="3001"), route("20.2.0.0/16", session="c", as_path="3003"),
    ]  # fmt: skip
    finding = only(found([site()], heard(*routes)), "unequal")
    assert (finding.severity, finding.text) == (
        Severity.WARNING,
        "session b lacks 1 prefix of the 2 of IPv4 that its network announces to the site: they hang on its other "
        "sessions",
    )


def test_routes_of_many_networks_over_route_servers_are_compared_by_server() -> None:
    sessions = [BgpSettings(name=name, site="north", peer_as=3000) for name in ("a", "b")]
    routes = [route(V4, session="a", as_path="3001"), route("20.1.0.0/16", session="b", as_path="3002")]
    assert checks(found([site()], gather(routes, sessions))).count("unequal") == 2


def checks(findings: list[Finding]) -> list[str]:
    return [one.check for one in findings]


@pytest.mark.parametrize(
    ("listed", "check", "text"),
    [
        (
            [V4],
            "no-ipv6",
            "has 1 IPv4 prefix and none of IPv6: its clients are sent elsewhere as soon as they use IPv6",
        ),
        (
            [V6],
            "no-ipv4",
            "has 1 IPv6 prefix and none of IPv4: its clients are sent elsewhere as soon as they use IPv4",
        ),
        ([], "no-prefixes", "has no prefix (lists none): only geography and default_site send clients to it"),
    ],
)
def test_a_site_that_lacks_prefixes(listed: list[str], check: str, text: str) -> None:
    finding = only(found([site("north", *listed)]), check)
    assert (finding.severity, finding.text) == (Severity.WARNING, text)


@pytest.mark.parametrize(
    ("prefix", "check"),
    [
        ("0.0.0.0/0", "default"),
        ("16.0.0.0/7", "short"),
        ("2a00::/12", "short"),
        ("20.0.0.1/32", "long"),
        ("2a00::1/128", "long"),
        ("10.0.0.0/8", "special-purpose"),
        ("fd00::/32", "special-purpose"),
    ],
)
def test_a_list_of_odd_prefixes(prefix: str, check: str) -> None:
    finding = only(found([site("north", V4, V6, prefix)]), check)
    assert (finding.severity, finding.prefixes, finding.examples) == (Severity.WARNING, 1, (prefix,))


def test_special_space_that_a_session_is_allowed_to_announce_is_meant_so() -> None:
    assert "special-purpose" not in checks(found([site()], heard(route("100.64.0.0/10"), route(V6))))


def test_a_server_subnet_that_is_not_announced() -> None:
    north = site(server_subnets=("20.0.1.0/28", "20.9.0.0/28"))
    finding = only(found([north], heard(route(V4), route(V6))), "server-subnet")
    assert finding.severity is Severity.ERROR
    assert finding.examples == ("20.9.0.0/28",)
    assert finding.text.startswith("the subnet of its appliances, 20.9.0.0/28, is in no prefix that it was announced")


def test_server_subnets_that_nobody_declared_are_noted() -> None:
    assert only(found([site()], heard(route(V4), route(V6))), "server-subnet").severity is Severity.NOTE


def test_a_more_specific_prefix_at_another_site_moves_clients() -> None:
    routes = [route(V4), route("20.0.1.0/24", "south"), route("20.0.2.0/24", "south"), route("20.0.2.0/25", "south")]
    finding = only(found([site("north"), site("south")], heard(*routes)), "more-specific")
    assert (finding.severity, finding.site, finding.prefixes) == (Severity.WARNING, "south", 2)
    assert finding.text == "was announced 2 prefixes inside those of north: their clients are sent to south"


def test_a_more_specific_prefix_that_both_were_announced_moves_nobody() -> None:
    routes = [route(V4), route("20.0.1.0/24", "south"), route("20.0.1.0/24")]
    assert "more-specific" not in checks(found([site("north"), site("south")], heard(*routes)))


def test_lists_that_overlap() -> None:
    finding = only(found([site("north", V4, V6), site("south", "20.0.1.0/24", "2a01::/32")]), "overlap")
    assert (finding.site, finding.examples) == ("south", ("20.0.1.0/24",))


def test_a_listed_prefix_that_another_site_was_announced() -> None:
    finding = only(found([site("north", V4), site("south")], heard(route(V4, "south"))), "announced-elsewhere")
    assert finding.text == (
        "lists 1 prefix in space announced to south: what is announced counts first, not the list of north"
    )


def test_a_listed_prefix_inside_one_that_another_site_was_announced_is_not_the_lists_to_place() -> None:
    findings = found([site("north", "20.0.1.0/24"), site("south")], heard(route(V4, "south"), route(V6, "south")))
    assert only(findings, "announced-elsewhere").examples == ("20.0.1.0/24",)
    assert "overlap" not in checks(findings)


def test_a_prefix_announced_inside_one_that_another_site_lists_moves_clients() -> None:
    findings = found([site("north", V4), site("south")], heard(route("20.0.1.0/24", "south"), route(V6, "south")))
    assert only(findings, "more-specific").text.startswith("was announced 1 prefix inside those of north")


def test_space_that_the_registry_gave_nobody() -> None:
    finding = only(found([site("north", V4, V6)], registry="20.0.0.0/17\n2a00::/16"), "unregistered")
    assert (finding.severity, finding.examples) == (Severity.ERROR, (V4,))


def test_prefixes_that_only_one_site_was_announced_are_noted() -> None:
    routes = [route(V4), route(V6), route(V6, "south")]
    finding = only(found([site("north"), site("south")], heard(*routes)), "no-alternate")
    assert (finding.severity, finding.site, finding.examples) == (Severity.NOTE, "north", (V4,))


def test_what_is_not_believed_is_told_by_reason() -> None:
    def filtered(prefix: str, reason: str) -> Route:
        return route(prefix, accepted=False, reason=reason)

    routes = [
        filtered("10.1.0.0/16", "10.1.0.0/16 is in space {of} nobody"),
        filtered("10.0.0.0/16", "10.0.0.0/16 is in space {of} nobody"),
        filtered("0.0.0.0/0", "0.0.0.0/0 is a default route"),
        filtered("20.0.0.0/24", "our own AS 64500 is in its path"),
    ]
    texts = [one.text for one in found([site()], heard(route(V4), *routes)) if one.check == "filtered"]
    assert texts == [
        "does not get 2 prefixes announced to it: 10.0.0.0/16 is in space {of} nobody",
        "does not get 1 prefix announced to it: 0.0.0.0/0 is a default route",
        "does not get 1 prefix announced to it: our own AS 64500 is in its path",
    ]


def test_reasons_that_differ_in_numbers_only_are_told_once() -> None:
    routes = [
        route(f"20.1.{n}.0/24", accepted=False, session=session, reason=f"20.1.{n}.0/24 is not of AS {3000 + n}")
        for n in range(50) for session in ("a", "b")
    ]  # fmt: skip
    finding = only(found([site()], heard(*routes)), "filtered")
    assert finding.text == (
        "does not get 50 prefixes announced to it, for reasons such as: 20.1.0.0/24 is not of AS 3000"
    )
    assert finding.examples == ("20.1.0.0/24", "20.1.1.0/24", "20.1.2.0/24")


def test_what_another_session_is_believed_is_not_lost() -> None:
    routes = [route(V4, session="a", accepted=False, reason="our own AS 64500 is in its path"), route(V4, session="b")]
    assert "filtered" not in checks(found([site()], heard(*routes)))


@pytest.mark.parametrize(
    ("routes", "where"),
    [
        ([], "lists none and was announced none"),
        ([route("10.0.0.0/8", accepted=False)], "lists none, and none that it was announced is believed"),
    ],
)
def test_a_site_that_gets_no_prefix_is_told_why(routes: list[Route], where: str) -> None:
    text = only(found([site()], heard(*routes)), "no-prefixes").text
    assert text == f"has no prefix ({where}): only geography and default_site send clients to it"


def test_a_site_whose_listed_prefix_another_was_announced_still_lists_it() -> None:
    findings = found([site("north", V4, V6), site("south")], heard(route(V4, "south"), route(V6, "south")))
    assert [one.check for one in findings if one.site == "north"] == ["announced-elsewhere"]


def test_an_appliance_whose_session_announced_nothing_lacks_all() -> None:
    sessions = [BgpSettings(name=f"to-{name}", site="north", appliance=name) for name in ("n1", "n2")]
    routes = [route(prefix, appliance="n1", session="to-n1") for prefix in (V4, V6)]
    findings = found([site()], gather(routes, sessions))
    assert [one.text for one in findings if one.check == "unequal"] == [
        f"n2 lacks 1 prefix of the 1 of IPv{version} that the site was announced: all its appliances need the same"
        for version in (4, 6)
    ]
    assert only(findings, "silent").text == "session to-n2 announced nothing: is it up?"


def test_of_a_single_site_there_is_no_alternate_to_miss() -> None:
    assert "no-alternate" not in checks(found([site()], heard(route(V4), route(V6))))


def test_a_session_that_is_down() -> None:
    routes = [route(V4, stale=True, session="isp"), route(V6, session="isp")]
    finding = only(found([site()], heard(*routes)), "stale")
    assert finding.text == "session isp is down: what it announced before still counts (1 prefix)"


def test_a_dump_of_a_site_that_is_not_declared() -> None:
    finding = only(found([site("north", V4, V6)], heard(route(V4), route("20.1.0.0/16", "west"))), "unknown-site")
    assert (finding.severity, finding.site) == (Severity.ERROR, "west")


def test_what_the_configuration_lacks() -> None:
    findings = found([site("north", V4, V6, latitude=0.0, longitude=0.0)], default="")
    assert [(one.site, one.check) for one in findings] == [("", "default-site"), ("north", "coordinates")]


def test_a_dump_with_nonsense_for_a_prefix_is_refused() -> None:
    with pytest.raises(SitesError, match="session 'north-isp': found 'everything', expected a prefix"):
        heard(route("everything"))


def test_findings_come_site_by_site_the_gravest_first() -> None:
    routes = heard(route(V4, "south"), route("20.0.1.0/24", "north", "n1"), route(V6, "north", "n2"))
    findings = found([site("south"), site("north")], routes, default="")
    assert [one.site for one in findings] == sorted((one.site for one in findings), key=["", "south", "north"].index)
    north = [one.severity for one in findings if one.site == "north"]
    assert north == sorted(north, reverse=True)


@given(st.dictionaries(crowded, names, max_size=6), st.dictionaries(crowded, names, max_size=4))
def test_clients_are_where_findings_of_nested_prefixes_say(
    listed: dict[Prefix, str], routes: dict[Prefix, str]
) -> None:
    sites = [
        site(name, *(show_prefix(prefix) for prefix, lister in listed.items() if lister == name)) for name in SITES
    ]
    entries = Entries()
    entries.change({prefix: (name,) for prefix, name in routes.items()})
    placed = Sites(sites, routes=entries.table())
    for finding in found(sites, heard(*(route(show_prefix(prefix), name) for prefix, name in routes.items()))):
        if finding.check not in ("more-specific", "overlap", "announced-elsewhere"):
            continue
        for prefix in map(read_prefix, finding.examples):
            assert prefix is not None
            client = show_address(prefix[:2])
            if not any(covering(prefix[:2], length) in {*listed, *routes} for length in range(prefix[2] + 1, 33)):
                at = placed.place(client, Geography(None)).site
                assert (at == finding.site) is (finding.check != "announced-elsewhere")


def test_more_specific_prefixes_are_found_as_by_looking_at_each() -> None:
    known = like_bgp(random.Random(3), 2000, 4, [("a",), ("b",), ("c",)])
    routes = [route(show_prefix(prefix), names[0]) for prefix, names in known.items()]
    moved = 0
    for (version, network, length), names in known.items():
        around = [(version, network >> 32 - bits << 32 - bits, bits) for bits in range(length)]
        covering = [known[prefix] for prefix in around if prefix in known]
        moved += bool(covering) and covering[-1] != names
    findings = found([site("a"), site("b"), site("c")], heard(*routes), default="a")
    assert sum(one.prefixes for one in findings if one.check == "more-specific") == moved > 100
