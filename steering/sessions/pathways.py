"""The steering manifest that players poll, and what they say when they ask for it.

The format is that of RFC 8216bis section 7, which DASH shares (ETSI TS 103 998). What real players do narrows it: they
stop steering for good at a 404, 410, 429 or another VERSION, one fails at an empty PATHWAY-CLONES, one resolves a
relative RELOAD-URI against the wrong base, and their query parameters come with and without quotes, as lists, as
floats, empty, or not at all. So every answer is a 200 with an absolute RELOAD-URI and nothing empty in it.

Players whose polls an outage has brought together would go on polling together, for all have the same TTL: each answer
gives its own, drawn from a span that ends at the configured one. A drain moves everybody within that, as before.

Pure: query in, order in, bytes out; chance is an argument.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote_plus

import msgspec

Format: TypeAlias = Literal["hls", "dash"]

# A session that cannot be read is polled less often: its answer will not change much.
UNKNOWN_SESSION_TTL_FACTOR = 6
# How late the event loop may run before polls are spread, and by how much. Overload is answered with a longer TTL and
# never with a 429, at which hls.js stops steering for good. 0.1 s of lag is the load at which answers queue.
_LAG_FACTORS = ((1.0, 12), (0.3, 6), (0.1, 3))
_LEAST_LAG_S = _LAG_FACTORS[-1][0]
# The shortest TTL given, as a share of the longest. A herd of polls is even over the span after three or four of them;
# under load, where the longest is a minute or two and nobody is to come back at once, the span is wider.
_SHORTEST, _SHORTEST_UNDER_LOAD = 0.7, 0.4
_PATHWAY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_PARAMETERS = 32  # players send four or five
_MOST_MEASURED = 32  # a list longer than any manifest has pathways is nonsense


_PARAMETERS = {
    "hls": ("_HLS_pathway", "_HLS_throughput"),
    "dash": ("_DASH_pathway", "_DASH_throughput"),
}
_encode = msgspec.json.Encoder().encode


class Measured(NamedTuple):
    """What a player says of a pathway; `throughput_bps` is None where it has no measurement."""

    pathway: str
    throughput_bps: int | None


def read_query(query: Mapping[str, str], form: Format) -> tuple[Measured, ...]:
    """The pathways a player says it uses (HLS: one; DASH: those it measured), in its order. Nonsense is left out."""
    in_use, measured = _PARAMETERS[form]
    if in_use not in query:
        return ()
    # Paired by position, so a throughput left empty must keep its place and a pathway's must not shift.
    pathways = _items(query[in_use])[:_MOST_MEASURED]
    throughputs = _items(query.get(measured, ""))
    return tuple(
        [
            Measured(pathway, _throughput(throughputs[position] if position < len(throughputs) else ""))
            for position, pathway in enumerate(pathways)
            if _PATHWAY.fullmatch(pathway)
        ]
    )


def is_dash_js(query: Mapping[str, str]) -> bool:
    """Whether dash.js asks: of the players that are known, it alone sends quotes."""
    return '"' in query.get(_PARAMETERS["dash"][0], "")


def split_query(text: str) -> dict[str, str]:
    """A query's parameters. Of several of one name the first counts; what is no pair, or past all need, is left out."""
    found: dict[str, str] = {}
    for pair in text.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]:
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        if name not in found:
            found[name] = value
    return found


def steering_manifest(
    priority: Sequence[str], ttl: int, reload_uri: str, clones: Sequence[Mapping[str, object]] = ()
) -> bytes:
    """The JSON of a steering manifest. `priority` is not empty and names nobody twice; `reload_uri` is absolute."""
    told: dict[str, object] = {"VERSION": 1, "TTL": ttl, "RELOAD-URI": reload_uri, "PATHWAY-PRIORITY": priority}
    if clones:
        told["PATHWAY-CLONES"] = clones
    return _encode(told)


def given_ttl(ttl: int, lag_s: float, chance: float) -> int:
    """Seconds to the next poll of a session whose polls are due each `ttl`, when the event loop runs `lag_s` late.

    `chance` is drawn from [0, 1) for each poll. Never longer than `ttl` without load, never shorter with it.
    """
    factor = 1 if lag_s < _LEAST_LAG_S else next(factor for limit, factor in _LAG_FACTORS if lag_s >= limit)
    longest = ttl * factor
    shortest = max(1, math.ceil(longest * (_SHORTEST if factor == 1 else _SHORTEST_UNDER_LOAD)))
    return shortest + int(chance * (longest - shortest + 1))


def _items(text: str) -> list[str]:
    """`a`, `"a"`, `"a,b"`, `"a","b"` and the empty text, without quotes."""
    return [item.strip() for item in text.replace('"', "").split(",")] if text else []


def _throughput(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return round(value) if math.isfinite(value) and value > 0 else None
