"""The access log: one JSON object a line for each answer, its fields fixed and documented here.

Popularity is counted from it and misses are explained by it, so it is written by every worker, appended whole lines at
a time (O_APPEND keeps lines of several workers apart), and never names a client: addresses lose their last part, tokens
are left out. What players tell of themselves apart from requests is kept in the same way, in a file of its own.

A file that is too large or too old becomes NAME.1, NAME.1 becomes NAME.2, and so on. Several processes write one file,
so whichever of them finds that it is time takes a lock (on .NAME.lock beside it, whose time is that of the last
rotation), looks again, and moves the files. The others need not be told: before each write they compare the file they
hold with the one that the name stands for. One that writes in between adds to NAME.1, where its lines are as good. So
no line is lost, unless a writer stands still between look and write while `keep` rotations pass it by. Whatever else
moves the file (logrotate) is noticed in the same way.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import msgspec

from oca.cmcd import Value

# Lines wait in memory until there are this many bytes of them, or until the worker's next tick.
LONGEST_AGENT = 256  # characters of User-Agent
# Clients' networks and kinds of players whose part of a record is kept.
_MOST_KNOWN = 4096
FLUSH_BYTES = 64 * 1024


dumps = msgspec.json.encode


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the access log."""

    time: float  # seconds since the epoch, when the answer ended
    appliance: str
    client: str  # truncated to /24 or /48
    method: str
    title: str  # empty where the URL was not one of content, as are `package`, `file` and `part`
    package: str
    file: str  # the stored file
    part: str  # what was asked for: "v720/3.m4s", "v720.mp4", "master.m3u8"
    status: int  # 0 where the client went away before there was one
    bytes: int  # of body, sent; less than asked where the client went away or the answer was cut
    whole: bool  # all that was promised was sent
    hit: bool  # nothing had to be fetched
    seconds: float  # from the request's last byte to the answer's last byte handed to the kernel
    agent: str  # User-Agent
    # What the player said with the request, in the shapes that oca/cmcd.py lists: `sid` names its session, `v` tells
    # which version's shapes they are (none: 1) and is alone where that is too new to read. Null if it said nothing.
    cmcd: Mapping[str, Value] | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log of events: what a player reported by itself (CTA-5004-B section 2.2)."""

    time: float  # seconds since the epoch, when it was received; the player's own clock is `ts` of `cmcd`, in ms
    appliance: str
    client: str  # truncated to /24 or /48
    cmcd: Mapping[str, Value]  # with `e`, `ts` and `v`


class UsualRecord:
    """Writes the records of usual answers from parts that stay the same: the same line in a third of the time.

    A usual answer is a whole file or segment with status 200, all of it sent at once, nothing of it fetched.
    """

    __slots__ = ("_agents", "_appliance", "_clients", "_millisecond", "_time")

    def __init__(self, appliance: str) -> None:
        self._appliance = appliance
        self._clients: dict[str, bytes] = {}
        self._agents: dict[str, bytes] = {}
        self._millisecond = 0
        self._time = b""

    def piece(self, title: str, package: str, file: str, part: str, size: int) -> bytes:
        """What all records of one piece share."""
        text = dumps({"title": title, "package": package, "file": file, "part": part, "status": 200, "bytes": size})
        return b"," + text[1:-1] + b',"whole":true,"hit":true,"seconds":'

    def line(self, now: float, client: str, piece: bytes, seconds: float, agent: str) -> bytes:
        """The record of one answer."""
        millisecond = int(now * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._time = b'{"time":%d.%03d,"appliance":%s' % (*divmod(millisecond, 1000), dumps(self._appliance))
        who = self._clients.get(client) or self._know(self._clients, client, b',"client":%s,"method":"GET"')
        what = self._agents.get(agent) or self._know(self._agents, agent, b',"agent":%s,"cmcd":null}')
        took = b"0.%06d" % (seconds * 1000000) if seconds < 1 else b"%.6f" % seconds
        return b"".join((self._time, who, piece, took, what))

    def _know(self, known: dict[str, bytes], value: str, template: bytes) -> bytes:
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known[value] = template % dumps(value[:LONGEST_AGENT])
        return known[value]


def truncated(address: str) -> str:
    """The address without what tells one subscriber from his neighbours: /24 of IPv4, /48 of IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # how a dual-stack listener sees IPv4
    prefix = 24 if parsed.version == 4 else 48
    return str(ip_network((parsed, prefix), strict=False).network_address)


