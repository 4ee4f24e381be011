"""Peers and routes for tests, written shortly."""

from __future__ import annotations

from typing import Any

from steering.prefixes.addresses import Prefix, read_prefix
from steering.routes.peer import Peer
from steering.routes.route import Attributes, Key, parse_path, parse_prefix


def peer(name: str = "isp1", site: str = "north", **more: Any) -> Peer:
    return Peer(**{"name": name, "site": site, "address": "11.0.0.1", "peer_as": 3356, "local_as": 2906, **more})


def key(text: str) -> Key:
    return parse_prefix(text)


def keys(*texts: str) -> list[Key]:
    return [parse_prefix(text) for text in texts]


def prefix(text: str) -> Prefix:
    found = read_prefix(text)
    assert found is not None
    return found


def attributes(path: str = "3356 1299", **more: Any) -> Attributes:
    return Attributes(parse_path(path), **more)
