"""Moments as operators write and read them.

Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime

from config.units import parse_duration

_AGO = " ago"


def parse_moment(text: str, now: float) -> float:
    """Seconds since the epoch of "2026-11-21T19:00:00Z" (RFC 3339), or of "10m ago". Raises ValueError."""
    if text.endswith(_AGO):
        time = now - parse_duration(text.removesuffix(_AGO))
        try:
            datetime.fromtimestamp(time, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(f"{text!r} is before all years") from error
        return time
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()


def show_moment(time: float) -> str:
    """RFC 3339, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
