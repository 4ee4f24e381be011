"""The table as a file: what readers see while it is written, killed, damaged and replaced."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.errors import TableError
from steering.prefixes import table_file
from steering.prefixes.addresses import Prefix
from steering.prefixes.table import Match, Names
from steering.prefixes.table_file import TableReader, TableWriter
from tests.steering.tables import changes, ends, longest

ROOT = Path(__file__).parents[3]
NET = (4, 10 << 24, 16)
INSIDE = (4, 10 << 24 | 7)
# One child writes changes of a hundred prefixes each until it is killed; in a change all are of the same site.
ENDLESS = """
import itertools, pathlib, sys
from steering.prefixes.table_file import TableWriter
writer = TableWriter(pathlib.Path(sys.argv[1]))
prefixes = [(4, 10 << 24 | n << 16, 20) for n in range(100)]
for n in itertools.count():
    (writer.replace if n % 50 == 0 else writer.apply)({prefix: (f"site-{n}",) for prefix in prefixes})
"""


# A prefix of no length is in all slabs: an example may take 50 ms.
@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), changes), max_size=6))
def test_readers_see_what_was_written(steps: list[tuple[bool, dict[Prefix, Names]]]) -> None:
    with TemporaryDirectory() as folder:  # hypothesis's examples would share the test's own
        path = Path(folder) / "table"
        writer, early, known = TableWriter(path), TableReader(path), dict[Prefix, Names]()
        for replaces, step in steps:
            (writer.replace if replaces else writer.apply)(step)
            known = {prefix: sites for prefix, sites in ((known if not replaces else {}) | step).items() if sites}
            early.refresh()
            late = TableReader(path)
            assert early.counts == late.counts
            assert early.generation == late.generation == writer.generation
            for prefix in (*known, *step):
                for address in ends(prefix):
                    assert early.find(address) == late.find(address) == longest(known, address)
        writer.close()


def written(path: Path, *sites: str) -> bytes:
    """A table of one prefix, which was of these sites in turn; a change each."""
    writer = TableWriter(path)
    for site in sites:
        writer.apply({NET: (site,)})
    writer.close()
    return path.read_bytes()


def put(path: Path, data: bytes) -> None:
    """As one replaces a file that others have mapped."""
    new = path.with_name("put")
    new.write_bytes(data)
    new.rename(path)


@pytest.mark.parametrize("changes", [1, 3, 49, 51, 120])
def test_whenever_the_writer_is_killed_readers_see_each_change_whole(tmp_path: Path, changes: int) -> None:
    path = tmp_path / "table"
    reader = TableReader(path)
    writer = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], cwd=ROOT)
    try:
        while reader.generation < changes:
            assert writer.poll() is None
            if reader.refresh():
                assert one_site(reader)
    finally:
        writer.kill()
        writer.wait()
    reader.refresh()
    late = TableReader(path)
    assert not late.trouble
    assert one_site(late) == one_site(reader) == f"site-{late.generation - 1}"
    after = TableWriter(path)  # the kernel has let go of the lock
    after.apply({NET: ("north",)})
    after.close()
    reader.refresh()
    assert reader.generation == late.generation + 1
    assert reader.find(INSIDE) == Match(("north",), 16)


def one_site(reader: TableReader) -> str:
    """The site of all prefixes of a change."""
    sites = {match.sites for n in range(100) if (match := reader.find((4, 10 << 24 | n << 16))) is not None}
    ((site,),) = sites
    return site


def test_of_a_change_that_was_cut_short_nothing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "_LEAST_BYTES", 4096)
    path = tmp_path / "table"
    before, after = written(path, "one"), written(tmp_path / "other", "one", "two")
    begin = len(before.rstrip(b"\0")) + 7 & ~7
    (size,) = struct.unpack_from("<Q", after, begin)
    for end in range(begin + 8, begin + 32 + size):
        put(path, after[:begin] + bytes(8) + after[begin + 8 : end] + bytes(len(after) - end))
        reader = TableReader(path)
        assert not reader.trouble
        assert reader.find(INSIDE) == Match(("one",), 16)


def test_a_damaged_change_is_said_and_what_came_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "table"
    written(path, "one")
    data = bytearray(written(tmp_path / "other", "one", "two"))
    data[len(bytes(data).rstrip(b"\0")) - 3] ^= 1
    reader = TableReader(path)
    put(path, bytes(data))
    assert not reader.refresh()
    assert "is damaged at byte" in reader.trouble
    assert reader.find(INSIDE) == Match(("one",), 16)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: b"", "is no prefix table"),
        (lambda data: b"hello" * 100, "is no prefix table"),
        (lambda data: data[:100], "of 100 bytes, expected 1048608 as it says itself"),
        (lambda data: data[:16] + struct.pack("<Q", 33) + data[24:], "of 1048608 bytes, expected 33 as it says"),
        (lambda data: data[:16] + bytes(8) + data[24:], "of 1048608 bytes, expected 0 as it says"),
        (lambda data: data[:8] + bytes([9]) + data[9:], "of version 9, expected version 1"),
        (lambda data: data[:90] + b"\xff" + data[91:], "is damaged at byte 48"),
        (lambda data: data[:32] + bytes(len(data) - 32), "has no table in it"),
    ],
)
def test_a_file_that_is_no_good_table_is_refused_in_words_and_the_last_one_stays(
    tmp_path: Path, harm: Callable[[bytes], bytes], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "table"
    good = written(path, "north")
    reader = TableReader(path)
    put(path, harm(good))
    assert not reader.refresh()
    assert said in reader.trouble
    assert reader.find(INSIDE) == Match(("north",), 16)
    assert not reader.refresh()
    assert len(caplog.records) == 1  # said once
    assert TableReader(path).find(INSIDE) is None
    put(path, good)
    assert reader.refresh()
    assert not reader.trouble


def test_a_file_that_could_not_be_opened_is_opened_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table"
    written(path, "north")
    with monkeypatch.context() as forbidden:
        forbidden.setattr(Path, "open", _not_ours)
        reader = TableReader(path)
        assert not reader.refresh()
        assert reader.trouble.endswith("table: Permission denied")
    assert reader.refresh()  # another owner or mode is no other content
    assert reader.find(INSIDE) == Match(("north",), 16)


def test_what_stands_behind_a_table_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "table"
    put(path, written(path, "north") + os.urandom(65536))
    assert TableReader(path).find(INSIDE) == Match(("north",), 16)


def test_a_table_may_come_later_and_vanish_and_come_again(tmp_path: Path) -> None:
    path = tmp_path / "table"
    reader = TableReader(path)
    assert reader.find(INSIDE) is None
    assert (reader.generation, reader.changed_at, reader.counts) == (0, 0.0, (0, 0))
    assert "No such file" in reader.trouble
    good = written(path, "north")
    assert reader.refresh()
    assert (reader.generation, reader.counts) == (1, (1, 0))
    path.unlink()
    assert not reader.refresh()
    assert "No such file" in reader.trouble
    assert reader.find(INSIDE) == Match(("north",), 16)
    put(path, good)
    assert reader.refresh()
    assert not reader.trouble


def test_the_last_change_has_an_age(tmp_path: Path) -> None:
    now = 1000.0
    writer = TableWriter(tmp_path / "table", epoch=lambda: now)
    writer.apply({NET: ("north",)})
    now = 2000.0
    writer.apply({NET: ("north",)})  # nothing new
    reader = TableReader(tmp_path / "table")
    assert (reader.generation, reader.changed_at, reader.age_s(1060.0)) == (1, 1000.0, 60.0)
    writer.close()


def test_changes_that_do_not_fit_in_make_a_new_file_that_forgets_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "_LEAST_BYTES", 4096)
    path = tmp_path / "table"
    writer, reader, files = TableWriter(path), TableReader(path), set()
    for number in range(300):
        writer.apply({NET: (f"site-{number}",)})
        reader.refresh()
        assert reader.find(INSIDE) == Match((f"site-{number}",), 16)
        files.add(path.stat().st_ino)
    writer.close()
    assert len(files) > 1
    assert path.stat().st_size < 2**13


def test_only_one_process_writes(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path / "table")
    with pytest.raises(TableError, match=r"another process writes .*table, expected one"):
        TableWriter(tmp_path / "table")
    writer.close()
    TableWriter(tmp_path / "table").close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"table\.lock cannot be opened: No such file"):
        TableWriter(tmp_path / "nowhere" / "table")


def test_after_an_error_of_the_disk_nothing_that_was_announced_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table"
    writer, reader = TableWriter(path), TableReader(path)
    writer.apply({NET: ("north",)})
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", _no_space)
        for change in ({NET: ("south",)}, {(4, 11 << 24, 8): ("west",)}):
            with pytest.raises(TableError, match="table could not be written: No space left on device"):
                writer.apply(change)
    assert {file.name for file in tmp_path.iterdir()} == {"table", "table.lock"}  # what is half written takes no space
    reader.refresh()
    assert reader.find(INSIDE) == Match(("north",), 16)
    writer.apply({(4, 12 << 24, 8): ("east",)})
    reader.refresh()
    assert reader.counts == (3, 0)
    assert reader.find(INSIDE) == Match(("south",), 16)
    writer.close()


def _not_ours(*_: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_table_that_nobody_keeps_up_any_more_is_said_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "table"
    writer, now = TableWriter(path), time.time()
    writer.replace({(4, 0xC0000200, 24): ("north",)})
    later = TableReader(path, epoch=lambda: now + 60)
    assert "is the routes process running?" in later.trouble
    assert later.counts == (1, 0)
    os.utime(path, (now - 60, now - 60))
    reader = TableReader(path)
    assert "nobody has written" in reader.trouble
    writer.beat()
    reader.refresh()
    assert reader.trouble == ""
    writer.close()
