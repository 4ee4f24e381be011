"""What an operator decides about licences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import ADDRESS, OPTIONAL_PATH, PATH, TEXT, listing, setting


@dataclass(frozen=True)
class LicenceSettings:
    keys: Path = setting("/etc/nearcast/keys", kind=PATH, help="A key file or CPIX file, or a folder: TITLE.toml ...")
    listen: tuple[str, int] = setting("127.0.0.1:8090", kind=ADDRESS, help="Address of the licence endpoint.")
    trusted_proxies: tuple[str, ...] = setting(
        "", kind=listing(TEXT), help="Prefixes of proxies whose X-Forwarded-For is believed."
    )
    token_keys: Path | None = setting(
        "", kind=OPTIONAL_PATH, help="JWK Set of the keys of access tokens; with it, licences are for holders of one."
    )
    token_issuers: tuple[str, ...] = setting("", kind=listing(TEXT), help="Issuers whose tokens count; none: any.")
    token_audiences: tuple[str, ...] = setting("", kind=listing(TEXT), help="Audiences that tokens may be for.")
