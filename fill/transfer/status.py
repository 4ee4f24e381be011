"""How far an agent is: STATE/fill.json, written whole or not at all, every two seconds while it fills.

It also remembers the files that a plan began and did not finish: if the next plan does not want them, what came of them
is dropped, for no report of the appliance ever names a file that is not whole.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from fill.transfer.outcome import Failure, Outcome

NAME = "fill.json"
WRITE_EVERY_S = 2.0

State: TypeAlias = Literal["waiting for the window", "filling", "waiting for a plan", "ended"]

logger = logging.getLogger(__name__)


class Transfer(msgspec.Struct, frozen=True):
    """A file under way."""

    title: str
    package: str
    file: str
    done: int
    size: int
    source: str  # who gave the latest block


class Begun(msgspec.Struct, frozen=True):
    """A file that is not whole yet."""

    title: str
    package: str
    file: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds since the epoch; `eta_s` is 0 while it cannot be told."""

    appliance: str
    state: State
    as_of: float
    version: int = 0  # of the plan
    started: float = 0.0
    planned_files: int = 0
    planned_bytes: int = 0
    done_files: int = 0
    done_bytes: int = 0
    rate_bps: int = 0
    eta_s: float = 0.0
    by_source: dict[str, int] = {}
    now: tuple[Transfer, ...] = ()
    begun: tuple[Begun, ...] = ()
    waiting: int = 0  # files that wait for a master, or until a source is ready
    failed: tuple[Failure, ...] = ()
    last: Outcome | None = None  # what became of the plan before


class StatusFile:
    """`path` is None where nothing is to be kept."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / NAME if folder is not None else None
        self._trouble = ""

    async def write(self, status: Status) -> None:
        """A disk that does not take it costs the status, not the fill."""
        if self._path is None:
            return
        try:
            await asyncio.to_thread(_replace, self._path, msgspec.json.encode(status))
            self._trouble = ""
        except OSError as error:
            if str(error) != self._trouble:
                logger.warning("the status of the fill cannot be written", extra={"why": str(error)})
            self._trouble = str(error)

    def read(self) -> Status | None:
        """What was written last; None if there is nothing that can be read."""
        if self._path is not None:
            with suppress(OSError, msgspec.DecodeError):
                return msgspec.json.decode(self._path.read_bytes(), type=Status)
        return None


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(path)
