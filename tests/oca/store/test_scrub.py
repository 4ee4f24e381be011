from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from encoder import package as packages
from encoder.package import BLOCK_SIZE, StoredFile
from oca.errors import VolumeFailed
from oca.store.inventory import FileKey
from oca.store.scrub import Scrub, Scrubbed
from oca.store.volumes import Volumes
from tests.media import make_package
from tests.waiting import until

FAST = 2**40


class Setting:
    """Two packages on one volume, and a check that says what the test wants."""

    def __init__(self, tmp_path: Path) -> None:
        root = tmp_path / "volume"
        self.folders = [make_package(root, title, size=BLOCK_SIZE + 10, seed=1) for title in ("a", "b")]
        self.volumes = Volumes([root])
        self.looked_at: list[tuple[str, str, int]] = []
        self.outcomes: dict[tuple[str, str, int], str] = {}
        self.manifests: list[str] = []
        self.place = tmp_path / "scrub"

    def scrub(self, rate: int = FAST) -> Scrub:
        return Scrub(self.volumes, self.table, self.check, self.check_manifest, rate, self.place)

    async def check_manifest(self, title: str, package: str) -> str:
        self.manifests.append(title)
        return "right"

    async def table(self, title: str, package: str) -> dict[str, StoredFile]:
        return {file.name: file for file in (await self.volumes.manifest(title, package)).files}

    async def check(self, key: FileKey, block: int) -> str:
        where = (key.title, key.file, block)
        self.looked_at.append(where)
        outcome = self.outcomes.get(where, "right")
        if outcome == "failed":
            raise VolumeFailed("the volume failed")
        return outcome


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    setting = Setting(tmp_path)
    await setting.volumes.start()
    yield setting
    await setting.volumes.close()


EVERYTHING = [
    (title, *rest)
    for title in ("a", "b")
    for rest in [("poster.jpg", 0), ("v360.m3u8", 0), ("v360.mp4", 0), ("v360.mp4", 1)]
]


async def test_a_pass_looks_at_every_block_in_order(setting: Setting) -> None:
    found = await setting.scrub().once()
    assert setting.looked_at == EVERYTHING and setting.manifests == ["a", "b"]
    sizes = [file.size for file in packages.decode((setting.folders[0] / "package.json").read_bytes()).files]
    assert found == Scrubbed(6, 2 * sum(sizes), (), ())


async def test_a_pass_tells_what_was_repaired_and_what_is_lost(setting: Setting) -> None:
    setting.outcomes = {
        ("a", "v360.mp4", 0): "repaired",
        ("b", "v360.mp4", 1): "missing",
        ("b", "poster.jpg", 0): "dropped",
    }
    found = await setting.scrub().once()
    names = [f"{folder.parent.name}/{folder.name}" for folder in setting.folders]
    assert found.rotten == (f"{names[0]}/v360.mp4", f"{names[1]}/poster.jpg", f"{names[1]}/v360.mp4")
    assert found.lost == (f"{names[1]}/poster.jpg", f"{names[1]}/v360.mp4")


async def test_a_file_that_cannot_be_read_now_does_not_end_the_pass(setting: Setting) -> None:
    setting.outcomes = {("a", "poster.jpg", 0): "failed"}
    await setting.scrub().once()
    assert setting.looked_at == EVERYTHING


async def test_a_pass_goes_on_where_the_one_before_the_restart_was(setting: Setting) -> None:
    setting.place.write_text(f"a/{setting.folders[0].name}/v360.m3u8\n")
    scrub = setting.scrub()
    running = asyncio.create_task(scrub.run())
    await until(lambda: bool(scrub.passes))
    running.cancel()
    assert setting.looked_at == EVERYTHING[2:]
    assert setting.place.read_text() == "\n"  # the next one begins anew


async def test_how_far_it_came_is_kept_on_the_way(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oca.store.scrub._KEEP_EVERY_S", 0)
    kept: list[str] = []
    monkeypatch.setattr("oca.store.scrub._write_place", lambda path, name: kept.append(name))
    scrub = setting.scrub()
    running = asyncio.create_task(scrub.run())
    await until(lambda: bool(scrub.passes))
    running.cancel()
    assert kept[0] == f"a/{setting.folders[0].name}/poster.jpg" and kept[-1] == "" and len(kept) == 7


async def test_the_rate_is_what_was_asked_for(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)

    monkeypatch.setattr("oca.store.scrub.asyncio.sleep", sleep)
    await setting.scrub(rate=1024 * 1024).once()
    assert slept == [0.25, 0.25, 4.0, 0.25] * 2  # a small file costs the disk a seek


async def test_it_is_off_where_nobody_wants_it_and_runs_when_asked(setting: Setting) -> None:
    scrub = setting.scrub(rate=0)
    running = asyncio.create_task(scrub.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not setting.looked_at
    running.cancel()
    assert (await scrub.once()).files == 6
