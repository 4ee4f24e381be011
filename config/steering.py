"""What an operator decides about steering: the sites and who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import (
    ADDRESS,
    BYTES,
    DURATION,
    FLAG,
    HTTP_URL,
    INTEGER,
    NAME,
    NUMBER,
    OPTIONAL_PATH,
    PATH,
    RATE,
    SECRET,
    TEXT,
    choice,
    listing,
    setting,
    tables,
    url_of,
)


@dataclass(frozen=True)
class SiteSettings:
    name: str = setting(kind=NAME, help="The site's name, as its appliances give it.")
    isp: str = setting("", kind=TEXT, help="Whose network it stands in.")
    prefixes: tuple[str, ...] = setting("", kind=listing(TEXT), help="Prefixes whose clients this site serves.")
    prefix_files: tuple[Path, ...] = setting("", kind=listing(PATH), help="Files of more of them, one a line.")
    geofeed: Path | None = setting("", kind=OPTIONAL_PATH, help="Geofeed (RFC 8805) of more of them.")
    geofeed_places: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help='Only these places of it, such as "DE", "DE-BY" or "DE-BY/Munich".'
    )
    server_subnets: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Subnets of its appliances, which their own sessions have to announce."
    )
    latitude: float = setting("0", kind=NUMBER, help="Degrees north.")
    longitude: float = setting("0", kind=NUMBER, help="Degrees east.")
    facility: str = setting("", kind=TEXT, help="The building it stands in, if other sites share it.")
    peering: str = setting(
        "embedded", kind=choice("embedded", "private", "public"), help="How it reaches clients that are not its own."
    )
    cost: float = setting("0", kind=NUMBER, help="Price of its bytes to such clients; the cheaper are asked first.")
    uplink: int = setting("0 bit/s", kind=RATE, help="What its appliances may send in all; 0: no limit.")


@dataclass(frozen=True)
class CdnSettings:
    name: str = setting(kind=NAME, help="Its pathway's name.")
    url: str = setting(kind=HTTP_URL, help="Where it serves the origin's files.")
    price: float = setting("0", kind=NUMBER, help="Of its bytes; the cheaper are asked first.")
    weight: float = setting("1", kind=NUMBER, help="Its share of the sessions among those of its price.")


@dataclass(frozen=True)
class ExperimentSettings:
    name: str = setting(kind=NAME, help="The name of its cohort in decisions and metrics.")
    share: float = setting("0", kind=NUMBER, help="Which part of the sessions is in the cohort, 0 to 1.")
    pathways: int = setting("0", kind=INTEGER, help="Appliances in a manifest; 0: as for others.")
    ttl: int = setting("0", kind=INTEGER, help="Seconds between steering requests; 0: as for others.")
    weigh: str = setting(
        "spare", kind=choice("spare", "capacity"), help="What sets an appliance's share of the sessions."
    )
    nearness: str = setting("rtt", kind=choice("rtt", "distance"), help="What tells which of two sites is nearer.")


@dataclass(frozen=True)
class BgpSettings:
    """A BGP session; it only ever receives."""

    name: str = setting(kind=NAME, help="The session's name, in logs and reasons.")
    site: str = setting(kind=NAME, help="The site that its prefixes are announced to.")
    appliance: str = setting("", kind=TEXT, help="The appliance that it is announced to, where that matters.")
    source: str = setting(
        "listen",
        kind=choice("listen", "feed", "bird", "import"),
        help="listen: an ExaBGP of ours waits for it; feed: one of yours tells us; bird: a BIRD is asked; "
        "import: only what is imported.",
    )
    peer: str = setting("", kind=TEXT, help="Address of the ISP's router.")
    peer_as: int = setting("0", kind=INTEGER, help="The ISP's AS number.")
    local_address: str = setting("", kind=TEXT, help="Our address of the session.")
    local_as: int = setting("0", kind=INTEGER, help="Our AS number.")
    port: int = setting("179", kind=INTEGER, help="Where we listen.")
    password: str = setting("", kind=SECRET, help="TCP MD5 password (RFC 2385); none: without.")
    ttl_security: bool = setting(
        "false", kind=FLAG, help="Only a neighbour one hop away is heard (RFC 5082); for all of a local address."
    )
    prefix_limit_v4: int = setting("2000000", kind=INTEGER, help="IPv4 prefixes that the session may announce.")
    prefix_limit_v6: int = setting("1000000", kind=INTEGER, help="IPv6 prefixes that the session may announce.")
    over_limit: str = setting(
        "refuse", kind=choice("refuse", "drop"), help="Over a limit: refuse what is more, or drop the whole session."
    )
    hold_routes: float = setting("24h", kind=DURATION, help="For how long routes stay when the session is down.")
    shortest_v4: int = setting("8", kind=INTEGER, help="Shortest IPv4 prefix that is believed.")
    longest_v4: int = setting("24", kind=INTEGER, help="Longest IPv4 prefix that is believed.")
    shortest_v6: int = setting("16", kind=INTEGER, help="Shortest IPv6 prefix that is believed.")
    longest_v6: int = setting("48", kind=INTEGER, help="Longest IPv6 prefix that is believed.")
    allow: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Only these prefixes and what is inside, special-purpose space too; none: all."
    )
    bird_socket: Path | None = setting("", kind=OPTIONAL_PATH, help="BIRD's control socket.")
    bird_protocol: str = setting("", kind=TEXT, help="Only routes of this BIRD protocol; none: the best of all.")
    bird_every: float = setting("15s", kind=DURATION, help="Time between two questions to BIRD.")


@dataclass(frozen=True)
class SteeringSettings:
    listen: tuple[str, int] = setting("127.0.0.1:8060", kind=ADDRESS, help="Address of page, manifests and reports.")
    workers: int = setting(
        "1", kind=INTEGER, help="Processes that answer there, each a replica; 0 is one for each core."
    )
    url: str = setting("", kind=HTTP_URL, help="How players reach it; default what they asked.")
    origin: str = setting(
        "http://127.0.0.1:8070", kind=HTTP_URL, help="Catalog, and the last pathway of every session."
    )
    database: str = setting(
        "sqlite:////var/lib/nearcast/steering.sqlite",
        kind=url_of("sqlite", "postgresql"),
        help="Keeps the fleet over a restart.",
    )
    geo: Path | None = setting("", kind=OPTIONAL_PATH, help="MaxMind database for clients that no prefix covers.")
    default_site: str = setting("", kind=TEXT, help="Site for clients that neither prefix nor geography places.")
    ttl: int = setting("10", kind=INTEGER, help="Seconds between a player's steering requests.")
    lost_after: float = setting("6s", kind=DURATION, help="An appliance silent for longer is lost.")
    believe_for: float = setting(
        "1h", kind=DURATION, help="How long the last reports are believed when all stop at once."
    )
    largest_capacity: int = setting("1 Tbit/s", kind=RATE, help="No appliance is believed to serve more.")
    canaries: tuple[str, ...] = setting(
        "", kind=listing(NAME), help="Appliances on trial, which few sessions are sent to first."
    )
    canary_share: float = setting("0.05", kind=NUMBER, help="Which part of the sessions that may be, 0 to 1.")
    pathways: int = setting("3", kind=INTEGER, help="Appliances in a session's manifest, before the origin.")
    poll_every: float = setting("2s", kind=DURATION, help="Time between looks at the origin's catalog.")
    trusted_proxies: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Prefixes of proxies whose X-Forwarded-For is believed."
    )
    session_key: str = setting(
        "", kind=SECRET, help="Secret that signs sessions, the same on all replicas; else random."
    )
    token_keys: Path | None = setting(
        "", kind=OPTIONAL_PATH, help="JWK Set of the appliances' access tokens; sessions get one of its first key."
    )
    token_life: float = setting("12h", kind=DURATION, help="How long a session's access token lasts; at least 2 films.")
    token_issuer: str = setting("", kind=TEXT, help="The issuer that access tokens name, if appliances ask for one.")
    token_audience: str = setting("", kind=TEXT, help="The audience that they name.")
    decision_log: Path | None = setting("", kind=OPTIONAL_PATH, help="Where decisions are logged; none: they are not.")
    log_size: int = setting("1 GiB", kind=BYTES, help="The log is moved away when it is larger, or a day old.")
    log_keep: int = setting("14", kind=INTEGER, help="How many old logs are kept besides; 0: never moved.")
    journal: Path | None = setting(
        "", kind=OPTIONAL_PATH, help="Folder where what steering knows is kept, for explain --at and replay."
    )
    journal_keep: float = setting("7d", kind=DURATION, help="For how long.")
    control: str = setting("", kind=HTTP_URL, help="Demo control that the page's stop buttons ask.")
    origin_serves_players: bool = setting("true", kind=FLAG, help="Whether the origin is a pathway beside others.")
    cdn_pathways: int = setting("1", kind=INTEGER, help="CDNs in a session's manifest, after the appliances.")
    cdns: tuple[CdnSettings, ...] = setting(
        (), kind=tables(CdnSettings), help="Other CDNs, asked before the origin.", of=CdnSettings
    )
    experiments: tuple[ExperimentSettings, ...] = setting(
        (), kind=tables(ExperimentSettings), help="What is tried on a part of the sessions.", of=ExperimentSettings
    )
    routes: Path | None = setting("", kind=OPTIONAL_PATH, help="Table of the prefixes that ISPs announce over BGP.")
    routes_listen: tuple[str, int] = setting(
        "127.0.0.1:8061", kind=ADDRESS, help="Address of the routes process: its state, its metrics, imports."
    )
    own_prefixes: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Our own prefixes: a route inside them is nobody's to announce."
    )
    vrps: Path | None = setting("", kind=OPTIONAL_PATH, help="JSON of an RPKI validator; invalid routes are refused.")
    vrps_max_age: float = setting("24h", kind=DURATION, help="A file of the validator that is older is not believed.")
    always_compare_med: bool = setting("false", kind=FLAG, help="Compare MEDs of different neighbours as well.")
    bgp: tuple[BgpSettings, ...] = setting((), kind=tables(BgpSettings), help="The BGP sessions.", of=BgpSettings)
    sites: tuple[SiteSettings, ...] = setting((), kind=tables(SiteSettings), help="The sites.", of=SiteSettings)
