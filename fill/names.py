"""What is decided on: a file of a title, and the package of it that the catalog offers.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from encoder.package import Package


class FileName(NamedTuple):
    """A file of a title, whatever its package: a new encode inherits what the old one's files were watched."""

    title: str
    file: str


@dataclass(frozen=True)
class Offer:
    """A package as the planner sees it: the one that the catalog offers of a title."""

    package_name: str
    package: Package
    published_at: float  # seconds since the epoch, as the next
    available_from: float = 0.0  # players may play it from then on
    available_until: float = float("inf")
    superseded: tuple[str, ...] = ()  # earlier packages of the title, whose players are in the middle of them
