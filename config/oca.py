"""What an operator decides about one appliance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.field import (
    ADDRESS,
    BYTES,
    DURATION,
    HTTP_URL,
    INTEGER,
    NAME,
    OPTIONAL_ADDRESS,
    OPTIONAL_PATH,
    PATH,
    RATE,
    TEXT,
    Kind,
    listing,
    setting,
)
from config.units import parse_bytes, show_bytes


def _parse_bytes_per_second(value: Any) -> int:
    if not isinstance(value, str) or not value.endswith("/s"):
        raise ValueError("no rate")
    return parse_bytes(value.removesuffix("/s"))


# What disks do is counted in bytes; what networks do (RATE) in bits.
_BYTES_PER_SECOND = Kind('a rate such as "16 MiB/s"', _parse_bytes_per_second, lambda value: f"{show_bytes(value)}/s")


@dataclass(frozen=True)
class OcaSettings:
    name: str = setting(kind=NAME, help="The appliance's name; also its pathway ID in manifests.")
    site: str = setting(kind=NAME, help="The site it stands in.")
    state: Path = setting("/var/lib/nearcast/oca", kind=PATH, help="Directory of the lock, socket and access log.")
    volume: tuple[Path, ...] = setting(
        "/var/lib/nearcast/oca/volume", kind=listing(PATH), help="Directories that hold content, one for each disk."
    )
    listen: tuple[str, int] = setting("0.0.0.0:8080", kind=ADDRESS, help="Address that players and peers ask.")
    admin: tuple[str, int] = setting("127.0.0.1:8081", kind=ADDRESS, help="Address of /healthz, /readyz, /metrics.")
    url: str = setting("", kind=HTTP_URL, help="How players reach it; default http:// and `listen`.")
    workers: int = setting("0", kind=INTEGER, help="Delivery workers; 0 is one for each core.")
    capacity: int = setting("10 Gbit/s", kind=RATE, help="What it can serve; steering sends no new sessions beyond.")
    disk: int = setting("0", kind=BYTES, help="Bytes of content on each volume; 0 is what it has.")
    scrub_rate: int = setting("16 MiB/s", kind=_BYTES_PER_SECOND, help="Content is re-read at this rate; 0 B/s: never.")
    origin: str = setting("", kind=HTTP_URL, help="Origin to pull from; none means serve what is held.")
    peers: tuple[str, ...] = setting("", kind=listing(HTTP_URL), help="Peers asked before the origin.")
    steering: str = setting("", kind=HTTP_URL, help="Steering service that gets the reports.")
    report_every: float = setting("2s", kind=DURATION, help="Time between reports.")
    stall_limit: float = setting("2s", kind=DURATION, help="A response that waits longer for bytes is reset.")
    idle_limit: float = setting("60s", kind=DURATION, help="An idle or unmoving connection is closed after this.")
    drain_limit: float = setting("30s", kind=DURATION, help="On SIGTERM, downloads under way get this long to finish.")
    tls_listen: tuple[str, int] | None = setting("", kind=OPTIONAL_ADDRESS, help="Address for players over TLS.")
    certificates: Path | None = setting(
        "",
        kind=OPTIONAL_PATH,
        help="Directory of NAME.pem (chain) and NAME.key for TLS; names come from the certificates.",
    )
    token_keys: Path | None = setting(
        "", kind=OPTIONAL_PATH, help="JWK Set of the keys of access tokens; with it, content is for holders of one."
    )
    token_issuers: tuple[str, ...] = setting("", kind=listing(TEXT), help="Issuers whose tokens count; none: any.")
    token_audiences: tuple[str, ...] = setting("", kind=listing(TEXT), help="Audiences that tokens may be for.")
    connections_per_client: int = setting("0", kind=INTEGER, help="Of one address, in each worker; 0 is half of all.")
    requests_per_connection: int = setting("10000", kind=INTEGER, help="A connection ends after so many.")
    log_size: int = setting("1 GiB", kind=BYTES, help="The access log is moved away when it is larger, or a day old.")
    log_keep: int = setting("14", kind=INTEGER, help="How many access logs are kept besides; 0: never moved.")