class AccessLog:
    """Never in the way of an answer: lines that cannot be written are counted in `lost` and forgotten.

    The file is moved away when it has `largest_bytes` or is `oldest_s` old (0: never for that reason), and `keep` old
    ones stay (0: it is never moved away).
    """

    def __init__(self, path: Path, *, largest_bytes: int = 0, oldest_s: float = 0.0, keep: int = 0) -> None:
        self._path = path
        self._largest_bytes, self._oldest_s, self._keep = largest_bytes, oldest_s, keep
        self._fd = _opened(path)
        self._lock: int | None = None
        if keep and (largest_bytes or oldest_s):
            lock = path.with_name(f".{path.name}.lock")
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._lines: list[bytes] = []
        self._size = 0
        self._is_torn = False  # the file ends within a line
        self.lost = 0  # lines, since the start
        self.trouble = ""  # why the last of them was lost, or the file could not be moved or opened anew
        self._encode = msgspec.json.Encoder().encode

    def write(self, record: Record | Event) -> None:
        self.write_line(self._encode(record))

    def write_line(self, line: bytes) -> None:
        """A record that is JSON already."""
        self._lines.append(line)
        self._size += len(line)
        if self._size > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands the lines to the kernel, and keeps none that it does not take: a full disk must not fill memory."""
        if not self._lines:
            return
        self._follow()
        lines, self._lines, self._size = self._lines, [], 0
        data = b"\n" * self._is_torn + b"\n".join(lines) + b"\n"
        position = 0
        try:
            while position < len(data):  # a disk that fills up takes a part first
                position += os.write(self._fd, data[position:])
        except OSError as error:
            self.lost += min(len(lines), data.count(b"\n", position))
            self.trouble = os.strerror(error.errno or 0)
        if position:
            self._is_torn = data[position - 1 : position] != b"\n"

    def reopen(self) -> None:
        """Lets go of the file that was written and opens what its name stands for now: for whoever has moved it."""
        try:
            opened = _opened(self._path)
        except OSError as error:  # the old file goes on: nothing is lost
            self.trouble = os.strerror(error.errno or 0)
            return
        os.close(self._fd)
        self._fd, self._is_torn = opened, False

    def close(self) -> None:
        self.flush()
        os.close(self._fd)
        if self._lock is not None:
            os.close(self._lock)

    def _follow(self) -> None:
        """Moves the file away if it is time, and opens the new one, whoever has moved the old one."""
        # 3 us for each FLUSH_BYTES (some 150 lines) or tick: not worth a clock that would spare some of it.
        try:
            if not self._is_current():
                self.reopen()
            if self._lock is not None and self._is_due(self._lock):
                self._rotate(self._lock)
        except OSError as error:
            self.trouble = os.strerror(error.errno or 0)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _is_due(self, lock: int) -> bool:
        size = os.fstat(self._fd).st_size
        is_large = 0 < self._largest_bytes <= size
        is_old = self._oldest_s > 0 and time.time() - os.fstat(lock).st_mtime >= self._oldest_s
        return size > 0 and (is_large or is_old)

    def _rotate(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another worker is at it, and the next flush finds the new file
            return
        try:
            if self._is_current():  # else another has done it since we looked
                os.utime(lock)  # first: were this what fails, a file that is too old would be moved at each flush
                with suppress(FileNotFoundError):  # what knows nothing of the lock has moved it in between
                    self._shift()
            self.reopen()
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    def _shift(self) -> None:
        """From the last to the first, so that being killed in between leaves a gap; the next time only closes it."""
        free = next((number for number in range(1, self._keep) if not self._old(number).exists()), self._keep)
        for number in range(free, 1, -1):
            self._old(number - 1).rename(self._old(number))
        self._path.rename(self._old(1))

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
