"""How much of everything a run has, and how much of that this machine can bear."""

from __future__ import annotations

import dataclasses
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from shutil import disk_usage

from bench.delivery.cases import RANGE_BYTES, RANGES, SIZES, Case
from bench.delivery.content import memory_available_bytes
from bench.errors import BenchError
from config.units import show_bytes

_MIB = 1024 * 1024
# Two caches hold copies of their own, and the page cache must keep the files beside them.
_MEMORY_FACTOR = 4
# Traffic Server writes the files once more, what is pulled through is written again, and logs are trimmed, not endless.
_DISK_FACTOR = 4
_SMALLEST_BIG_BYTES = 64 * _MIB
# What a server may keep for its files and for itself, beside its clients.
_OTHER_DESCRIPTORS = 8192 + 256
# Lone players of a stampede before the many; each has a file of its own.
LONE_PLAYERS = 3


@dataclass(frozen=True)
class Plan:
    cases: Sequence[Case]
    subjects: Sequence[str] = ("*",)  # shell patterns of names
    seconds: int = 3  # of each measurement
    rounds: int = 3
    big_bytes: int = 2048 * _MIB  # of the file of random ranges
    idle: int = 10_000
    slow: int = 1_000
    stampede_players: int = 1_000
    stampede_bytes: int = 8 * _MIB
    pulled_bytes: int = 16 * _MIB  # by each player of a pull-through

    def sizes(self) -> dict[str, int]:
        """The files that the cases need."""
        sizes = {file_name(content): size for content, size in SIZES.items()}
        kinds = {case.kind for case in self.cases}
        if any(case.content == RANGES for case in self.cases):
            sizes[file_name(RANGES)] = self.big_bytes
        if "stampede" in kinds:
            sizes |= {file_name(f"cold{number}"): self.stampede_bytes for number in range(LONE_PLAYERS + 1)}
        if "pull" in kinds:
            players = max(case.connections for case in self.cases if case.kind == "pull")
            sizes |= {file_name(f"film{number}"): self.pulled_bytes for number in range(players)}
        return sizes


def file_name(content: str) -> str:
    return f"{content}.mp4"


def scaled(plan: Plan) -> tuple[Plan, list[str]]:
    """The plan as this machine can bear it, and a sentence for each cut. Raises BenchError where the disk is too small.

    Raises our own limit of descriptors, and so that of all we start, as far as it goes.
    """
    notes = []
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    memory = memory_available_bytes()
    if memory < _MEMORY_FACTOR * plan.big_bytes:
        big = max(_SMALLEST_BIG_BYTES, memory // _MEMORY_FACTOR // RANGE_BYTES * RANGE_BYTES)
        plan = dataclasses.replace(plan, big_bytes=big)
        notes.append(f"the file of random ranges has {show_bytes(big)}: {show_bytes(memory)} of memory are available")
    wanted, room = plan.idle + plan.slow, descriptors - _OTHER_DESCRIPTORS
    if room < wanted:
        share = max(0, room) / wanted
        plan = dataclasses.replace(plan, idle=int(plan.idle * share), slow=int(plan.slow * share))
        notes.append(f"{plan.idle} idle and {plan.slow} slow connections: a process may have {descriptors} descriptors")
    folder, needed = tempfile.gettempdir(), _DISK_FACTOR * sum(plan.sizes().values())
    free = disk_usage(folder).free
    if free < needed:
        raise BenchError(f"{folder} has {show_bytes(free)} free, expected {show_bytes(needed)} for the files")
    return plan, notes
