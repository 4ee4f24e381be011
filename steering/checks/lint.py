"""What is wrong, or looks wrong, with the prefixes of sites: findings for the engineers of operator and ISP.

Looked at is what sites list, and what their ISPs announce as `nearcast steering routes dump` tells it. An error keeps
viewers from the site that should serve them; a warning may be meant so; a note is worth knowing.

Pure.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import msgspec

from config.steering import BgpSettings, SiteSettings
from steering.checks.registry import Space
from steering.prefixes.addresses import BITS, Prefix, parse_prefix, read_prefix, show_prefix
from steering.prefixes.listed import Listing
from steering.prefixes.table import Names
from steering.routes.filters import SPECIAL

# What a finding names of many prefixes.
_MOST_EXAMPLES = 3
# Shorter ones are of no single ISP; longer ones of a single household, or a single host.
_SHORTEST, _LONGEST = {4: 8, 6: 16}, {4: 30, 6: 64}

# Before the name of a session that is of no one appliance.
_SESSION = "session "
# Stands for a prefix in the reason why it is not believed, so that others have the same reason.
_THIS = "\0"
_NUMBER = re.compile("[0-9]+")  # what such reasons may differ in


class Severity(IntEnum):
    NOTE = 1
    WARNING = 2
    ERROR = 3


class Finding(msgspec.Struct, frozen=True):
    severity: Severity
    site: str  # "": of no single site
    check: str  # its name for programs: "unequal"
    text: str
    prefixes: int = 0  # how many it is about
    examples: tuple[str, ...] = ()


class Route(msgspec.Struct, frozen=True):
    """A line of the dump: a prefix that a session announced, and what became of it."""

    session: str
    site: str
    prefix: str
    appliance: str = ""
    as_path: str = ""
    accepted: bool = True
    reason: str = ""
    stale: bool = False


@dataclass
class Heard:
    """What sites' sessions announced, gathered."""

    sites: dict[Prefix, Names] = field(default_factory=dict)  # that a prefix was announced to and believed for
    hearers: dict[str, dict[str, set[Prefix]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    filtered: dict[str, dict[str, set[Prefix]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    stale: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))  # by site and session
    appliances: set[str] = field(default_factory=set)
    neighbours: dict[str, str] = field(default_factory=dict)  # of each session the AS on its other side
    silent: dict[str, str] = field(default_factory=dict)  # sessions that announced nothing, and their sites

    def counts(self) -> dict[str, int]:
        """How many prefixes each site was announced that are believed."""
        found: dict[str, int] = defaultdict(int)
        for names in self.sites.values():
            for name in names:
                found[name] += 1
        return found


def gather(routes: Iterable[Route], sessions: Iterable[BgpSettings] = ()) -> Heard:
    """`sessions` are those of the configuration: one that announced nothing has no line in the dump.

    Raises SitesError for what is no prefix.
    """
    heard, known = Heard(), dict[Names, Names]()
    for session in sessions:
        heard.silent[session.name] = session.site
        if session.peer_as:
            heard.neighbours[session.name] = str(session.peer_as)
        heard.hearers[session.site][_hearer(session.name, session.appliance)] = set()
        if session.appliance:
            heard.appliances.add(session.appliance)
    for route in routes:
        prefix = read_prefix(route.prefix) or parse_prefix(route.prefix, f"session {route.session!r}")
        site = route.site
        heard.silent.pop(route.session, None)
        if route.session not in heard.neighbours:
            heard.neighbours[route.session] = route.as_path.partition(" ")[0]
        heard.hearers[site][_hearer(route.session, route.appliance)].add(prefix)
        if route.appliance:
            heard.appliances.add(route.appliance)
        if route.stale:
            heard.stale[site, route.session] += 1
        if not route.accepted:
            heard.filtered[site][route.reason.replace(route.prefix, _THIS)].add(prefix)
            continue
        names = heard.sites.get(prefix, ())
        if site not in names:
            names += (site,)
            heard.sites[prefix] = known.setdefault(names, names)
    return heard


def _hearer(session: str, appliance: str) -> str:
    """Who is told: the appliances of a site must all be told the same."""
    return appliance or f"{_SESSION}{session}"


def lint(
    sites: Sequence[SiteSettings],
    default_site: str,
    listings: Iterable[Listing],
    heard: Heard | None = None,
    registry: Space | None = None,
) -> list[Finding]:
    """All findings, site by site in the order of the configuration, the gravest first.

    `listings` are all that sites list; `heard` is None where nobody told what is announced.
    """
    listed = _listed(listings)
    everything: dict[Prefix, Names] = {prefix: (site,) for prefix, site in listed.items()}
    if heard is not None:
        for prefix, names in heard.sites.items():
            lister = listed.get(prefix)
            everything[prefix] = names if lister is None or lister in names else (*names, lister)
    findings = [*_check_settings(sites, default_site), *_check_presence(sites, everything, heard)]
    findings += _check_lists(listed)
    findings += _check_space(listed, everything, registry)
    findings += _check_nesting(listed, heard.sites if heard is not None else {})
    if heard is not None:
        findings += _check_hearers(heard)
        findings += _check_filtered(heard)
        if len(sites) > 1:
            findings += _check_alternates(heard)
        findings += _check_names(sites, heard)
    findings += _check_server_subnets(sites, everything, heard)
    order = {name: place for place, name in enumerate(("", *(site.name for site in sites)))}
    return sorted(findings, key=lambda one: (order.get(one.site, len(order)), one.site, -one.severity, one.check))


def _listed(listings: Iterable[Listing]) -> dict[Prefix, str]:
    return {
        read_prefix(text) or parse_prefix(text, listing.where(position)): listing.site
        for listing in listings
        for position, text in enumerate(listing.prefixes)
    }


def _check_settings(sites: Sequence[SiteSettings], default_site: str) -> Iterator[Finding]:
    if sites and not default_site:
        yield Finding(
            Severity.WARNING, "", "default-site",
            "there is no default_site: clients that neither prefix nor geography places are at no site",
        )  # fmt: skip
    for site in sites:
        if (site.latitude, site.longitude) == (0, 0):
            yield Finding(
                Severity.WARNING, site.name, "coordinates",
                "has no latitude and longitude: clients without a prefix are never sent to it for being near",
            )  # fmt: skip


def _check_presence(
    sites: Sequence[SiteSettings], everything: Mapping[Prefix, Names], heard: Heard | None
) -> Iterator[Finding]:
    """Sites without any prefix, or without any of one IP version."""
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for (version, _, _), names in everything.items():
        for name in names:
            counts[name, version] += 1
    for site in sites:
        four, six = counts[site.name, 4], counts[site.name, 6]
        if not four and not six:
            where = "lists none"
            if heard is not None:
                told = any(heard.hearers.get(site.name, {}).values())
                where += ", and none that it was announced is believed" if told else " and was announced none"
            yield Finding(
                Severity.WARNING, site.name, "no-prefixes",
                f"has no prefix ({where}): only geography and default_site send clients to it",
            )  # fmt: skip
        elif not six:
            text = f"has {_count(four, 4)} and none of IPv6: its clients are sent elsewhere as soon as they use IPv6"
            yield Finding(Severity.WARNING, site.name, "no-ipv6", text, four)
        elif not four:
            text = f"has {_count(six, 6)} and none of IPv4: its clients are sent elsewhere as soon as they use IPv4"
            yield Finding(Severity.WARNING, site.name, "no-ipv4", text, six)


def _check_lists(listed: Mapping[Prefix, str]) -> Iterator[Finding]:
    """Prefixes of unusual length. What is announced is judged by the routes process."""
    kinds: dict[tuple[str, str], list[Prefix]] = defaultdict(list)
    for prefix, site in listed.items():
        version, _, length = prefix
        if not length:
            kinds[site, "default"].append(prefix)
        elif length < _SHORTEST[version]:
            kinds[site, "short"].append(prefix)
        elif length > _LONGEST[version]:
            kinds[site, "long"].append(prefix)
    texts = {
        "default": "lists {}: every client that no other prefix covers is its own",
        "short": "lists {}: more space than any single network has",
        "long": "lists {}: single households or hosts",
    }
    for (site, kind), prefixes in kinds.items():
        yield _about(Severity.WARNING, site, kind, texts[kind], prefixes)


def _check_space(
    listed: Mapping[Prefix, str], everything: Mapping[Prefix, Names], registry: Space | None
) -> Iterator[Finding]:
    special: dict[str, list[Prefix]] = defaultdict(list)
    unregistered: dict[str, list[Prefix]] = defaultdict(list)
    # Special space that is announced is believed only where the operator allowed it by name.
    for prefix, site in listed.items():
        if prefix[2] and SPECIAL.covers(prefix):
            special[site].append(prefix)
    if registry is not None:
        for prefix, names in everything.items():
            if prefix[2] and not registry.covers(prefix) and not SPECIAL.covers(prefix):
                for name in names:
                    unregistered[name].append(prefix)
    for site, prefixes in special.items():
        text = "lists {} of space that IANA reserves for a special purpose: seen from outside nobody is there"
        yield _about(Severity.WARNING, site, "special-purpose", text, prefixes)
    for site, prefixes in unregistered.items():
        text = "has {} of space that the registry has given to nobody"
        yield _about(Severity.ERROR, site, "unregistered", text, prefixes)


def _check_nesting(listed: Mapping[Prefix, str], announced: Mapping[Prefix, Names]) -> Iterator[Finding]:
    """Prefixes of a site inside those of others: their clients are at one of the two only.

    The longer one decides, but whatever was announced does before whatever is listed.
    """
    inside: dict[tuple[str, str], list[Prefix]] = defaultdict(list)
    around: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    routes, lists = _Covering(), _Covering()
    for prefix in sorted(listed.keys() | announced.keys()):
        route, names, lister = routes.around(prefix), announced.get(prefix), listed.get(prefix)
        others = route or lists.around(prefix)
        if names is None:
            assert lister is not None
            names, check = (lister,), "announced-elsewhere" if route else "overlap"
            lists.push(prefix, names)
        else:
            if lister is not None and lister not in names:
                inside[lister, "announced-elsewhere"].append(prefix)
                around[lister, "announced-elsewhere"][names[0]] += 1
            check = "more-specific"
            routes.push(prefix, names)
        if others and others is not names and set(names).isdisjoint(others):
            inside[names[0], check].append(prefix)
            around[names[0], check][others[0]] += 1
    texts = {
        "more-specific": "was announced {} inside those of %s: their clients are sent to %s",
        "overlap": "lists {} inside those of %s: their clients are sent to %s",
        "announced-elsewhere": "lists {} in space announced to %s: what is announced counts first, not the list of %s",
    }
    for (site, check), prefixes in inside.items():
        others_names = _names([other for other, _ in around[site, check].most_common()])
        yield _about(Severity.WARNING, site, check, texts[check] % (others_names, site), prefixes)


class _Covering:
    """Of prefixes that come sorted those that the next one is in."""

    def __init__(self) -> None:
        self._open: list[tuple[int, int, Names]] = []  # IP version, last address and sites, the longest prefix last

    def around(self, prefix: Prefix) -> Names:
        """The sites of the longest of them; nobody's, if there is none."""
        version, network, _ = prefix
        while self._open and self._open[-1][:2] < (version, network):
            self._open.pop()
        return self._open[-1][2] if self._open else ()

    def push(self, prefix: Prefix, names: Names) -> None:
        version, network, length = prefix
        if length:  # everything is in a default route
            self._open.append((version, network + (1 << BITS[version] - length) - 1, names))


def _check_hearers(heard: Heard) -> Iterator[Finding]:
    """What one appliance of a site was announced and another was not; or one session of a network, and another not.

    Of sessions with different networks each has its own prefixes.
    """
    for site, hearers in heard.hearers.items():
        for version in (4, 6):
            alike: dict[str | None, dict[str, set[Prefix]]] = defaultdict(dict)
            for hearer, prefixes in hearers.items():
                told = {prefix for prefix in prefixes if prefix[0] == version}
                if hearer in heard.appliances:
                    alike[None][hearer] = told
                elif told:  # many have a session for each IP version
                    alike[heard.neighbours.get(hearer.removeprefix(_SESSION), "")][hearer] = told
            for neighbour, group in alike.items():
                yield from _check_equal(site, version, group, are_appliances=neighbour is None)
    for (site, session), count in heard.stale.items():
        yield Finding(
            Severity.WARNING, site, "stale",
            f"session {session} is down: what it announced before still counts ({_plural(count)})", count,
        )  # fmt: skip
    for session, site in heard.silent.items():
        yield Finding(Severity.WARNING, site, "silent", f"session {session} announced nothing: is it up?")


def _check_equal(site: str, version: int, told: dict[str, set[Prefix]], *, are_appliances: bool) -> Iterator[Finding]:
    everything = set[Prefix]().union(*told.values())
    of_all = f"of the {len(everything):,} of IPv{version} that"
    for hearer, prefixes in told.items():
        lacking = everything - prefixes
        if lacking and are_appliances:
            text = f"{hearer} lacks {{}} {of_all} the site was announced: all its appliances need the same"
            yield _about(Severity.ERROR, site, "unequal", text, lacking)
        elif lacking:
            text = f"{hearer} lacks {{}} {of_all} its network announces to the site: they hang on its other sessions"
            yield _about(Severity.WARNING, site, "unequal", text, lacking)


def _check_filtered(heard: Heard) -> Iterator[Finding]:
    """What a site does not get, by reason; of reasons that differ in nothing but numbers one is told."""
    for site, reasons in heard.filtered.items():
        alike: dict[str, dict[Prefix, str]] = defaultdict(dict)
        for reason, prefixes in reasons.items():
            # What one session is not believed, another may be.
            lost = [prefix for prefix in prefixes if site not in heard.sites.get(prefix, ())]
            alike[_NUMBER.sub("", reason)].update(dict.fromkeys(lost, reason))
        for lost_for in filter(None, alike.values()):
            first = min(lost_for)
            why = lost_for[first].replace(_THIS, show_prefix(first)) or "no reason is known"
            many = ", for reasons such as" if len(set(lost_for.values())) > 1 else ""
            text = f"does not get {{}} announced to it{many}: {why}"
            yield _about(Severity.WARNING, site, "filtered", text, lost_for)


def _check_alternates(heard: Heard) -> Iterator[Finding]:
    alone: dict[str, list[Prefix]] = defaultdict(list)
    for prefix, names in heard.sites.items():
        if len(names) == 1:
            alone[names[0]].append(prefix)
    for site, prefixes in alone.items():
        text = "has {} that no other site was announced: if this one fails, geography says who serves the clients"
        yield _about(Severity.NOTE, site, "no-alternate", text, prefixes)


def _check_names(sites: Sequence[SiteSettings], heard: Heard) -> Iterator[Finding]:
    declared = {site.name for site in sites}
    for name in sorted(set(heard.hearers) - declared):
        count = len(set[Prefix]().union(*heard.hearers[name].values()))
        text = f"is not in the configuration, but was announced {_plural(count)}: nobody is sent there"
        yield Finding(Severity.ERROR, name, "unknown-site", text, count)


def _check_server_subnets(
    sites: Sequence[SiteSettings], everything: Mapping[Prefix, Names], heard: Heard | None
) -> Iterator[Finding]:
    """An appliance fills from others of its site, and they from it, where its own subnet is announced too."""
    for site in sites:
        for text in site.server_subnets:
            subnet = parse_prefix(text, f"site {site.name!r}, server_subnets")
            if not any(site.name in everything.get(covering, ()) for covering in _coverings(subnet)):
                what = "was announced" if heard is not None else "lists"
                said = (
                    f"the subnet of its appliances, {text}, is in no prefix that it {what}: others cannot fill from it"
                )
                yield Finding(Severity.ERROR, site.name, "server-subnet", said, 1, (text,))
        if heard is not None and site.name in heard.hearers and not site.server_subnets:
            said = "declares no server_subnets: whether they are announced is not known"
            yield Finding(Severity.NOTE, site.name, "server-subnet", said)


def _coverings(prefix: Prefix) -> Iterator[Prefix]:
    """The prefix, and all that it is in."""
    version, network, length = prefix
    for shorter in range(length, -1, -1):
        below = BITS[version] - shorter
        yield version, network >> below << below, shorter


def _about(severity: Severity, site: str, check: str, text: str, prefixes: Iterable[Prefix]) -> Finding:
    """`text` has a place for how many prefixes it is about."""
    found = sorted(prefixes)
    examples = tuple(map(show_prefix, found[:_MOST_EXAMPLES]))
    return Finding(severity, site, check, text.replace("{}", _plural(len(found)), 1), len(found), examples)


def _count(count: int, version: int) -> str:
    return f"{count:,} IPv{version} prefix{'' if count == 1 else 'es'}"


def _plural(count: int) -> str:
    return f"{count:,} prefix{'' if count == 1 else 'es'}"


def _names(names: Sequence[str]) -> str:
    """As many as a reader takes in."""
    more = len(names) - _MOST_EXAMPLES
    return ", ".join(names[:_MOST_EXAMPLES]) + (f" and {more:,} more" if more > 0 else "")
