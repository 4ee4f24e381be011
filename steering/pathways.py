"""The steering manifest that players poll, and what they say when they ask for it.

The format is that of RFC 8216bis section 7, which DASH shares (ETSI TS 103 998). What real players do narrows it: they
stop steering for good at a 404, 410, 429 or another VERSION, one fails at an empty PATHWAY-CLONES, one resolves a
relative RELOAD-URI against the wrong base, and their query parameters come with and without quotes, as lists, as
floats, empty, or not at all. So every answer is a 200 with an absolute RELOAD-URI and nothing empty in it.

Pure: query in, order in, bytes out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

Format: TypeAlias = Literal["hls", "dash"]

# A session that cannot be read is polled less often: its answer will not change much.
UNKNOWN_SESSION_TTL_FACTOR = 6
# How late the event loop may run before polls are spread, and by how much. Overload is answered with a longer TTL and
# never with a 429, at which hls.js stops steering for good. 0.1 s of lag is the load at which answers queue.
_LAG_FACTORS = ((1.0, 12), (0.3, 6), (0.1, 3))
_PATHWAY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_MEASURED = 32  # a list longer than any manifest has pathways is nonsense


class Measured(NamedTuple):
    """What a player says of a pathway; `throughput_bps` is None where it has no measurement."""

    pathway: str
    throughput_bps: int | None


def read_query(query: Mapping[str, str], form: Format) -> tuple[Measured, ...]:
    """The pathways a player says it uses (HLS: one; DASH: those it measured), in its order. Nonsense is left out."""
    prefix = f"_{form.upper()}_"
    # Paired by position, so a throughput left empty must keep its place and a pathway's must not shift.
    pathways = _items(query.get(f"{prefix}pathway", ""))[:_MOST_MEASURED]
    throughputs = _items(query.get(f"{prefix}throughput", ""))
    return tuple(
        Measured(pathway, _throughput(throughputs[position] if position < len(throughputs) else ""))
        for position, pathway in enumerate(pathways)
        if _PATHWAY.fullmatch(pathway)
    )


def steering_manifest(priority: Sequence[str], ttl: int, reload_uri: str) -> bytes:
    """The JSON of a steering manifest. `priority` is not empty and names nobody twice; `reload_uri` is absolute."""
    return msgspec.json.encode({"VERSION": 1, "TTL": ttl, "RELOAD-URI": reload_uri, "PATHWAY-PRIORITY": list(priority)})


def ttl_under_load(ttl: int, lag_s: float) -> int:
    """Seconds to the next poll when the event loop runs `lag_s` late."""
    return ttl * next((factor for limit, factor in _LAG_FACTORS if lag_s >= limit), 1)


def _items(text: str) -> list[str]:
    """`a`, `"a"`, `"a,b"`, `"a","b"` and the empty text, without quotes."""
    return [item.strip() for item in text.replace('"', "").split(",")] if text else []


def _throughput(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return round(value) if math.isfinite(value) and value > 0 else None
