"""What an operator decides about the origin."""

from __future__ import annotations

from dataclasses import dataclass

from config.field import ADDRESS, HTTP_URL, setting, url_of


@dataclass(frozen=True)
class OriginSettings:
    storage: str = setting(
        "file:///var/lib/nearcast/origin", kind=url_of("file", "s3"), help="Where packages and the catalog are kept."
    )
    listen: tuple[str, int] = setting("127.0.0.1:8070", kind=ADDRESS, help="Address of catalog and content.")
    s3_endpoint: str = setting("", kind=HTTP_URL, help="S3 API to use instead of Amazon's.")
