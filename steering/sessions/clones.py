"""Pathways that a session's manifest does not list, told of to its player in a steering manifest (PATHWAY-CLONES).

A manifest lists a few appliances, as they were when the session began. When none of them can serve it any more, the
origin is left, though others may stand ready or have come since: those are told of as clones of a pathway that is
listed. A clone is all of its base's URIs with another host, and players differ in what a host is:

    hls.js, Shaka   set the URL's hostname: a port there is silently ignored, and the base's stays
    dash.js         puts HOST where host and port were: without a port it is 80

So a clone stands at its base's scheme and port, where the bare host means the same, and dash.js is told the port as
well: it is the one whose queries have quotes. The path is the base's, the token in it included, which every appliance
takes. Shaka ignores steering where a manifest lists a single pathway. A player forgets a clone that is not told again,
so the session's token remembers them, and each manifest repeats them.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

# Of a session in all: by then a region is gone, and the origin serves it.
MOST_CLONES = 4
_PORTS = {"http": 80, "https": 443}


class Stand(NamedTuple):
    """An appliance, and where it serves."""

    name: str
    url: str


def base_of(url: str, bases: Iterable[Stand]) -> str | None:
    """The first of the listed pathways that one at `url` can be a clone of."""
    wanted = _scheme_and_port(url)
    return next((base.name for base in bases if wanted is not None and _scheme_and_port(base.url) == wanted), None)


def describe(clones: Iterable[Stand], bases: Sequence[Stand], *, with_port: bool) -> list[Mapping[str, object]]:
    """PATHWAY-CLONES; those that are no clone of any base are left out."""
    described: list[Mapping[str, object]] = []
    for name, url in clones:
        base = base_of(url, bases)
        if base is not None:
            described.append({"BASE-ID": base, "ID": name, "URI-REPLACEMENT": {"HOST": _host(url, with_port)}})
    return described


def _scheme_and_port(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.port or _PORTS[parts.scheme]) if parts.hostname else None
    except (ValueError, KeyError):
        return None


def _host(url: str, with_port: bool) -> str:
    netloc = urlsplit(url).netloc.rpartition("@")[2]
    if with_port:
        return netloc
    return netloc[: netloc.index("]") + 1] if netloc.startswith("[") else netloc.partition(":")[0]
