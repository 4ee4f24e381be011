"""The address space that a registry gave out, as its files say.

    ripencc|DE|ipv4|192.0.2.0|256|20100101|allocated|...      delegated-extended statistics of an RIR
    route: 192.0.2.0/24                                       objects of an IRR (RPSL, RFC 2622); route6 as well
    192.0.2.0/24                                              or a list of prefixes, one a line

Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from steering.errors import SitesError
from steering.prefixes.addresses import BITS, Prefix, parse_address, parse_prefix

# IP version, first and last address.
_Range: TypeAlias = tuple[int, int, int]
_GIVEN_OUT = {"allocated", "assigned"}  # what is reserved or available is nobody's
# A prefix of IPv6 is none: before its first colon are at most four hexadecimal digits.
_ATTRIBUTE = re.compile(r"(?![0-9A-Fa-f]{1,4}:)[A-Za-z][A-Za-z0-9_-]*:")


class Space:
    """Addresses, as ranges that neither meet nor overlap."""

    def __init__(self, ranges: Iterable[_Range]) -> None:
        self._first: dict[int, list[int]] = {4: [], 6: []}
        self._last: dict[int, list[int]] = {4: [], 6: []}
        for version, first, last in sorted(ranges):
            ends = self._last[version]
            if ends and first <= ends[-1] + 1:
                ends[-1] = max(ends[-1], last)
            else:
                self._first[version].append(first)
                ends.append(last)

    def covers(self, prefix: Prefix) -> bool:
        """Whether all of the prefix is in it."""
        version, network, length = prefix
        at = bisect_right(self._first[version], network) - 1
        return at >= 0 and network + (1 << BITS[version] - length) - 1 <= self._last[version][at]


def parse_registry(file: str, text: str) -> Space:
    """Raises SitesError that names file and line."""
    return Space(_ranges(file, text))


def _ranges(file: str, text: str) -> Iterator[_Range]:
    is_object = False
    for number, whole in enumerate(text.splitlines(), start=1):
        line = whole.partition("#")[0].strip()
        if not line or line.startswith("%"):
            is_object = is_object and bool(whole.strip())
            continue
        if is_object and whole[0] in " \t+":  # the attribute above goes on
            continue
        where = f"{file}, line {number}"
        if "|" in line:
            yield from _delegated(line, where)
        elif (attribute := _ATTRIBUTE.match(line)) is None:
            yield _range(parse_prefix(line, where))
        else:
            is_object = True
            if attribute[0].lower() in ("route:", "route6:"):
                yield _range(parse_prefix(line[attribute.end() :].strip(), where))


def _delegated(line: str, where: str) -> Iterator[_Range]:
    """A record; none of the header, of sums, of AS numbers and of space that was not given out."""
    fields = line.split("|")
    if len(fields) < 7 or fields[2] not in ("ipv4", "ipv6") or fields[6] not in _GIVEN_OUT:
        return
    address = parse_address(fields[3])
    version = int(fields[2][-1])
    if address is None or address[0] != version or not fields[4].isdecimal():
        raise SitesError(f"{where}: found {line!r}, expected an address and how many there are")
    # IPv4 space is counted in addresses and need be no prefix; of IPv6 space the length of its prefix is given.
    count = int(fields[4]) if version == 4 else 1 << max(0, BITS[6] - int(fields[4]))
    yield version, address[1], address[1] + count - 1


def _range(prefix: Prefix) -> _Range:
    version, network, length = prefix
    return version, network, network + (1 << BITS[version] - length) - 1
