from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package
from oca.errors import NotHeld, OcaError, SpaceError, VolumeFailed
from oca.store import health
from oca.store.inventory import FileKey
from oca.store.volumes import OpenFile, Volumes
from tests.media import make_package
from tests.waiting import until


class Store:
    """Two volumes that know a package's manifest but hold nothing of it."""

    def __init__(self, tmp_path: Path, volumes: Volumes) -> None:
        self.tmp_path, self.volumes = tmp_path, volumes
        self.folder = make_package(tmp_path / "source")
        self.manifest = (self.folder / MANIFEST_NAME).read_bytes()
        self.gone: list[FileKey] = []
        self.package: Package

    async def start(self) -> None:
        self.volumes.gone.append(lambda key, why: self.gone.append(key))
        await self.volumes.start()
        self.package = await self.volumes.store_manifest("title", self.folder.name, self.manifest)

    def key(self, name: str = "v360.mp4") -> FileKey:
        return FileKey("title", self.folder.name, name)

    async def open(self, name: str = "v360.mp4") -> OpenFile:
        return await self.volumes.open(self.key(name), next(one for one in self.package.files if one.name == name))

    async def hold(self, name: str = "v360.mp4", *, planned: bool = False) -> FileKey:
        opened = await self.open(name)
        data = (self.folder / name).read_bytes()
        if planned:
            await self.volumes.plan(opened)
        for block in range(len(opened.file.blocks)):
            first, end = packages.block_range(block, opened.file.size)
            await opened.write([data[first:end]], first, hashlib.sha256())
            await opened.mark(block)
        await self.volumes.commit(opened)
        self.volumes.close_file(opened)
        return self.key(name)

    def path(self, key: FileKey) -> Path:
        volume = self.volumes.volume_of(key)
        assert volume is not None
        return volume.path(key)

    async def restart(self, limit_bytes: int = 0, roots: list[Path] | None = None) -> None:
        await self.volumes.close()
        self.gone = []
        self.volumes = Volumes(
            roots or [volume.root for volume in self.volumes.volumes], limit_bytes, self.tmp_path / "state"
        )
        self.volumes.gone.append(lambda key, why: self.gone.append(key))
        await self.volumes.start()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "state").mkdir()
    for name, letter in (("a", "0"), ("b", "4")):
        (tmp_path / name).mkdir()
        # Names decide where files go: with these, the video and the manifest are on one volume, the rest on the other.
        (tmp_path / name / ".nearcast-volume").write_text(letter * 32)
    store = Store(tmp_path, Volumes([tmp_path / "a", tmp_path / "b"], state=tmp_path / "state"))
    await store.start()
    yield store
    await store.volumes.close()


async def test_a_file_is_found_again_where_it_was_put(store: Store) -> None:
    key = await store.hold()
    path = store.path(key)
    assert store.volumes.inventory.held == {key.package_key: ("v360.mp4",)}
    await store.restart()
    assert store.path(key) == path and store.volumes.holds(key)


async def test_a_package_held_whole_is_told_as_such_also_after_a_restart(store: Store) -> None:
    for file in store.package.files:
        await store.hold(file.name)
    whole = {f"title/{store.folder.name}": ("*",)}
    assert store.volumes.inventory.held == whole
    await store.restart()
    assert store.volumes.inventory.held == whole
    for volume in store.volumes.volumes:
        (volume.root / ".nearcast-names").unlink()
        volume.fail("as if killed")  # so that they are not kept again
    await store.restart()
    assert store.volumes.inventory.held != whole  # nobody has read the manifest yet
    await store.volumes.learn_names()
    assert store.volumes.inventory.held == whole


async def test_new_files_spread_over_the_volumes_and_losing_one_moves_only_its_share(store: Store) -> None:
    keys = [FileKey("title", store.folder.name, f"{number}.mp4") for number in range(300)]
    before = {key: await store.volumes._place(key, 100) for key in keys}
    shares = Counter(volume.number for volume in before.values())
    assert min(shares.values()) > 100
    third = Volumes([*(volume.root for volume in store.volumes.volumes), store.tmp_path / "c"])
    await store.volumes.close()
    await third.start()
    after = {key: await third._place(key, 100) for key in keys}
    moved = [key for key in keys if before[key].root != after[key].root]
    assert 50 < len(moved) < 150 and all(after[key].number == 2 for key in moved)
    await third.close()


