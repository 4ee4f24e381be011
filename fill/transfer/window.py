"""The fill window: from when to when an appliance may fill, by the clocks of its site.

Each day's window is the time between two instants. A time that the clocks skip in spring is read by the clock that was
not yet changed (02:30 is then 03:30); of a time that occurs twice in autumn the first counts, for opening and closing.
So a window may be an hour shorter or longer once a year, and never opens twice a day.

Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.errors import ConfigError, Problem

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Window:
    """Opens at `start` and closes at `end`, minutes after local midnight; `end` > 24 h is on the next day."""

    start: int
    end: int
    zone: ZoneInfo


def parse_window(text: str, zone: str) -> Window:
    """ "02:00-14:00", "22:00-06:00" (over midnight) or "00:00-24:00" (always). Raises ConfigError."""
    problems = []
    match = _WINDOW.fullmatch(text)
    start = end = 0
    if match is not None:
        start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if match is None or end > _DAY_MINUTES:
        problems.append(Problem("settings", "window", repr(text), 'two times of a day such as "02:00-14:00"'))
    elif start == end:
        expected = 'two different times, or "00:00-24:00" for all day'
        problems.append(Problem("settings", "window", f"{text!r}, which never opens", expected))
    try:
        found = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(Problem("settings", "time_zone", repr(zone), 'a time zone such as "Europe/Berlin"'))
    if problems:
        raise ConfigError(problems)
    return Window(start, end if end > start else end + _DAY_MINUTES, found)


def is_open(window: Window, now: float) -> bool:
    """True if the appliance may fill at `now` (seconds since the epoch)."""
    return closes_at(window, now) is not None


def closes_at(window: Window, now: float) -> float | None:
    """When the window that is open at `now` closes; None if none is open."""
    # A window over midnight may have opened yesterday; one of 24 hours follows upon itself.
    ends = [end for start, end in _around(window, now) if start <= now < end]
    return max(ends, default=None)


def next_open(window: Window, now: float) -> float | None:
    """When the appliance may fill next: `now` itself if the window is open, None if it does not open for days."""
    if is_open(window, now):
        return now
    return min((start for start, end in _around(window, now) if start > now and end > start), default=None)


def opening(window: Window, now: float, ahead: float) -> float | None:
    """When the window opened that is open at `now`, or will open that opens within `ahead` seconds; None by day."""
    return max((start for start, end in _around(window, now) if start - ahead <= now < end), default=None)


def last_opening(window: Window, now: float) -> float:
    """When the window opened that is open at `now`, or was last."""
    return max((start for start, end in _around(window, now) if start <= now and end > start), default=now)


def _around(window: Window, now: float) -> list[tuple[float, float]]:
    """The windows of the days around `now`."""
    today = datetime.fromtimestamp(now, window.zone).date()
    days = [today + timedelta(days=offset) for offset in range(-2, 4)]
    return [(_instant(day, window.start, window.zone), _instant(day, window.end, window.zone)) for day in days]


def _instant(day: date, minutes: int, zone: ZoneInfo) -> float:
    later, minute = divmod(minutes, _DAY_MINUTES)
    local = datetime.combine(day + timedelta(days=later), time(minute // 60, minute % 60), zone)
    return local.timestamp()
