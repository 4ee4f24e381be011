"""The order in which the appliances of a cluster are the home of a package: weighted rendezvous hashing.

Each appliance draws a number from the hash of its name and the package's; the draws, scaled by the appliances' weights,
are the order. So anybody computes it from the names alone; an appliance of twice the weight is first twice as often;
and when one comes or goes, only what it is first for moves, nothing else.

A package is placed as one, though its files are chosen one by one: a pathway is a host (RFC 8216bis 7.1), so a player
asks one appliance for video and audio alike, and files of one film on several appliances would only be asked for there
to be fetched from each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import log


def order(key: str, weights: Mapping[str, float]) -> list[str]:
    """The appliances (name -> weight > 0) in the order in which they are home to `key`.

    Score -w / ln(u) with u uniform in (0, 1): Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005.
    """
    return sorted(weights, key=lambda name: (-_score(key, name, weights[name]), name))


def _score(key: str, name: str, weight: float) -> float:
    digest = blake2b(f"{name}\0{key}".encode(), digest_size=8).digest()
    # 53 bits are what a float can tell apart; the half keeps the draw off 0 and 1.
    uniform = ((int.from_bytes(digest, "big") >> 11) + 0.5) / 2**53
    return -weight / log(uniform)