async def test_every_volume_with_a_file_of_a_package_has_its_manifest(store: Store) -> None:
    for file in store.package.files:
        await store.hold(file.name)
    for volume in store.volumes.volumes:
        files = {path.name for path in (volume.root / "title" / store.folder.name).iterdir()}
        assert MANIFEST_NAME in files and len(files) > 1


async def test_a_volume_that_fails_is_taken_out_and_the_rest_stays(store: Store) -> None:
    for file in store.package.files:
        await store.hold(file.name)
    failing = store.volumes.volume_of(store.key())
    assert failing is not None
    lost = {file.name for file in store.package.files if store.volumes.volume_of(store.key(file.name)) is failing}
    failing.fail("it was pulled")
    assert {key.file for key in store.gone} >= lost
    assert not store.volumes.holds(store.key()) and store.volumes.is_well
    assert store.volumes.failures == [f"volume {failing.root} was taken out: it was pulled"]
    await until(lambda: not store.volumes.inventory.count(failing.number))
    rest = {file.name for file in store.package.files} - lost
    assert set(store.volumes.inventory.held.get(f"title/{store.folder.name}", ())) == rest
    again = await store.open()
    assert again.volume is not failing  # and the manifest is there, though it may have been on the other one
    assert await store.volumes.manifest("title", store.folder.name)


async def test_a_volume_that_is_well_again_is_taken_in_with_its_files(store: Store) -> None:
    key = await store.hold()
    volume = store.volumes.volume_of(key)
    assert volume is not None
    volume.fail("somebody pulled the cable")
    await store.volumes.check_health()
    assert volume.is_well and store.volumes.holds(key) and not store.volumes.failures


async def test_of_two_copies_one_is_kept(store: Store) -> None:
    key = await store.hold()
    first = store.volumes.volume_of(key)
    assert first is not None
    first.fail("somebody pulled the cable")
    await store.hold()
    await store.volumes.check_health()
    await until(lambda: not store.volumes._tasks)
    assert sum(volume.path(key).exists() for volume in store.volumes.volumes) == 1
    assert store.path(key).exists() and store.volumes.holds(key)


async def test_a_volume_that_lost_its_name_is_taken_out(store: Store) -> None:
    volume = store.volumes.volumes[0]
    (volume.root / ".nearcast-volume").unlink()  # as an umount would
    await store.volumes.check_health()
    assert "it is not there" in volume.failure
    assert len(store.volumes.failures) == 1


async def test_one_volume_that_cannot_be_used_is_left_out_at_the_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = store.volumes.volumes[0].root
    probe = health.probe

    def fail(root: Path, identity: health.Identity | None) -> int:
        if root == broken:
            raise OSError(errno.EROFS, "Read-only file system")
        return probe(root, identity)

    monkeypatch.setattr(health, "probe", fail)
    await store.restart()
    assert store.volumes.failures == [f"volume {broken} was taken out: Read-only file system"]
    assert (await store.open()).volume.number == 1


async def test_without_any_volume_the_start_fails_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    volumes = Volumes([tmp_path / "file", tmp_path / "file" / "deeper"])
    with pytest.raises(VolumeFailed, match=r"file cannot be used: .*; .*deeper cannot be used: Not a directory"):
        await volumes.start()
    await volumes.close()


