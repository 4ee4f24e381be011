"""The routes of a BIRD 2, as `birdc show route all` prints them.

    192.0.2.0/24         unicast [isp1 19:33:11.123] * (100) [AS64496i]
            via 198.51.100.1 on eth0
            Type: BGP univ
            BGP.origin: IGP
            BGP.as_path: 64500 64496
            BGP.local_pref: 100
                         unicast [isp2 19:33:12.001] (100) [AS64496i]

The prefix stands before the first of its routes only; the best one has the asterisk.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from steering.errors import DumpError, RouteError
from steering.routes.route import USUAL_PREFERENCE, Attributes, Key, Origin, parse_path, parse_prefix, read_amount

_ROUTE = re.compile(
    r"(?P<prefix>[0-9A-Fa-f.:]+/\d+)?\s+(?P<kind>[a-z]+)\s+\[(?P<protocol>[^\s\]]+)[^\]]*\](?P<rest>.*)"
)
_ORIGINS = {"IGP": Origin.IGP, "EGP": Origin.EGP, "Incomplete": Origin.INCOMPLETE}
# What the control socket puts before a line: a code and "-" (more of the answer follows) or a blank (its end).
_CODE = re.compile(r"(\d{4})([- ])")


@dataclass
class _Route:
    key: Key
    is_best: bool
    place: str
    attributes: dict[str, str] = field(default_factory=dict)


def read_routes(lines: Iterable[str], protocol: str = "") -> dict[Key, Attributes]:
    """The best route of each prefix, or that of `protocol`. Raises DumpError with the line that is wrong."""
    routes: dict[Key, Attributes] = {}
    for route in _routes(lines, protocol):
        if route.is_best or route.key not in routes:
            routes[route.key] = _attributes(route)
    return routes


def plain_lines(answer: Iterable[str]) -> Iterator[str]:
    """What the control socket answers, as birdc prints it. Raises DumpError where BIRD refuses."""
    for line in answer:
        code = _CODE.match(line)
        if code is None:
            yield line[1:] if line.startswith(" ") else line
            continue
        if code[1].startswith(("8", "9")) and code[1] != "8001":  # 8001: no such network, so an empty table
            raise DumpError(f"BIRD answered {line.strip()!r}")
        yield line[5:]


def is_established(lines: Iterable[str], protocol: str = "") -> bool:
    """Whether, by what `show protocols` prints, `protocol` is up, or any BGP session if none is named.

    A BIRD without any BGP session is as it is meant to be.
    """
    rows = [fields for line in lines if len(fields := line.split()) >= 4]
    if protocol:
        return any(name == protocol and state == "up" for name, _, _, state, *_ in rows)
    states = [state for _, kind, _, state, *_ in rows if kind == "BGP"]
    return "up" in states or not states


def is_end(line: str) -> bool:
    """Whether an answer of the control socket ends with this line."""
    code = _CODE.match(line)
    return code is not None and code[2] == " " and code[1] != "0001"  # 0001 welcomes


def _routes(lines: Iterable[str], protocol: str) -> Iterator[_Route]:
    key: Key | None = None
    current: _Route | None = None
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip()
        if line.startswith("\t"):
            name, colon, value = line.strip().partition(": ")
            if current is not None and colon:
                current.attributes[name] = value
            continue
        if not line or line.startswith(("BIRD ", "Table ", "Access restricted")):
            continue
        found = _ROUTE.fullmatch(line)
        if found is None:
            raise DumpError(f"line {number}: found {line[:80]!r}, expected a route as `birdc show route all` prints it")
        if found["prefix"] is not None:
            try:
                key = parse_prefix(found["prefix"])
            except RouteError as error:
                raise DumpError(f"line {number}: {error}") from error
        if key is None:
            raise DumpError(f"line {number}: found a route before any prefix, expected a whole answer")
        if current is not None:
            yield current
        is_wanted = found["kind"] in _REACHABLE and (not protocol or found["protocol"] == protocol)
        current = _Route(key, " * " in found["rest"], f"line {number}") if is_wanted else None
    if current is not None:
        yield current


_REACHABLE = ("unicast", "blackhole", "unreachable", "prohibit")


def _attributes(route: _Route) -> Attributes:
    given = route.attributes
    try:
        return Attributes(
            as_path=parse_path(given.get("BGP.as_path", "")),
            local_preference=read_amount(given.get("BGP.local_pref", USUAL_PREFERENCE)),
            origin=_ORIGINS[given.get("BGP.origin", "IGP")],
            med=read_amount(given["BGP.med"]) if "BGP.med" in given else None,
        )
    except (RouteError, ValueError, KeyError) as error:
        raise DumpError(f"{route.place}: an attribute of this route cannot be read: {error}") from error
