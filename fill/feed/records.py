"""Reads one line of an access log: what a viewer watched, or the reason why the line does not count.

Lines come from appliances that crash, disks that fill up, clocks that are wrong and clients that lie, so nothing here
raises: what is no record of a viewer's answer becomes a reason, and reasons are counted. What one line alone cannot
tell (the same line shipped twice, a segment fetched over and over, a client faster than any viewer) is told by
fill/feed/counting.py from all lines of an hour. A player's own clock (`ts` of CMCD) is never read.

Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from statistics import median, median_low
from typing import NamedTuple

import msgspec

from encoder.package import FILE_PATTERN, MANIFEST_NAME, TITLE_PATTERN

# Ours have some 400 bytes, with all of CMCD some 3,000. What is longer is no line: a log that lost its line ends.
LONGEST_LINE = 16 * 1024
# Appliances' clocks agree within seconds where NTP runs; what is this far ahead is no jitter.
CLOCK_TOLERANCE_S = 60.0
# A clock ahead by more than a day is set wrong, and so may be what it said before.
LARGEST_OFFSET_S = 86400.0
# So many of an appliance's newest lines say where its clock is; one line that is wrong says nothing.
OFFSET_LINES = 20
# What is so far from the next of them was told by another clock, or by a garbled line.
_LONGEST_GAP_S = 600.0
# Appliances and fill agents name themselves so when they ask each other; nobody watches what moves between them.
OWN_AGENT = "nearcast"

# A whole film in one answer is some tens of GB.
_LARGEST_ANSWER = 2**40
_LONGEST_PART = 512
_MS_OF_DAY = 86_400_000
# Types of objects in CMCD that hold video; "" and "any" stand for one that is not told.
_VIDEO = ("", "v", "av", "any")
# Names that crawlers and monitors give themselves. Not "bot" alone: CUBOT makes telephones.
_CRAWLER = re.compile(
    r"(?<![a-z])(?:[a-z]*(?<!cu)bots?|[a-z]*crawler|[a-z]*spider|slurp|facebookexternalhit|mediapartners-google|pingdom|"
    r"uptimerobot|statuscake|site24x7|headlesscrawler)(?![a-z])",
    re.IGNORECASE,
)


class Refusal(StrEnum):
    """Why a line does not count."""

    BROKEN = "broken"  # no JSON object of our fields: cut, garbled, of wrong types, too long
    NO_CONTENT = "no content"  # not about a file that players ask for
    NOT_SENT = "not sent"  # no GET, or no bytes of a file in the answer
    OWN = "own"  # another appliance or a fill agent asked
    CRAWLER = "crawler"
    FUTURE = "future"
    OLD = "old"
    REPEATED = "repeated"  # the line was there already
    AGAIN = "again"  # a session fetched what it had
    INHUMAN = "inhuman"  # no viewer is that fast


class Said(msgspec.Struct, frozen=True):
    """What is read of CMCD."""

    sid: str = ""
    d: int | None = None  # ms of media in the answer
    br: int | dict[str, int] | None = None  # kbit/s; by type of object in version 2
    ot: str = ""  # v, a, av, ...


class Watched(msgspec.Struct, frozen=True):
    """What is read of a line of an access log (oca/access_log.py); other fields are passed over."""

    time: float  # seconds since the epoch
    title: str
    file: str
    status: int
    bytes: int
    package: str = ""
    appliance: str = ""
    method: str = "GET"
    agent: str = ""
    client: str = ""
    part: str = ""
    hit: bool = True
    cmcd: Said | None = None


class Event(NamedTuple):
    """A viewer's answer that counts, as far as its own line tells."""

    time: float  # seconds since the epoch
    line: int  # 64 bits of the line's digest: the same line is the same event wherever it is read
    appliance: str
    client: str  # its network
    title: str
    package: str
    file: str
    part: str
    bytes: int
    session: int  # 64 bits that tell a session from others
    is_named: bool  # the player said which session it is; else it is all players of one kind in one network
    media_s: float  # seconds of video, where the player said so


_decoder = msgspec.json.Decoder(Watched)


