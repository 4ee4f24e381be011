from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from oca.access_log import AccessLog, Event, Record, truncated
from oca.cmcd import Value, parse_cmcd, parse_events

# Writes 5,000 lines, numbered from argv[2] on, as a worker does: some at each flush.
WRITER = """
import sys
from pathlib import Path
from oca.access_log import AccessLog, Event

log = AccessLog(Path(sys.argv[1]), largest_bytes=16_000, keep=10_000)
first = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()  # until all are
for number in range(first, first + 5000):
    log.write(Event(time=0.0, appliance="oca-1", client="", cmcd={"sn": number, "cid": "x" * (number % 97)}))
    if number % 7 == 0:
        log.flush()
log.close()
print(log.lost, log.trouble)
"""


def record(number: int, cmcd: Mapping[str, Value] | None = None) -> Record:
    return Record(
        time=float(number), appliance="oca-1", client="", method="GET", title="t", package="p", file="f", part="f",
        status=200, bytes=number, whole=True, hit=True, seconds=0.1, agent="", cmcd=cmcd,
    )  # fmt: skip


LINE_BYTES = len(msgspec.json.encode(record(0))) + 1


def numbers(*files: Path) -> list[int]:
    """The records' numbers, from first to last file."""
    return [
        msgspec.json.decode(line, type=Record).bytes
        for file in files
        if file.exists()
        for line in file.read_bytes().splitlines()
    ]


def write(log: AccessLog, *which: int) -> None:
    for number in which:
        log.write(record(number))
    log.flush()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def old(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


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


def test_what_the_player_said_is_an_object_of_the_line(path: Path) -> None:
    cmcd = parse_cmcd("CMCD=br%3D(5000%3Bv%20320%3Ba)%2Csid%3D%22s%22%2Csu%2Cv%3D2", {})
    assert cmcd is not None
    log = AccessLog(path)
    log.write(record(1, cmcd.keys))
    log.write(record(2))
    log.close()
    told, silent = (msgspec.json.decode(line)["cmcd"] for line in path.read_bytes().splitlines())
    assert told == {"br": {"v": 5000, "a": 320}, "sid": "s", "su": True, "v": 2}
    assert silent is None


def test_events_have_a_log_of_the_same_kind(path: Path) -> None:
    log = AccessLog(path)
    for cmcd in parse_events(b"e=t,ts=1764752400000,v=2\ne=ps,sta=p,ts=1764752400001,v=2").records:
        log.write(Event(time=1.5, appliance="oca-1", client=truncated("192.0.2.77"), cmcd=cmcd))
    log.close()
    first, second = map(msgspec.json.decode, path.read_bytes().splitlines())
    assert first == {
        "time": 1.5, "appliance": "oca-1", "client": "192.0.2.0", "cmcd": {"e": "t", "ts": 1764752400000, "v": 2},
    }  # fmt: skip
    assert second["cmcd"]["sta"] == "p"


def test_two_workers_append_whole_lines_to_one_file(path: Path) -> None:
    logs = [AccessLog(path) for _ in range(2)]
    for number in range(1000):
        logs[number % 2].write(record(number))
        if number % 7 == 0:
            logs[number % 2].flush()
    for log in logs:
        log.close()
    assert sorted(numbers(path)) == list(range(1000))


def test_a_full_disk_loses_lines_and_keeps_no_memory() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is Linux's")
    log = AccessLog(full)
    log.write(record(1))
    log.write(record(2))
    log.flush()
    log.flush()  # nothing is left to write
    assert (log.lost, log.trouble) == (2, "No space left on device")
    log.close()


def test_a_file_that_is_too_large_is_moved_away_and_the_oldest_of_them_forgotten(path: Path) -> None:
    log = AccessLog(path, largest_bytes=1, keep=2)
    for number in range(5):
        write(log, number)
    log.close()
    assert numbers(path, old(path, 1), old(path, 2)) == [4, 3, 2]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        ".access.log.lock", "access.log", "access.log.1", "access.log.2",
    ]  # fmt: skip


def test_a_file_that_is_too_old_is_moved_away(path: Path) -> None:
    log = AccessLog(path, oldest_s=3600, keep=9)
    write(log, 1)
    write(log, 2)
    lock = path.with_name(".access.log.lock")
    os.utime(lock, (lock.stat().st_atime, lock.stat().st_mtime - 3601))
    write(log, 3)
    write(log, 4)
    log.close()
    assert (numbers(path), numbers(old(path, 1)), old(path, 2).exists()) == ([3, 4], [1, 2], False)