async def test_an_unmounted_volume_is_left_out_at_the_start(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = store.volumes.volumes[0].root
    shutil.rmtree(root)
    root.mkdir()
    mount_of = health._mount_of
    monkeypatch.setattr(health, "_mount_of", lambda path: "/elsewhere" if path == root else mount_of(path))
    await store.restart()
    assert "is not mounted" in store.volumes.failures[0] and len(store.volumes.failures) == 1


async def test_with_no_volume_left_nothing_is_placed(store: Store) -> None:
    for volume in store.volumes.volumes:
        volume.fail("gone")
    with pytest.raises(VolumeFailed):
        await store.open()
    assert not store.volumes.is_well and store.volumes.size_bytes == 0


async def test_an_error_while_a_file_is_written_fails_the_volume_and_the_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await store.open()

    def fail(*arguments: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwritev", fail)
    with pytest.raises(VolumeFailed, match="Input/output error"):
        await opened.write([b"x"], 0, hashlib.sha256())
    assert isinstance(opened.failure, VolumeFailed) and not opened.volume.is_well


async def test_pulled_content_makes_room_and_planned_content_does_not(store: Store) -> None:
    planned = await store.hold("poster.jpg", planned=True)
    pulled = await store.hold()
    size = next(file.size for file in store.package.files if file.name == "v360.mp4")
    volume = store.volumes.volume_of(pulled)
    assert volume is not None
    await store.restart(limit_bytes=size + 40_000, roots=[volume.root])
    other = make_package(store.tmp_path / "source", "other", seed=2)
    manifest = (other / MANIFEST_NAME).read_bytes()
    package = await store.volumes.store_manifest("other", other.name, manifest)
    file = next(file for file in package.files if file.name == "v360.mp4")
    await store.volumes.open(FileKey("other", other.name, "v360.mp4"), file)
    assert pulled in store.gone and not store.volumes.holds(pulled)
    assert store.volumes.holds(planned) or store.volumes.volume_of(planned) is None
    with pytest.raises(SpaceError, match="no volume has room for"):
        await store.volumes._place(pulled, 10**15)


async def test_what_cannot_fit_at_all_drops_nothing(store: Store) -> None:
    key = await store.hold()
    with pytest.raises(SpaceError):
        await store.volumes._place(store.key("other"), 10**15)
    assert store.volumes.holds(key) and not store.gone


async def test_a_file_in_use_is_not_shed(store: Store) -> None:
    key = await store.hold()
    opened = await store.open()
    opened.users = 1
    assert await store.volumes.shed(opened.volume, 1) == 0
    opened.users = 0
    assert await store.volumes.shed(opened.volume, 1) == opened.file.size
    assert opened.failure is not None and store.gone[0] == key
    assert not store.volumes.holds(FileKey("title", store.folder.name, MANIFEST_NAME))  # it was the last of its package


async def test_used_bytes_are_what_is_on_disk(store: Store) -> None:
    before = store.volumes.used_bytes
    opened = await store.open()
    added = opened.file.size
    if len(store.volumes._with_manifest(store.key().package_key)) == 2:
        added += len(store.manifest)
    assert store.volumes.used_bytes == before + added
    await store.volumes.drop(store.key())
    assert store.volumes.used_bytes == before + added - opened.file.size
    opened.blocks.close()


async def test_a_file_that_vanished_from_the_disk_is_begun_anew(store: Store) -> None:
    key = await store.hold()
    store.path(key).unlink()
    opened = await store.open()
    assert not opened.is_whole and store.gone == [key]
    assert store.volumes.inventory.held == {}


async def test_a_drop_that_nobody_waits_for_any_more_is_carried_through(store: Store) -> None:
    key = await store.hold()
    path = store.path(key)
    drop = asyncio.create_task(store.volumes.drop(key))
    await asyncio.sleep(0)
    drop.cancel()
    await asyncio.gather(drop, return_exceptions=True)
    await store.volumes.close()
    assert not path.exists() and not store.volumes.holds(key)


async def test_a_commit_after_a_drop_names_nothing(store: Store) -> None:
    opened = await store.open()
    path = store.path(store.key())
    opened.right[:] = opened.has[:] = b"\1" * len(opened.right)
    await asyncio.gather(store.volumes.drop(store.key()), store.volumes.commit(opened))
    assert not path.exists() and isinstance(opened.failure, OcaError)


async def test_a_manifest_of_another_name_is_refused(store: Store) -> None:
    with pytest.raises(PackageError, match="another digest than its name"):
        await store.volumes.store_manifest("title", "0" * 32, store.manifest)
    with pytest.raises(PackageError, match="is one of 'title'"):
        await store.volumes.store_manifest("other", store.folder.name, store.manifest)


async def test_a_manifest_that_has_rotted_is_dropped_and_another_copy_is_used(store: Store) -> None:
    for file in store.package.files:
        await store.hold(file.name)
    key = store.key(MANIFEST_NAME)
    copies = [volume.path(key) for volume in store.volumes._with_manifest(key.package_key)]
    copies[0].write_bytes(store.manifest[:-1])
    if len(copies) == 2:
        assert await store.volumes.manifest("title", store.folder.name) == store.package
    else:
        with pytest.raises(NotHeld):
            await store.volumes.manifest("title", store.folder.name)
    assert not copies[0].exists()
