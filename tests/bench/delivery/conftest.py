"""A server of plain files, for those who make load: the bare loop in Python."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.delivery.programs import Program
from bench.fleet import find_port

LARGE_BYTES = 4 * 1024 * 1024


class Plain(NamedTuple):
    port: int
    program: Program
    small: bytes
    large: bytes


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    """Serves /small and /large."""
    chance = random.Random(1)
    small, large = chance.randbytes(1000), chance.randbytes(LARGE_BYTES)
    (tmp_path / "small").write_bytes(small)
    (tmp_path / "large").write_bytes(large)
    port = find_port(["127.0.0.1"])
    command = [sys.executable, "-m", "bench.delivery.bare", str(tmp_path), str(port), "131072"]
    program = Program("bare", tmp_path, command)
    program.start()
    try:
        program.await_port(port)
        yield Plain(port, program, small, large)
    finally:
        program.stop()
