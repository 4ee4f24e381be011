"""What an operator decides about filling."""

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
    RATE,
    SECRET,
    TEXT,
    Kind,
    listing,
    setting,
    tables,
    url_of,
)

# Forecasts are kept in a folder of this name.
_REGION = Kind(NAME.expected, lambda value: "" if value == "" else NAME.parse(value))


@dataclass(frozen=True)
class FillSite:
    """What the planner must know of a site that its appliances do not say themselves."""

    name: str = setting(kind=NAME, help="The site's name, as its appliances give it.")
    region: str = setting("", kind=_REGION, help="Its popularity feed; default the planner's `region`.")
    window: str = setting("02:00-14:00", kind=TEXT, help="Fill window in local time of `time_zone`.")
    time_zone: str = setting("UTC", kind=TEXT, help="The site's time zone.")
    rate: int = setting("0 bit/s", kind=RATE, help="Of each appliance's fill; 0: no limit.")
    day_rate: int = setting("100 Mbit/s", kind=RATE, help="The same by day, for what may not wait; 0: none.")
    budget: int = setting("0 B", kind=BYTES, help="That a site may fill from outside a month; 0: no limit.")
    percentile_95: int = setting("0 bit/s", kind=RATE, help="The link's committed 95th percentile; 0: not billed so.")
    reserve: float = setting("0.05", kind=NUMBER, help="Share of disk left for what players ask of it during the day.")
    masters: int = setting("1", kind=INTEGER, help="Appliances that fetch a file from afar, for the others to copy.")


@dataclass(frozen=True)
class FillSettings:
    plans: str = setting("file:///var/lib/nearcast/plans", kind=url_of("file", "s3"), help="Where plans are kept.")
    plan_key: Path | None = setting("", kind=OPTIONAL_PATH, help="Planner: private key (PEM) that signs plans.")
    plan_keys: Path | None = setting("", kind=OPTIONAL_PATH, help="Agent: public key(s) (PEM) of those who may plan.")
    steering: str = setting("http://127.0.0.1:8060", kind=HTTP_URL, help="Where the fleet is known.")
    origin: str = setting("http://127.0.0.1:8070", kind=HTTP_URL, help="Catalog, and the last fill source.")
    events: str = setting("", kind=url_of("file"), help="Where what was watched is kept; none: access logs are read.")
    access_logs: tuple[str, ...] = setting("", kind=listing(TEXT), help="Access logs to count (paths, * allowed).")
    decision_logs: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Steering's decision logs (paths, * allowed)."
    )
    keep_lines: float = setting("30d", kind=DURATION, help="Time for which each line of the logs is kept in `events`.")
    keep_hours: float = setting("400d", kind=DURATION, help="Time for which hourly sums are kept in `events`.")
    policy: Path | None = setting("", kind=OPTIONAL_PATH, help="TOML file of pins, bans and releases.")
    plan_ahead: float = setting("1h", kind=DURATION, help="A night is planned so long before its window opens.")
    copies: int = setting("2", kind=INTEGER, help="Copies of each file in a cluster.")
    region: str = setting("default", kind=NAME, help="Name of the popularity feed, for sites that name none.")
    sites: tuple[FillSite, ...] = setting((), kind=tables(FillSite), help="What is special of sites.", of=FillSite)
    appliance: str = setting("", kind=TEXT, help="Agent: the appliance whose plan to carry out.")
    socket: Path | None = setting("", kind=OPTIONAL_PATH, help="Agent: STATE/appliance.sock of the appliance.")
    state: Path | None = setting("", kind=OPTIONAL_PATH, help="Agent: its directory; default beside the socket.")
    window: str = setting("02:00-14:00", kind=TEXT, help="Agent: fill window in local time of `time_zone`.")
    time_zone: str = setting("UTC", kind=TEXT, help="Agent: the site's time zone.")
    transfers: int = setting("2", kind=INTEGER, help="Agent: files transferred at once.")
    poll_every: float = setting("60s", kind=DURATION, help="Agent: time between looks at the plan.")
    listen: tuple[str, int] = setting("127.0.0.1:8065", kind=ADDRESS, help="Address for orders of an upstream CDN.")
    orders_token: str = setting("", kind=SECRET, help="Bearer token that an upstream CDN shows; none: loopback only.")
    s3_endpoint: str = setting("", kind=HTTP_URL, help="S3 API to use instead of Amazon's.")
