from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from encoder import package as packages
from encoder.package import BLOCK_SIZE, StoredFile
from oca.errors import SpaceError
from oca.store.blocks import Blocks, remove
from tests.media import stored

DATA = os.urandom(BLOCK_SIZE) + bytes(BLOCK_SIZE) + os.urandom(12345)
FILE = stored("v.mp4", DATA)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "v.mp4"


def held(path: Path) -> Blocks:
    path.write_bytes(DATA)
    return Blocks(path, FILE, is_whole=True)


def land(blocks: Blocks, block: int) -> None:
    first, end = packages.block_range(block, FILE.size)
    digest = hashlib.sha256()
    blocks.write([DATA[first:end]], first, digest)
    assert digest.hexdigest() == FILE.blocks[block]
    blocks.mark(block)


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 1,)))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def reopened(path: Path, file: StoredFile = FILE) -> Blocks:
    """As the next start finds it."""
    return Blocks(path, file, is_whole=path.exists())


def test_a_file_has_no_name_until_it_is_committed(path: Path) -> None:
    blocks = Blocks(path, FILE, is_whole=False)
    for block in range(3):
        assert not path.exists()
        land(blocks, block)
    blocks.commit()
    assert path.read_bytes() == DATA and list(path.parent.iterdir()) == [path]
    assert blocks.path == path and path.stat().st_ino == blocks.inode
    blocks.close()


def test_blocks_of_an_earlier_run_are_claims_until_they_are_read(path: Path) -> None:
    blocks = Blocks(path, FILE, is_whole=False)
    land(blocks, 2)
    blocks.close()
    again = reopened(path)
    assert (bytes(again.has), bytes(again.right)) == (b"\0\0\1", b"\0\0\0")
    assert again.state(2) == again.state_on_disk(2) == "right"
    again.close()


def test_a_claim_without_its_bytes_is_refuted(path: Path) -> None:
    path.with_name("v.mp4.partial").write_bytes(b"")  # what a power cut leaves of a file that was not synced
    path.with_name("v.mp4.blocks").write_bytes(b"\1\1\1")
    blocks = reopened(path)
    assert blocks.state(0) == blocks.state(2) == "wrong"
    assert blocks.state(1) == "right"  # that one is zeros anyway
    blocks.refute(0)
    assert bytes(blocks.has) == path.with_name("v.mp4.blocks").read_bytes() == b"\0\1\1"
    blocks.close()


def test_marks_of_a_file_that_is_gone_say_nothing(path: Path) -> None:
    path.with_name("v.mp4.blocks").write_bytes(b"\1\1\1")  # a crash in the middle of a drop or of a commit
    blocks = reopened(path)
    assert not any(blocks.has)
    blocks.close()


def test_a_wrong_block_makes_a_whole_file_partial_on_the_same_inode(path: Path) -> None:
    blocks = held(path)
    flip(path, 5)
    assert [blocks.state(block) for block in range(3)] == ["wrong", "right", "right"]
    inode = blocks.inode
    blocks.refute(0)
    assert not path.exists() and not blocks.is_whole
    assert blocks.path.stat().st_ino == inode and bytes(blocks.has) == b"\0\1\1"
    land(blocks, 0)
    blocks.right[1] = blocks.right[2] = 1
    blocks.commit()
    assert path.read_bytes() == DATA and path.stat().st_ino == inode
    blocks.close()


@pytest.mark.parametrize("planned", [True, False])
def test_a_file_of_the_plan_stays_the_plans_while_it_is_repaired(path: Path, planned: bool) -> None:
    path.write_bytes(DATA)
    path.chmod(0o444 if planned else 0o644)
    blocks = Blocks(path, FILE, is_whole=True, is_planned=planned)
    blocks.refute(0)
    assert blocks.path.stat().st_mode & 0o777 == (0o640 if planned else 0o644)
    land(blocks, 0)
    blocks.commit()
    assert path.stat().st_mode & 0o777 == (0o444 if planned else 0o644)
    blocks.close()


def test_a_crash_before_the_rename_of_a_refuted_file_leaves_a_whole_one_to_be_looked_at(path: Path) -> None:
    path.write_bytes(DATA)
    path.with_name("v.mp4.blocks").write_bytes(b"\0\1\1")
    blocks = reopened(path)
    assert blocks.is_whole and not any(blocks.right)
    blocks.refute(1)
    assert path.with_name("v.mp4.blocks").read_bytes() == b"\1\0\1"
    blocks.close()


