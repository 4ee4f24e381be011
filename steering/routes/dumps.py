"""Whole tables from files: MRT dumps and what `birdc show route all` printed, plain or compressed.

A file is taken over whole or not at all.
"""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from steering.errors import DumpError
from steering.routes.bird_text import read_routes
from steering.routes.mrt import MrtPeer, Reader
from steering.routes.peer import Peer
from steering.routes.route import Attributes, Key

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"


@dataclass
class Dump:
    """What a file says, by session; `notes` on what of it was passed over."""

    routes: dict[str, dict[Key, Attributes]]
    notes: list[str] = field(default_factory=list)


def read_dump(path: Path, peers: Mapping[str, Peer], session: str = "") -> Dump:
    """All routes are of `session`; without one, an MRT dump's are of those sessions whose neighbours it names.

    Raises DumpError.
    """
    try:
        with path.open("rb") as file, _unpacked(file) as stream:
            if _is_text(stream):
                if not session:
                    raise DumpError("this is BIRD's text, which names no session: expected --session NAME")
                lines = io.TextIOWrapper(cast(BinaryIO, stream), errors="replace")
                routes = read_routes(lines)
                if not routes:
                    raise DumpError("there is no route in it, expected an MRT dump or `birdc show route all`")
                return Dump({session: routes})
            return _read_mrt(stream, peers, session)
    except (OSError, EOFError, zlib.error) as error:
        raise DumpError(f"the file cannot be read: {error}") from error


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    begin = file.peek(3)
    if begin.startswith(_GZIP):
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(file)))
    if begin.startswith(_BZIP2):
        return io.BufferedReader(cast(io.RawIOBase, bz2.open(file)))
    return file


def _is_text(stream: io.BufferedReader) -> bool:
    """A record's header has zeros in it: types are below 64, so the first byte of two is."""
    return b"\0" not in stream.peek(12)[:12]


def _read_mrt(stream: BinaryIO, peers: Mapping[str, Peer], session: str) -> Dump:
    reader = Reader(stream)
    found: dict[MrtPeer, dict[Key, Attributes]] = {}
    for key, peer, attributes in reader.routes():
        found.setdefault(peer, {})[key] = attributes
    dump = Dump(_of_one(found, peers, session) if session else _of_all(found, peers))
    if reader.skipped:
        dump.notes.append(f"{reader.skipped.total()} records of other types are passed over")
    taken = sum(len(routes) for routes in dump.routes.values())
    left = sum(len(routes) for routes in found.values()) - taken
    if left:
        dump.notes.append(f"{left} routes of neighbours that are no session's are passed over")
    return dump


def _of_one(
    found: Mapping[MrtPeer, dict[Key, Attributes]], peers: Mapping[str, Peer], session: str
) -> dict[str, dict[Key, Attributes]]:
    own = [peer for peer in found if peer.address == peers[session].place]
    if len(own) == 1 or len(found) == 1:
        return {session: found[own[0] if own else next(iter(found))]}
    raise DumpError(
        f"it has the routes of {len(found)} neighbours ({_ases(found)}), expected one, or that one of them has the "
        f"address of session {session}"
    )


def _of_all(
    found: Mapping[MrtPeer, dict[Key, Attributes]], peers: Mapping[str, Peer]
) -> dict[str, dict[Key, Attributes]]:
    names = {peer.place: name for name, peer in peers.items() if peer.address}
    taken = {names[peer.address]: routes for peer, routes in found.items() if peer.address in names}
    if not taken:
        raise DumpError(f"none of its neighbours ({_ases(found)}) is one of a session's: expected --session NAME")
    return taken


def _ases(found: Iterable[MrtPeer]) -> str:
    numbers = sorted({peer.asn for peer in found})
    return ", ".join(f"AS {number}" for number in numbers[:5]) + (", ..." if len(numbers) > 5 else "")
