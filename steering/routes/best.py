"""The order of several sessions' paths to one prefix: the standard's, so that it is what the ISP's engineers expect.

RFC 4271 section 9.1.2.2 and common practice: highest local preference, shortest AS path, lowest origin, lowest MED,
external before internal, lowest router ID, lowest peer address. Left out are the metric to the next hop, which a
receive-only speaker does not have, and the route's age: the order is the same after a restart.

MED is a word of one neighbour to another, so it compares only paths of the same neighbour AS. Compared pairwise along
with the rest that is no order (a beats b, b beats c, c beats a); so paths are ordered within each neighbour's group,
MED included, and the groups' heads against each other, MED left out ("deterministic MED").

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from steering.routes.route import Attributes, hops, neighbour


class Path(NamedTuple):
    """One session's path to a prefix."""

    attributes: Attributes
    site: str
    is_external: bool
    router_id: int
    address: tuple[int, int]  # the peer's: IP version and number
    name: str = ""


def order(paths: Iterable[Path], *, always_compare_med: bool = False) -> list[Path]:
    """All paths, best first."""
    groups: dict[int, list[Path]] = {}
    for path in paths:
        group = 0 if always_compare_med else neighbour(path.attributes.as_path)
        groups.setdefault(group, []).append(path)
    # Each group the other way round: its head is taken off the end.
    waiting = [
        sorted(group, key=lambda path: _rank(path, path.attributes.med or 0), reverse=True) for group in groups.values()
    ]
    ordered = []
    while waiting:
        first = min(waiting, key=lambda group: _rank(group[-1], 0))
        ordered.append(first.pop())
        if not first:
            waiting.remove(first)
    return ordered


def sites(paths: Iterable[Path], *, always_compare_med: bool = False) -> tuple[str, ...]:
    """The sites that announced the prefix, best first, each once."""
    return tuple(dict.fromkeys(path.site for path in order(paths, always_compare_med=always_compare_med)))


def _rank(path: Path, med: int) -> tuple[Any, ...]:
    """The lower, the better. A missing MED is the lowest (RFC 4271 9.1.2.2 c)."""
    attributes = path.attributes
    return (
        -attributes.local_preference,
        hops(attributes.as_path),
        attributes.origin,
        med,
        not path.is_external,
        path.router_id,
        path.address,
        path.name,
    )