def test_a_crash_after_the_name_and_before_the_tidying_leaves_a_whole_file(path: Path) -> None:
    path.write_bytes(DATA)
    path.with_name("v.mp4.blocks").write_bytes(b"\1\1\1")
    blocks = reopened(path)
    assert blocks.is_whole and all(blocks.state(block) == "right" for block in range(3))
    blocks.close()


def test_a_file_cut_short_is_wrong_where_it_ends(path: Path) -> None:
    blocks = held(path)
    os.truncate(path, BLOCK_SIZE + 10)
    assert [blocks.state(block) for block in range(3)] == ["right", "wrong", "wrong"]
    assert [blocks.state_on_disk(block) for block in range(3)] == ["right", "wrong", "wrong"]
    assert not blocks.is_in_place()
    blocks.refute(2)
    assert blocks.path.stat().st_size == FILE.size
    blocks.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADMSG])
def test_a_sector_that_is_lost_is_unreadable_and_other_errors_are_the_volumes(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    blocks = held(path)

    def fail(*arguments: object) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pread", fail)
    monkeypatch.setattr(os, "preadv", fail)
    assert blocks.state(0) == blocks.state_on_disk(0) == "unreadable"
    number = errno.ENODEV
    with pytest.raises(OSError, match="No such device"):
        blocks.state(0)
    blocks.close()


def test_a_full_disk_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = Blocks(path, FILE, is_whole=False)

    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", fail)
    digest = hashlib.sha256()
    with pytest.raises(SpaceError, match=r"no room for v\.mp4"):
        blocks.write([b"x"], 0, digest)
    assert digest.digest() == hashlib.sha256().digest()  # once there is room, the same bytes come again
    blocks.close()


def land_past_memory(blocks: Blocks, block: int, piece_bytes: int) -> None:
    """From a buffer that begins with a page, as what was received."""
    first, end = packages.block_range(block, FILE.size)
    buffer, digest = memoryview(mmap.mmap(-1, piece_bytes)), hashlib.sha256()
    for at in range(first, end, piece_bytes):
        count = min(piece_bytes, end - at)
        buffer[:count] = DATA[at : at + count]
        blocks.write([buffer[:count]], at, digest, through_memory=False)
    assert digest.hexdigest() == FILE.blocks[block]
    blocks.mark(block)


@pytest.mark.parametrize("piece_bytes", [4096, 65536, 1024 * 1024, 100_000])
def test_what_is_written_past_memory_is_what_is_read(path: Path, piece_bytes: int) -> None:
    before = descriptors()
    blocks = Blocks(path, FILE, is_whole=False)
    for block in (2, 0, 1):
        land_past_memory(blocks, block, piece_bytes)
        assert blocks.state(block) == "right"
    assert blocks.unwritten_bytes == 0
    blocks.commit()
    blocks.close()
    assert path.read_bytes() == DATA and descriptors() == before


def test_only_what_is_no_whole_page_goes_through_memory(path: Path) -> None:
    blocks = Blocks(path, FILE, is_whole=False)
    for block in range(3):
        land_past_memory(blocks, block, 65536)
    assert [blocks.is_in_memory(block) for block in range(3)] == [False, False, True]
    blocks.let_go(2)
    assert not blocks.is_in_memory(2)
    land(blocks, 0)
    assert blocks.is_in_memory(0)
    blocks.close()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOENT])
def test_where_a_file_system_cannot_write_past_memory_it_writes_through_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real, tries = os.open, 0

    def refuse(name: Path, flags: int, mode: int = 0) -> int:
        nonlocal tries
        if flags & os.O_DIRECT:
            tries += 1
            raise OSError(code, os.strerror(code))
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    blocks = Blocks(path, FILE, is_whole=False)
    for block in range(3):
        land_past_memory(blocks, block, 65536)
    blocks.commit()
    blocks.close()
    assert path.read_bytes() == DATA and tries == 1


def test_a_file_that_took_the_name_of_another_gets_none_of_its_bytes(path: Path) -> None:
    blocks = Blocks(path, FILE, is_whole=False)
    other = bytes(FILE.size)
    remove(path)
    path.with_name("v.mp4.partial").write_bytes(other)
    land_past_memory(blocks, 0, 65536)
    assert blocks.state(0) == "right" and path.with_name("v.mp4.partial").read_bytes() == other
    blocks.close()


