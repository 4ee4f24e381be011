"""What an operator decides about the origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.field import ADDRESS, BYTES, HTTP_URL, INTEGER, OPTIONAL_PATH, setting, url_of


@dataclass(frozen=True)
class OriginSettings:
    storage: str = setting(
        "file:///var/lib/nearcast/origin", kind=url_of("file", "s3"), help="Where packages and the catalog are kept."
    )
    listen: tuple[str, int] = setting("127.0.0.1:8070", kind=ADDRESS, help="Address of catalog and content.")
    access_log: Path | None = setting("", kind=OPTIONAL_PATH, help="Where answers are logged; none: they are not.")
    log_size: int = setting("1 GiB", kind=BYTES, help="The log is moved away when it is larger, or a day old.")
    log_keep: int = setting("14", kind=INTEGER, help="How many old logs are kept besides; 0: never moved.")
    s3_endpoint: str = setting("", kind=HTTP_URL, help="S3 API to use instead of Amazon's.")
