from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from oca.access_log import AccessLog, Record, truncated


def record(number: int) -> Record:
    return Record(
        time=float(number), appliance="oca-1", client="", method="GET", title="t", package="p", file="f", part="f",
        status=200, bytes=number, whole=True, hit=True, seconds=0.1, agent="", cmcd="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("nonsense", ""),
    ],
)
def test_no_subscriber_can_be_told_from_his_neighbours(address: str, kept: str) -> None:
    assert truncated(address) == kept


def test_two_workers_append_whole_lines_to_one_file(tmp_path: Path) -> None:
    logs = [AccessLog(tmp_path / "access.log") for _ in range(2)]
    for number in range(1000):
        logs[number % 2].write(record(number))
        if number % 7 == 0:
            logs[number % 2].flush()
    for log in logs:
        log.close()
    lines = (tmp_path / "access.log").read_bytes().splitlines()
    assert sorted(msgspec.json.decode(line, type=Record).bytes for line in lines) == list(range(1000))


def test_a_full_disk_loses_lines_and_keeps_no_memory(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is Linux's")
    log = AccessLog(full)
    log.write(record(1))
    log.write(record(2))
    log.flush()
    log.flush()  # nothing is left to write
    assert (log.lost, log.trouble) == (2, "No space left on device")
    os.close(log._fd)
