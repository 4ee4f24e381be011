"""The access log: one JSON object a line for each answer, its fields fixed and documented here.

Popularity is counted from it and misses are explained by it, so it is written by every worker, appended whole lines at
a time (O_APPEND keeps lines of several workers apart), and never names a client: addresses lose their last part, tokens
are left out.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import msgspec

# Lines wait in memory until there are this many bytes of them, or until the worker's next tick.
FLUSH_BYTES = 64 * 1024


class Record(msgspec.Struct, frozen=True, kw_only=True):
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
    cmcd: str  # the CMCD query or headers, as they came


def truncated(address: str) -> str:
    """The address without what tells one subscriber from his neighbours: /24 of IPv4, /48 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # how a dual-stack listener sees IPv4
    prefix = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed, prefix), strict=False).network_address)


class AccessLog:
    """Never in the way of an answer: lines that cannot be written are counted in `lost` and forgotten."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._lines: list[bytes] = []
        self._size = 0
        self._is_torn = False  # the file ends within a line
        self.lost = 0  # lines, since the start
        self.trouble = ""  # why the last of them was lost
        self._encode = msgspec.json.Encoder().encode

    def write(self, record: Record) -> None:
        line = self._encode(record)
        self._lines.append(line)
        self._size += len(line)
        if self._size > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands the lines to the kernel, and keeps none that it does not take: a full disk must not fill memory."""
        if not self._lines:
            return
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

    def close(self) -> None:
        self.flush()
        os.close(self._fd)