def read_record(line: bytes) -> Watched | None:
    """The record in a line; None if there is none."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return record if _is_sane(record) else None


def judge(line: bytes, now: float, *, oldest: float = 0.0) -> Event | Refusal:
    """What a line (without its line end) tells at `now`; what is older than `oldest` does not count."""
    record = read_record(line)
    if record is None:
        return Refusal.BROKEN
    refusal = refuse(record)
    if refusal is not None:
        return refusal
    if record.time > now + LARGEST_OFFSET_S:
        return Refusal.FUTURE
    if record.time < oldest:
        return Refusal.OLD
    said = record.cmcd or _SAID_NOTHING
    is_named = bool(said.sid)
    who = said.sid if is_named else f"{record.client}\0{record.agent}"
    return Event(
        record.time,
        _digest(line),
        record.appliance,
        record.client,
        record.title,
        record.package,
        record.file,
        record.part,
        record.bytes,
        _digest(who.encode(errors="replace")),
        is_named,
        _media_s(said, record.bytes),
    )


def refuse(record: Watched) -> Refusal | None:
    """Why a record is not about a viewer who got bytes of a file; None if it is."""
    if not is_content(record):
        return Refusal.NO_CONTENT
    return kind_of_agent(record.agent) if is_sent(record) else Refusal.NOT_SENT


def is_sent(record: Watched) -> bool:
    """Whether bytes of what was asked for were sent, and not those of an error page."""
    return record.method == "GET" and record.status in (200, 206) and record.bytes > 0


def is_content(record: Watched) -> bool:
    """Whether it is about a file that players ask for; manifests of packages are for services only."""
    return bool(record.title and record.file) and record.file != MANIFEST_NAME


@lru_cache(4096)
def kind_of_agent(agent: str) -> Refusal | None:
    """OWN or CRAWLER; None for what may be a viewer's player."""
    if agent.startswith(OWN_AGENT):
        return Refusal.OWN
    return Refusal.CRAWLER if _CRAWLER.search(agent) else None


def clock_offset(times: Sequence[float], now: float) -> float:
    """Seconds by which the clock of an appliance is ahead, from the times of its lines as they were read; else 0.

    Only a clock that is ahead can be told: lines of the past may just be late. Half of the newest lines must be in
    the future, and the newest is the last that follows on the others, so that one wrong line moves nothing.
    """
    last = sorted(times[-OFFSET_LINES:])
    ahead = median(last) - now if last else 0.0
    if not CLOCK_TOLERANCE_S < ahead <= LARGEST_OFFSET_S:
        return 0.0
    newest = median_low(last)
    for time in last[len(last) // 2 :]:
        if time - newest > _LONGEST_GAP_S:
            break
        newest = time
    return newest - now


def _media_s(said: Said, size: int) -> float:
    """Seconds of video in an answer of `size` bytes, by its duration, else by its bitrate; 0 where neither is said."""
    if said.ot not in _VIDEO:
        return 0.0
    if said.d:
        return said.d / 1000
    rates = said.br if isinstance(said.br, dict) else {"": said.br or 0}
    rate = max((rates.get(kind, 0) for kind in _VIDEO), default=0)
    return size * 8 / (rate * 1000) if rate > 0 else 0.0


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


_SAID_NOTHING = Said()


def _is_sane(record: Watched) -> bool:
    return (
        isfinite(record.time)
        and record.time >= 0
        and 0 <= record.bytes <= _LARGEST_ANSWER
        and (not record.title or _is_title(record.title))
        and (not record.file or _is_file(record.file))
        and len(record.part) <= _LONGEST_PART
        and (record.part + record.package + record.appliance).isprintable()
        and (record.cmcd is None or 0 <= (record.cmcd.d or 0) <= _MS_OF_DAY)
    )


@lru_cache(65536)
def _is_title(title: str) -> bool:
    return TITLE_PATTERN.fullmatch(title) is not None


@lru_cache(65536)
def _is_file(file: str) -> bool:
    return FILE_PATTERN.fullmatch(file) is not None
