from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steering.decisions import Decided
from steering.errors import ReplayError
from steering.replay.plays import PlayLogs

NOW = 1.8e9


def line(time: float, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "time": NOW + time, "kind": "play", "session": f"s{time}", "client": "127.0.0.0", "title": "film",
        "package": "0" * 32, "form": "hls", "isp": "", "site": "north", "by": "prefix", "first": "a1",
        "first_site": "north", "why": "", "holds_s": 0.0, "choices": (),
    }  # fmt: skip
    return msgspec.json.encode(Decided(**{**fields, **changes})) + b"\n"


def times(logs: PlayLogs) -> list[float]:
    return [play.time - NOW for play in logs.read()]


def test_several_logs_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    first, second = tmp_path / "decisions.log", tmp_path / "decisions.log.1.gz"
    first.write_bytes(line(2) + line(1) + line(4))
    second.write_bytes(gzip.compress(line(0) + line(3)))
    logs = PlayLogs([first, second], 0, float("inf"))
    assert times(logs) == [0, 1, 2, 3, 4]
    assert times(logs) == [0, 1, 2, 3, 4]  # again
    assert logs.seen.plays == 5


def test_polls_and_other_times_are_passed_over_and_nonsense_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    log.write_bytes(line(1) + line(2) + line(3, kind="poll") + b"nonsense\n\xff\n\n" + line(4) + b'{"time":')
    os.utime(log, (NOW + 9, NOW + 9))
    logs = PlayLogs([log], NOW + 2, NOW + 3)
    assert times(logs) == [2]
    assert (logs.seen.plays, logs.seen.others, logs.seen.broken) == (1, 3, 3)


def test_a_log_that_ends_torn_is_read_to_there_and_named(tmp_path: Path) -> None:
    log = tmp_path / "decisions.log.1.gz"
    log.write_bytes(gzip.compress(b"".join(line(number) for number in range(2000)))[:-9])
    logs = PlayLogs([log], 0, float("inf"))
    assert times(logs)[:2] == [0, 1]
    assert list(logs.seen.unreadable) == [log]


def test_a_log_that_ended_before_is_not_opened(tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    log.write_bytes(line(1))
    os.utime(log, (NOW, NOW))
    assert not times(PlayLogs([log], NOW + 1, float("inf")))


def test_a_log_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"log of decisions .*none.log: No such file"):
        PlayLogs([tmp_path / "none.log"], 0, 1)


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    log.write_bytes(b"".join(line(number) for number in range(3000)))
    logs, told = PlayLogs([log], 0, float("inf")), list[int]()
    list(logs.read(told.append))
    assert told == sorted(told)
    assert 0 < told[-1] <= logs.size_bytes
