"""Base64url as tokens and keys are written (RFC 4648 section 5), in exactly one spelling.

Pure.
"""

from __future__ import annotations

import base64
import binascii


def encode(data: bytes) -> str:
    """Without padding, as RFC 7515 section 2 writes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Padding is tolerated. Raises ValueError.

    The standard library passes over foreign characters and unused bits, and one token would then have many spellings:
    only what encodes to the same text again is taken.
    """
    bare = text.rstrip("=")
    try:
        data = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("not base64url") from None
    if len(text) - len(bare) > 2 or encode(data) != bare:
        raise ValueError("not base64url")
    return data
