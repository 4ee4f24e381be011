"""How many different sessions of how many networks there were of late, in fixed memory and however many lie.

A session is one bit of 512, so that it counts once however often it is added, and the number of sessions follows from
the number of bits that are set: n = -m ln(1 - ones / m), linear counting (Whang, Vander-Zanden, Taylor 1990). That is
exact within one for a few dozen and within 5 % or so for a thousand.

Which bit is decided by the network, and by two bits of the session only. So a network counts for four sessions at
most: one client that claims to be a thousand is worth four.

The window is three parts that are dropped one after another: it spans between two thirds of its length and all of it.

Pure.
"""

from __future__ import annotations

import math
from zlib import crc32

_BITS, _SHIFT = 512, 32 - 9
_NETWORK_BITS, _NETWORK_SHIFT = 128, 32 - 7
PER_NETWORK = 4
_PARTS = 3
_WORD = 0xFFFFFFFF


def _counts(bits: int) -> tuple[int, ...]:
    """How many there were, by how many bits are set; of a map without a zero it only tells that they were many."""
    return (*(round(-bits * math.log(1 - ones / bits)) for ones in range(bits)), round(bits * math.log(2 * bits)))


_COUNTS, _NETWORK_COUNTS = _counts(_BITS), _counts(_NETWORK_BITS)


class Crowd:
    """Sessions and networks are numbers; of those of networks the lower 30 bits tell them apart."""

    __slots__ = ("_networks", "_part", "_part_s", "_sessions")

    def __init__(self, window_s: float) -> None:
        self._part_s = window_s / _PARTS
        self._part = 0
        self._sessions = [0] * _PARTS
        self._networks = [0] * _PARTS

    def add(self, session: int, network: int, now: float) -> None:
        if int(now / self._part_s) != self._part:
            self._pass_to(now)
        # 0.6 us.
        self._sessions[0] |= 1 << (_mixed(network * PER_NETWORK + session % PER_NETWORK) >> _SHIFT)
        self._networks[0] |= 1 << (_mixed(network) >> _NETWORK_SHIFT)

    def sessions(self, now: float) -> int:
        if int(now / self._part_s) != self._part:
            self._pass_to(now)
        newest, middle, oldest = self._sessions
        return _COUNTS[(newest | middle | oldest).bit_count()]

    def networks(self, now: float) -> int:
        if int(now / self._part_s) != self._part:
            self._pass_to(now)
        newest, middle, oldest = self._networks
        return _NETWORK_COUNTS[(newest | middle | oldest).bit_count()]

    def _pass_to(self, now: float) -> None:
        part = int(now / self._part_s)
        passed = min(_PARTS, max(0, part - self._part))
        for maps in (self._sessions, self._networks):
            maps[:] = [0] * passed + maps[: _PARTS - passed]
        self._part = part


def _mixed(number: int) -> int:
    """32 bits that look random: the finalizer of MurmurHash3, without its first and last shift.

    An ISP's networks are neighbours, which a product with one constant spreads too evenly: 400 were counted as 650.
    """
    product = number * 0x85EBCA6B & _WORD
    return (product ^ product >> 13) * 0xC2B2AE35 & _WORD


def number(text: str) -> int:
    """A session or a network, as a number."""
    return crc32(text.encode())
