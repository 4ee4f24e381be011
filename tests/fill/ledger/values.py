"""Decisions and answers for tests of the ledger: two sites, and one appliance at each."""

from __future__ import annotations

from typing import Any

from fill.ledger.join import Answer
from steering.decisions import Choice, Decided

NOW = 1_790_000_000.0
NEAR = Choice("near", "north", "usable", "whole")
FAR = Choice("far", "south", "usable", "whole")
ORIGIN = Choice("origin", "", "origin", "whole")


def decided(age_s: float = 60.0, **changes: Any) -> Decided:
    fields: dict[str, Any] = {
        "time": NOW - age_s, "kind": "play", "session": "s1", "client": "192.0.2.0", "title": "film",
        "package": "ab" * 16, "form": "hls", "isp": "Northern", "site": "north", "by": "prefix", "first": "near",
        "first_site": "north", "why": "", "holds_s": 0.0, "choices": (NEAR, FAR, ORIGIN),
    }  # fmt: skip
    return Decided(**(fields | changes))


def answer(age_s: float = 50.0, size: int = 1000, **changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "time": NOW - age_s, "appliance": "near", "client": "192.0.2.0", "title": "film", "package": "ab" * 16,
        "file": "v720.mp4", "part": "v720/1.m4s", "bytes": size, "is_hit": True, "session": "",
    }  # fmt: skip
    return Answer(**(fields | changes))
