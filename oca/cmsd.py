"""Writes what this hop says about a delivery: a member of CMSD-Dynamic (CTA-5006).

The field is a list of Structured Fields (RFC 8941), the hop nearest to the origin first: a hop appends its member to
what it got from upstream, after a comma.

Pure.
"""

from __future__ import annotations

from functools import lru_cache


def dynamic(
    name: str,
    *,
    etp_kbps: int | None = None,
    rtt_ms: int | None = None,
    mb_kbps: int | None = None,
    rd_ms: int | None = None,
    duress: bool = False,
) -> str:
    """`"name";etp=96;rtt=8;du`: estimated throughput, round trip, largest bitrate advised, response delay, duress.

    What is None is left out. Raises ValueError where `name` has characters other than printable ASCII.
    """
    member = _quoted(name)
    if etp_kbps is not None:
        member += f";etp={etp_kbps:d}"
    if rtt_ms is not None:
        member += f";rtt={rtt_ms:d}"
    if mb_kbps is not None:
        member += f";mb={mb_kbps:d}"
    if rd_ms is not None:
        member += f";rd={rd_ms:d}"
    return member + ";du" if duress else member


@lru_cache(maxsize=16)
def _quoted(name: str) -> str:
    """An appliance has one name, so this is done once."""
    if not (name.isascii() and name.isprintable()):
        raise ValueError(f"{name!r} cannot name a hop in CMSD-Dynamic, expected printable ASCII")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
