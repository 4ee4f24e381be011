"""What an operator decides about one appliance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import ADDRESS, BYTES, DURATION, HTTP_URL, INTEGER, NAME, PATH, RATE, listing, setting


@dataclass(frozen=True)
class OcaSettings:
    name: str = setting(kind=NAME, help="The appliance's name; also its pathway ID in manifests.")
    site: str = setting(kind=NAME, help="The site it stands in.")
    state: Path = setting("/var/lib/nearcast/oca", kind=PATH, help="Directory of the lock, socket and access log.")
    volume: Path = setting("/var/lib/nearcast/oca/volume", kind=PATH, help="Directory that holds content.")
    listen: tuple[str, int] = setting("0.0.0.0:8080", kind=ADDRESS, help="Address that players and peers ask.")
    admin: tuple[str, int] = setting("127.0.0.1:8081", kind=ADDRESS, help="Address of /healthz, /readyz, /metrics.")
    url: str = setting("", kind=HTTP_URL, help="How players reach it; default http:// and `listen`.")
    workers: int = setting("0", kind=INTEGER, help="Delivery workers; 0 is one for each core.")
    capacity: int = setting("10 Gbit/s", kind=RATE, help="What it can serve; steering sends no new sessions beyond.")
    disk: int = setting("0", kind=BYTES, help="Bytes of content it may hold; 0 is what the volume has.")
    origin: str = setting("", kind=HTTP_URL, help="Origin to pull from; none means serve what is held.")
    peers: tuple[str, ...] = setting("", kind=listing(HTTP_URL), help="Peers asked before the origin.")
    steering: str = setting("", kind=HTTP_URL, help="Steering service that gets the reports.")
    report_every: float = setting("2s", kind=DURATION, help="Time between reports.")
    stall_limit: float = setting("2s", kind=DURATION, help="A response that waits longer for bytes is reset.")
    idle_limit: float = setting("60s", kind=DURATION, help="An idle or unmoving connection is closed after this.")
    drain_limit: float = setting("30s", kind=DURATION, help="On SIGTERM, downloads under way get this long to finish.")
