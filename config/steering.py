"""What an operator decides about steering: the sites and who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import (
    ADDRESS,
    BYTES,
    DURATION,
    HTTP_URL,
    INTEGER,
    NAME,
    NUMBER,
    OPTIONAL_PATH,
    SECRET,
    TEXT,
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
    latitude: float = setting("0", kind=NUMBER, help="Degrees north.")
    longitude: float = setting("0", kind=NUMBER, help="Degrees east.")


@dataclass(frozen=True)
class SteeringSettings:
    listen: tuple[str, int] = setting("127.0.0.1:8060", kind=ADDRESS, help="Address of page, manifests and reports.")
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
    pathways: int = setting("3", kind=INTEGER, help="Appliances in a session's manifest, before the origin.")
    poll_every: float = setting("2s", kind=DURATION, help="Time between looks at the origin's catalog.")
    trusted_proxies: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Prefixes of proxies whose X-Forwarded-For is believed."
    )
    session_key: str = setting(
        "", kind=SECRET, help="Secret that signs sessions, the same on all replicas; else random."
    )
    decision_log: Path | None = setting("", kind=OPTIONAL_PATH, help="Where decisions are logged; none: they are not.")
    log_size: int = setting("1 GiB", kind=BYTES, help="The log is moved away when it is larger, or a day old.")
    log_keep: int = setting("14", kind=INTEGER, help="How many old logs are kept besides; 0: never moved.")
    control: str = setting("", kind=HTTP_URL, help="Demo control that the page's stop buttons ask.")
    sites: tuple[SiteSettings, ...] = setting((), kind=tables(SiteSettings), help="The sites.", of=SiteSettings)