def test_a_descriptor_goes_with_the_last_who_reads_from_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = held(path)
    before = descriptors()
    reading, closed = Event(), Event()
    states = []
    pread = os.pread

    def slow(*arguments: int) -> bytes:
        reading.set()
        closed.wait()
        return pread(*arguments)

    monkeypatch.setattr(os, "pread", slow)
    thread = Thread(target=lambda: states.append(blocks.state(0)))
    thread.start()
    reading.wait()
    blocks.close()
    assert descriptors() == before
    closed.set()
    thread.join()
    assert states == ["right"] and descriptors() == before - 1
    with pytest.raises(OSError, match="was closed"):
        blocks.state(0)


def test_a_partial_that_cannot_be_opened_leaves_no_descriptor(path: Path) -> None:
    before = descriptors()
    path.with_name("v.mp4.blocks").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        Blocks(path, FILE, is_whole=False)
    assert descriptors() == before


def test_what_is_not_written_yet_is_known(path: Path) -> None:
    blocks = Blocks(path, FILE, is_whole=False)
    assert blocks.unwritten_bytes == FILE.size
    land(blocks, 0)
    assert blocks.unwritten_bytes == FILE.size - BLOCK_SIZE
    blocks.close()


def test_only_what_is_planned_takes_its_room_at_once(path: Path) -> None:
    blocks = Blocks(path, FILE, is_whole=False)
    land(blocks, 0)
    sparse = blocks.unwritten_bytes
    assert sparse > 0
    blocks.plan()
    assert blocks.unwritten_bytes in (0, sparse)  # 0 where the file system can reserve room
    assert [blocks.state(block) for block in range(3)] == ["right", "right", "wrong"]  # block 1 is of zeros
    assert bytes(blocks.has) == b"\1\0\0"
    blocks.close()


def test_a_file_is_in_place_under_either_name_until_it_is_taken_away(path: Path) -> None:
    blocks = held(path)
    assert blocks.is_in_place()
    blocks.refute(0)
    assert blocks.is_in_place()
    remove(path)
    assert not blocks.is_in_place() and not list(path.parent.iterdir())
    path.write_bytes(DATA)
    assert not blocks.is_in_place()
    blocks.close()


class Killed(Exception):
    pass


@pytest.mark.parametrize("planned", [True, False])
def test_killed_before_any_step_of_a_repair_nothing_is_lost_and_nothing_wrong_is_right(
    path: Path, planned: bool
) -> None:
    def die_at(step: int) -> None:
        """Every call that changes the disk counts; the one of this number, and all after it, do not happen."""
        steps = 0

        def guard(work: Callable[..., object]) -> Callable[..., object]:
            def guarded(*arguments: object, **named: object) -> object:
                nonlocal steps
                steps += 1
                if steps > step:
                    raise Killed
                return work(*arguments, **named)

            return guarded

        for owner, name in ((os, "pwritev"), (os, "fchmod"), (os, "ftruncate"), (os, "fsync")):
            patched.setattr(owner, name, guard(getattr(os, name)))
        for name in ("rename", "unlink", "write_bytes"):
            patched.setattr(Path, name, guard(getattr(Path, name)))

    for step in range(30):
        path.unlink(missing_ok=True)
        path.write_bytes(DATA)
        flip(path, 5)
        path.chmod(0o444 if planned else 0o644)
        blocks = Blocks(path, FILE, is_whole=True, is_planned=planned)
        with pytest.MonkeyPatch.context() as patched:
            die_at(step)
            try:
                blocks.refute(0)
                land(blocks, 0)
                blocks.right[1] = blocks.right[2] = 1
                blocks.commit()
            except Killed:
                is_over = False
            else:
                is_over = True
        blocks.close()
        again = reopened(path)
        assert again.path.stat().st_mode & 0o777 in ((0o444, 0o640) if planned else (0o644,)), step
        assert again.has.count(1) >= 2, step  # the other blocks are kept
        for block in range(3):
            if not again.has[block] or again.state(block) != "right":
                assert block == 0, step
                again.refute(block)
                land(again, block)
            again.right[block] = 1
        if not again.is_whole:
            again.commit()
        assert path.read_bytes() == DATA and again.inode == path.stat().st_ino
        again.close()
        if is_over:
            break
    assert is_over and step > 5
