"""What an operator decides about filling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import DURATION, HTTP_URL, INTEGER, NAME, OPTIONAL_PATH, TEXT, listing, setting, url_of


@dataclass(frozen=True)
class FillSettings:
    plans: str = setting("file:///var/lib/nearcast/plans", kind=url_of("file", "s3"), help="Where plans are kept.")
    steering: str = setting("http://127.0.0.1:8060", kind=HTTP_URL, help="Where the fleet is known.")
    origin: str = setting("http://127.0.0.1:8070", kind=HTTP_URL, help="Catalog, and the last fill source.")
    access_logs: tuple[str, ...] = setting("", kind=listing(TEXT), help="Access logs to count (paths, * allowed).")
    pins: Path | None = setting("", kind=OPTIONAL_PATH, help="TOML file of titles to hold or never to hold.")
    copies: int = setting("2", kind=INTEGER, help="Copies of each file in a cluster.")
    appliance: str = setting("", kind=TEXT, help="Agent: the appliance whose plan to carry out.")
    socket: Path | None = setting("", kind=OPTIONAL_PATH, help="Agent: STATE/appliance.sock of the appliance.")
    window: str = setting("02:00-14:00", kind=TEXT, help="Agent: fill window in local time of `time_zone`.")
    time_zone: str = setting("UTC", kind=TEXT, help="Agent: the site's time zone.")
    transfers: int = setting("2", kind=INTEGER, help="Agent: files transferred at once.")
    poll_every: float = setting("60s", kind=DURATION, help="Agent: time between looks at the plan.")
    s3_endpoint: str = setting("", kind=HTTP_URL, help="S3 API to use instead of Amazon's.")
    region: str = setting("default", kind=NAME, help="Name of the popularity feed.")
