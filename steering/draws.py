"""Numbers drawn from names: as good as random, and the same on every replica.

Who draws has a seed, a number of 0 to 1; what it draws for has a salt, one of 2^20 to 2^21; both are made once, by a
hash of the name. The fraction of their product is as good as another hash of both, in a twentieth of the time: it is
multiplicative hashing (Knuth, The Art of Computer Programming 6.4) in floating point, of which 32 bits are left.

Pure.
"""

from __future__ import annotations

from hashlib import blake2b
from math import log

# What has no weight at all comes last, and in an order of its own.
LEAST_WEIGHT = 1e-9


def seed_of(name: str) -> float:
    """Of 0 to 1, 1 not included."""
    return (int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 11) / 2**53


def salt_of(name: str) -> float:
    return 2**20 * (1 + seed_of(name))


def uniform(seed: float, salt: float) -> float:
    """A number of 0 to 1, 1 not included, that is the pair's own."""
    return seed * salt % 1.0


def arrival(seed: float, salt: float, weight: float) -> float:
    """Weighted rendezvous hashing: among several, each is the lowest with a probability proportional to its weight.

    -ln(u)/w of a uniform u is an exponential variable of rate w, and the first of several such arrives in proportion
    to its rate (Schindelhauer and Schomaker, 2005).
    """
    return -log(1.0 - seed * salt % 1.0) / (weight if weight > LEAST_WEIGHT else LEAST_WEIGHT)
