"""The prefix table by itself: how long it takes to build, how large it is, how long a look-up takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.steering import world
from steering.prefixes.addresses import Address, parse_address
from steering.prefixes.table_file import TableReader, TableWriter

_LOOKED_UP = 100_000


class Built(NamedTuple):
    prefixes: int
    build_s: float
    size_bytes: int  # that are in use, of the file that all workers map


def build(size: world.Size, path: Path) -> Built:
    entries = world.prefixes(size)
    writer = TableWriter(path)
    gc.collect()
    began = time.perf_counter()
    writer.replace(entries)
    took = time.perf_counter() - began
    writer.close()
    return Built(len(entries), took, path.stat().st_blocks * 512)


def look_up_s(size: world.Size, path: Path, rounds: int) -> Sequence[float]:
    """Seconds of one look-up, in each round: addresses that are in the table, in no order."""
    texts = world.clients(size._replace(is_even=True), world.prefixes(size), _LOOKED_UP)
    addresses = [address for text in texts if (address := parse_address(text)) is not None]
    reader = TableReader(path)
    reader.refresh()
    return [_time(reader, addresses) - _time_nothing(addresses) for _ in range(rounds)]


def _time(reader: TableReader, addresses: Sequence[Address]) -> float:
    find = reader.find
    began = time.perf_counter()
    for address in addresses:
        find(address)
    return (time.perf_counter() - began) / len(addresses)


def _time_nothing(addresses: Sequence[Address]) -> float:
    began = time.perf_counter()
    for _ in addresses:
        pass
    return (time.perf_counter() - began) / len(addresses)
