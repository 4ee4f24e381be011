"""What is measured: the cases, their names, and what counts in each.

    http/1M/32      throughput: 32 connections of wrk, one file of 1 MiB, again and again
    latency/1M/32   open loop at 70 % of the peak that the case http/1M/32 found
    crowd/1M/32     the same 32 beside idle connections and slow readers
    stampede/far    a cold file asked by many players at once
    pull/32         cold files, pulled through by 32 players

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["throughput", "latency", "crowd", "stampede", "pull"]
Scheme = Literal["http", "https"]

_KIB, _MIB = 1024, 1024 * 1024
# The contents that one file each is asked of. 16 KiB is a manifest or a piece of audio, 1 to 4 MiB are segments.
SIZES: Mapping[str, int] = {"16K": 16 * _KIB, "256K": 256 * _KIB, "1M": _MIB, "4M": 4 * _MIB}
# Random ranges of a file that no CPU's cache holds.
RANGES = "ranges"
RANGE_BYTES = 2 * _MIB
CONNECTIONS = (1, 32, 500)
# What is compared: enough connections to keep one worker busy, few enough that the client is not what is measured.
USUAL_CONNECTIONS = 32
# A load that a well-run appliance is kept below.
LOAD_SHARE = 0.7


@dataclass(frozen=True)
class Case:
    kind: Kind
    name: str
    content: str = ""
    scheme: Scheme = "http"
    connections: int = USUAL_CONNECTIONS


@dataclass(frozen=True)
class Metric:
    """How a metric is written and compared; `unit` is "bytes/s", "requests/s", "s", "s/GB", "bytes" or "share"."""

    unit: str
    more_is_better: bool


METRICS: Mapping[str, Metric] = {
    "bytes_per_s": Metric("bytes/s", more_is_better=True),
    "requests_per_s": Metric("requests/s", more_is_better=True),
    "cpu_s_per_gb": Metric("s/GB", more_is_better=False),
    "p50_s": Metric("s", more_is_better=False),
    "p99_s": Metric("s", more_is_better=False),
    "same_rate_p50_s": Metric("s", more_is_better=False),
    "same_rate_p99_s": Metric("s", more_is_better=False),
    "bytes_per_s_alone": Metric("bytes/s", more_is_better=True),
    "idle_connection_bytes": Metric("bytes", more_is_better=False),
    "connections_kept": Metric("share", more_is_better=True),
    "first_byte_one_s": Metric("s", more_is_better=False),
    "first_byte_p50_s": Metric("s", more_is_better=False),
    "first_byte_last_s": Metric("s", more_is_better=False),
    "origin_share": Metric("share", more_is_better=False),
}


def all_cases() -> list[Case]:
    """Every case, in the order they run: peaks before what is measured at a share of them."""
    schemes: tuple[Scheme, ...] = ("http", "https")
    return [
        *(
            Case("throughput", f"{scheme}/{content}/{connections}", content, scheme, connections)
            for scheme in schemes
            for content in (*SIZES, RANGES)
            for connections in CONNECTIONS
        ),
        *(Case("latency", f"latency/{content}/{USUAL_CONNECTIONS}", content) for content in ("16K", "1M")),
        Case("crowd", f"crowd/1M/{USUAL_CONNECTIONS}", "1M"),
        Case("stampede", "stampede/near"),
        Case("stampede", "stampede/far"),
        Case("pull", f"pull/{USUAL_CONNECTIONS}"),
    ]


# What a quick run keeps: the cases that the comparisons with peers are made of.
QUICK = (
    "http/16K/32", "http/256K/32", "http/1M/32", "http/4M/32", "https/16K/32", "https/1M/32",
    "latency/1M/32", "crowd/*", "stampede/far", "pull/*",
)  # fmt: skip


def chosen(cases: Sequence[Case], patterns: Sequence[str]) -> list[Case]:
    """The cases whose names match one of the shell patterns, and the peaks that a latency case among them needs."""
    names = {case.name for case in cases if any(fnmatchcase(case.name, pattern) for pattern in patterns)}
    names |= {peak_name(case) for case in cases if case.kind == "latency" and case.name in names}
    return [case for case in cases if case.name in names]


def peak_name(case: Case) -> str:
    """The throughput case whose result a latency case takes its rate from."""
    return f"{case.scheme}/{case.content}/{case.connections}"


def main_metric(case: Case) -> str:
    """What a throughput case is judged by: small answers by their number, large ones by their bytes."""
    return "requests_per_s" if SIZES.get(case.content, RANGE_BYTES) <= SIZES["16K"] else "bytes_per_s"