@pytest.mark.parametrize("limits", [{}, {"keep": 5}, {"largest_bytes": 1}, {"oldest_s": 0.001}])
def test_without_a_limit_or_a_number_to_keep_nothing_is_moved(path: Path, limits: dict[str, int]) -> None:
    log = AccessLog(path, **limits)
    for number in range(3):
        write(log, number)
    log.close()
    assert [file.name for file in path.parent.iterdir()] == ["access.log"]


def test_a_worker_that_did_not_move_the_file_follows(path: Path) -> None:
    mover, other = AccessLog(path, largest_bytes=LINE_BYTES, keep=9), AccessLog(path)
    write(other, 1)
    write(mover, 2)
    write(other, 3)
    mover.close()
    other.close()
    assert (numbers(path), numbers(old(path, 1))) == ([2, 3], [1])


def test_only_one_of_those_that_find_the_file_too_large_moves_it(path: Path) -> None:
    logs = [AccessLog(path, largest_bytes=3 * LINE_BYTES, keep=9) for _ in range(4)]
    for number, log in enumerate(logs):
        write(log, number)
    for number, log in enumerate(logs, 4):
        write(log, number)
        log.close()
    files = [path, *(old(path, number) for number in range(1, 10))]
    assert sorted(numbers(*files)) == list(range(8))
    assert all(len(numbers(file)) == 3 for file in files[1:] if file.exists())


@pytest.mark.parametrize("is_told", [True, False])
def test_a_file_that_something_else_has_moved_is_written_no_more(path: Path, *, is_told: bool) -> None:
    log = AccessLog(path)
    write(log, 1)
    log.write(record(2))  # not yet with the kernel
    path.rename(old(path, 1))
    if is_told:
        log.reopen()
        assert path.exists()
    write(log, 3)
    path.unlink()
    write(log, 4)
    log.close()
    assert (numbers(path), numbers(old(path, 1))) == ([4], [1])


def test_a_file_that_cannot_be_moved_or_opened_anew_is_written_on(path: Path) -> None:
    (old(path, 1) / "in the way").mkdir(parents=True)
    log = AccessLog(path, largest_bytes=1, keep=1)
    write(log, 1)
    write(log, 2)
    assert (numbers(path), log.lost, log.trouble) == ([1, 2], 0, "Is a directory")
    path.rename(path.with_name("moved"))
    path.mkdir()
    write(log, 3)
    log.close()
    assert (numbers(path.with_name("moved")), log.lost) == ([1, 2, 3], 0)


def test_a_gap_that_a_killed_worker_left_is_closed(path: Path) -> None:
    log = AccessLog(path, largest_bytes=1, keep=9)
    for number in range(5):
        write(log, number)
    old(path, 2).unlink()
    write(log, 5)
    log.close()
    assert numbers(*(old(path, number) for number in range(1, 6))) == [4, 3, 1, 0]
    assert numbers(path) == [5]


def test_processes_that_write_and_rotate_one_file_neither_lose_nor_tear_a_line(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for first in range(0, 20_000, 5000)
    ]
    pipes = [(writer.stdin, writer.stdout) for writer in writers]
    for _, told in pipes:
        assert told is not None
        assert told.readline() == "ready\n"
    for start, _ in pipes:
        assert start is not None
        start.close()
    elsewhere = 0
    while any(writer.poll() is None for writer in writers):  # with logrotate among them, which knows of no lock
        with suppress(FileNotFoundError):
            if elsewhere < 20 and path.stat().st_size > 8000:
                path.rename(path.with_name(f"elsewhere.{elsewhere}"))
                elsewhere += 1
    for writer, (_, told) in zip(writers, pipes, strict=True):
        assert told is not None
        assert (told.read(), writer.returncode) == ("0 \n", 0)
        told.close()
    files = [file for file in path.parent.iterdir() if not file.name.startswith(".")]
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    assert len([file for file in files if file.name.startswith("access.log.")]) > 20
    assert sorted(msgspec.json.decode(line)["cmcd"]["sn"] for line in lines) == list(range(20_000))
