"""Lines of access logs for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from fill.feed.reading import history_of_logs
from fill.history import History
from fill.names import FileName
from oca.access_log import Record

DAY = 86400.0
# 13:20 past an hour.
NOW = 1_790_000_000.0
FILM = FileName("film", "v720.mp4")


def line(age_s: float = 60.0, size: int = 1000, *, now: float = NOW, **more: Any) -> bytes:
    """A line as an appliance writes it: a segment of a film, watched `age_s` ago."""
    fields: dict[str, Any] = {
        "time": now - age_s, "appliance": "oca1", "client": "192.0.2.0", "method": "GET", "title": "film",
        "package": "ab" * 16, "file": "v720.mp4", "part": "v720/3.m4s", "status": 200, "bytes": size, "whole": True,
        "hit": True, "seconds": 0.1, "agent": "Player/1", "cmcd": None,
    }  # fmt: skip
    return msgspec.json.encode(Record(**(fields | more)))


def write_log(path: Path, lines: Iterable[bytes], *, mode: str = "wb") -> Path:
    with path.open(mode) as log:
        log.writelines(one + b"\n" for one in lines)
    return path


def history(tmp_path: Path, *lines: bytes, days: int = 28) -> History:
    return history_of_logs([write_log(tmp_path / "log", lines)], "here", NOW, days)


def served(found: History, file: FileName = FILM) -> list[float]:
    return list(map(float, found.served[list(found.files).index(file)]))
