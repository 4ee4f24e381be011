from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import BLOCK_SIZE, MANIFEST_NAME, Package
from oca.errors import NotHeld, SpaceError, VolumeInUse
from oca.store.scrub import rotten_block, scrub
from oca.store.volume import FileKey, Volume
from tests.media import make_package


class Source:
    """A package and a volume that knows its manifest but holds nothing of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = make_package(tmp_path / "source")
        self.volume = Volume(tmp_path / "volume")
        self.volume.start()
        self.manifest = (self.folder / MANIFEST_NAME).read_bytes()
        self.package: Package = self.volume.store_manifest("title", self.folder.name, self.manifest)
        self.file = next(file for file in self.package.files if file.name == "v360.mp4")
        self.data = (self.folder / "v360.mp4").read_bytes()

    def key(self, name: str = "v360.mp4") -> FileKey:
        return FileKey("title", self.folder.name, name)

    def hold(self, name: str, *, planned: bool = False) -> FileKey:
        key = self.key(name)
        file = next(file for file in self.package.files if file.name == name)
        partial = self.volume.open_partial(key, file)
        partial.write((self.folder / name).read_bytes(), 0)
        assert all(partial.verify(block) for block in range(len(file.blocks)))
        partial.commit(planned=planned)
        self.volume.adopt(key, partial)
        self.volume.close_partial(key, partial)
        return key


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def reopened(volume: Volume) -> Volume:
    """The volume as the next start finds it."""
    volume.close()
    again = Volume(volume.root)
    again.start()
    return again


def test_a_file_has_no_name_until_every_block_is_right(source: Source) -> None:
    partial = source.volume.open_partial(source.key(), source.file)
    for block in range(len(source.file.blocks)):
        assert not source.volume.path(source.key()).exists()
        first, end = packages.block_range(block, source.file.size)
        partial.write(source.data[first:end], first)
        assert partial.verify(block)
    assert partial.is_whole
    partial.commit(planned=False)
    source.volume.adopt(source.key(), partial)
    source.volume.close_partial(source.key(), partial)
    assert source.volume.path(source.key()).read_bytes() == source.data
    assert source.volume.holds(source.key())


def test_a_wrong_block_is_not_held(source: Source) -> None:
    partial = source.volume.open_partial(source.key(), source.file)
    partial.write(b"x" + source.data[1:BLOCK_SIZE], 0)
    assert not partial.verify(0)
    assert not any(partial.have)
    source.volume.close_partial(source.key(), partial)


def test_verified_blocks_survive_a_crash_and_others_do_not(source: Source) -> None:
    partial = source.volume.open_partial(source.key(), source.file)
    partial.write(source.data[: 2 * BLOCK_SIZE], 0)  # two blocks have landed, one was verified: then the power fails
    partial.verify(1)
    partial.close()
    volume = reopened(source.volume)
    assert not volume.holds(source.key())
    assert list(volume.open_partial(source.key(), source.file).have) == [0, 1, 0, 0]


def test_a_crash_between_the_name_and_the_tidying_leaves_a_whole_file(source: Source) -> None:
    key = source.hold("v360.mp4")
    source.volume.path(key).with_name("v360.mp4.blocks").write_bytes(b"\1\1\1\1")  # as if unlink had not happened
    volume = reopened(source.volume)
    assert volume.holds(key)
    assert volume.held()[key.package_key] == ("v360.mp4",)


def test_a_crash_in_the_middle_of_a_drop_does_not_make_holes_look_verified(source: Source) -> None:
    path = source.volume.path(source.key())
    path.with_name("v360.mp4.blocks").write_bytes(b"\1\1\1\1")  # what a drop, or a commit, had not tidied yet
    partial = reopened(source.volume).open_partial(source.key(), source.file)
    assert not any(partial.have)
    partial.close()


def test_a_file_that_vanished_from_the_disk_is_forgotten_when_it_is_missed(source: Source) -> None:
    key = source.hold("v360.mp4")
    assert source.volume.inode(key) == source.volume.path(key).stat().st_ino
    source.volume.path(key).unlink()
    with pytest.raises(NotHeld, match="gone from the disk"):
        source.volume.inode(key)
    assert not source.volume.holds(key) and source.volume.held() == {}


def test_what_cannot_fit_at_all_drops_nothing(source: Source) -> None:
    video = source.hold("v360.mp4")
    with pytest.raises(SpaceError):
        source.volume.make_room(10**15)
    assert source.volume.holds(video)


def test_a_partial_that_cannot_be_opened_leaves_no_descriptor_and_takes_no_room(source: Source) -> None:
    used, descriptors = source.volume.used_bytes, len(list(Path("/proc/self/fd").iterdir()))
    source.volume.path(source.key()).with_name("v360.mp4.blocks").mkdir()
    with pytest.raises(OSError):
        source.volume.open_partial(source.key(), source.file)
    assert source.volume.used_bytes == used
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_package_held_whole_is_reported_as_such(source: Source) -> None:
    for file in source.package.files:
        source.hold(file.name)
    assert source.volume.held() == {f"title/{source.folder.name}": ("*",)}
    assert reopened(source.volume).held() == {f"title/{source.folder.name}": ("*",)}


def test_a_volume_has_one_owner(source: Source) -> None:
    with pytest.raises(VolumeInUse, match="belongs to another appliance that is running"):
        Volume(source.volume.root).start()


def test_a_manifest_of_another_name_is_refused(source: Source) -> None:
    with pytest.raises(PackageError, match="another digest than its name"):
        source.volume.store_manifest("title", "0" * 32, source.manifest)
    with pytest.raises(PackageError, match="is one of 'title'"):
        source.volume.store_manifest("other", source.folder.name, source.manifest)


def test_a_manifest_that_has_rotted_is_dropped(source: Source) -> None:
    path = source.volume.path(source.key(MANIFEST_NAME))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotHeld):
        source.volume.manifest("title", source.folder.name)
    assert not path.exists()


def test_pulled_content_makes_room_and_planned_content_does_not(source: Source, tmp_path: Path) -> None:
    gone: list[Path] = []
    poster = source.hold("poster.jpg", planned=True)
    video = source.hold("v360.mp4")
    source.volume.close()
    volume = Volume(source.volume.root, limit_bytes=source.volume.used_bytes, gone=gone.append)
    volume.start()
    volume.make_room(1000)
    assert gone == [volume.path(video)]
    assert not volume.holds(video)
    with pytest.raises(SpaceError, match="has no room for"):
        volume.make_room(10**12)
    assert volume.holds(poster)


def test_used_bytes_are_what_is_on_disk(source: Source) -> None:
    before = source.volume.used_bytes
    key = source.hold("v360.mp4")
    assert source.volume.used_bytes == before + source.file.size
    source.volume.drop(key)
    assert source.volume.used_bytes == before


def test_foreign_files_are_left_alone_and_not_served(source: Source) -> None:
    foreign = source.volume.root / "lost+found"
    foreign.mkdir()
    (source.volume.root / "title" / source.folder.name / ".hidden").write_text("x")
    assert reopened(source.volume).held() == {}
    assert foreign.exists()


async def test_a_scrub_drops_what_has_rotted_and_keeps_the_rest(source: Source) -> None:
    video, poster = source.hold("v360.mp4"), source.hold("poster.jpg")
    path = source.volume.path(video)
    assert not any(rotten_block(path, source.file, block) for block in range(4))
    data = bytearray(source.data)
    data[BLOCK_SIZE + 5] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    assert [rotten_block(path, source.file, block) for block in range(4)] == [False, True, False, False]

    async def drop(key: FileKey) -> bool:
        return source.volume.drop(key)

    found = await scrub(source.volume, drop)
    assert found.rotten == (f"title/{source.folder.name}/v360.mp4",)
    assert source.volume.holds(poster) and not source.volume.holds(video)


def test_a_lost_file_is_not_held_after_a_restart(source: Source) -> None:
    key = source.hold("v360.mp4")
    shutil.rmtree(source.volume.path(key).parent)
    assert reopened(source.volume).held() == {}
