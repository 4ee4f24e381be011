from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.progress import Reporter
from encoder.package import BLOCK_SIZE, MANIFEST_NAME
from origin.audit import audit
from origin.catalog import Catalog, Entry, package_prefix
from origin.errors import CatalogError, DamagedPackage, PublishError, TitleTaken, UnknownTitle
from origin.publish import Availability, publish_folder, withdraw
from origin.storage import Storage, open_storage
from tests.origin.folders import make_folder

QUIET = Reporter(quiet=True)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/storage"


async def entries(url: str, **options: str) -> dict[str, Entry]:
    async with open_storage(url, **options) as storage:
        catalog = Catalog()
        await catalog.refresh(storage)
        return dict(catalog.entries)


def keys(tmp_path: Path) -> set[str]:
    root = tmp_path / "storage"
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not path.parts[0].startswith(".")}


async def test_a_package_becomes_visible_with_all_its_files(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    entry = await publish_folder(folder, url)
    assert (entry.title, entry.package, entry.name, entry.poster) == ("film", folder.name, "Film", "poster.jpg")
    assert await entries(url) == {"film": entry}
    expected = {f"packages/film/{folder.name}/{path.name}" for path in folder.iterdir()}
    assert keys(tmp_path) == expected | {"catalog/film.json"}


async def test_publishing_to_s3_works_alike(tmp_path: Path, s3_url: str, s3_endpoint: str) -> None:
    folder = make_folder(tmp_path / "out")
    entry = await publish_folder(folder, s3_url, s3_endpoint=s3_endpoint)
    assert await publish_folder(folder, s3_url, s3_endpoint=s3_endpoint) == entry
    async with open_storage(s3_url, s3_endpoint=s3_endpoint) as storage:
        verdict = await audit(storage, QUIET)
        assert (verdict.findings, verdict.orphans) == ((), ())
        await withdraw("film", storage)
        assert [stored async for stored in storage.list("")] == []


async def test_the_same_package_again_changes_nothing(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    entry = await publish_folder(folder, url)
    stored = tmp_path / "storage" / "packages" / "film" / folder.name / "v720.mp4"
    before = stored.stat().st_mtime_ns
    assert await publish_folder(folder, url) == entry
    assert stored.stat().st_mtime_ns == before


async def test_when_a_title_is_available_is_changed_by_publishing_it_again(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    start, end = "2026-12-24T18:00:00Z", "2027-01-01T00:00:00Z"
    first = await publish_folder(folder, url, available=Availability(start))
    assert (first.available_from, first.available_until) == (start, "")
    second = await publish_folder(folder, url, available=Availability(None, end))
    assert (second.available_from, second.available_until, second.published_at) == (start, end, first.published_at)
    assert await publish_folder(folder, url) == second
    third = await publish_folder(folder, url, available=Availability("", ""))
    assert await entries(url) == {"film": third}
    assert (third.available_from, third.available_until) == ("", "")


async def test_a_title_that_would_end_before_it_begins_is_refused(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    with pytest.raises(PublishError, match="which is not after 2027"):
        await publish_folder(folder, url, available=Availability("2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"))
    assert await entries(url) == {}


async def test_only_what_is_missing_or_unfinished_is_uploaded(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    await publish_folder(folder, url)
    stored = tmp_path / "storage" / "packages" / "film" / folder.name
    (stored / "audio-en.mp4").unlink()
    (stored / "master.m3u8").write_bytes(b"#EXT")
    video = (stored / "v720.mp4").stat().st_mtime_ns
    await publish_folder(folder, url)
    assert (stored / "audio-en.mp4").read_bytes() == (folder / "audio-en.mp4").read_bytes()
    assert (stored / "master.m3u8").read_bytes() == (folder / "master.m3u8").read_bytes()
    assert (stored / "v720.mp4").stat().st_mtime_ns == video


async def test_repair_writes_damaged_files_anew(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    await publish_folder(folder, url)
    stored = tmp_path / "storage" / "packages" / "film" / folder.name / "v720.mp4"
    flip(stored, 10)
    await publish_folder(folder, url)
    assert stored.read_bytes() != (folder / "v720.mp4").read_bytes()
    await publish_folder(folder, url, repair=True)
    assert stored.read_bytes() == (folder / "v720.mp4").read_bytes()


@pytest.mark.parametrize(("offset", "block"), [(0, 0), (BLOCK_SIZE - 1, 0), (BLOCK_SIZE, 1), (BLOCK_SIZE + 4999, 1)])
async def test_one_changed_byte_is_refused_naming_file_and_block(
    tmp_path: Path, url: str, offset: int, block: int
) -> None:
    folder = make_folder(tmp_path / "out")
    flip(folder / "v720.mp4", offset)
    with pytest.raises(DamagedPackage, match=rf"v720\.mp4: block {block} "):
        await publish_folder(folder, url)
    assert not (tmp_path / "storage").exists()


async def test_a_changed_manifest_is_refused(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    manifest = folder / MANIFEST_NAME
    manifest.write_bytes(manifest.read_bytes().replace(b'"Film"', b'"Filn"'))
    with pytest.raises(DamagedPackage, match="the folder is named"):
        await publish_folder(folder, url)


async def test_a_missing_file_is_refused(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    (folder / "poster.jpg").unlink()
    with pytest.raises(DamagedPackage, match=r"poster\.jpg"):
        await publish_folder(folder, url)


async def test_a_cut_file_is_refused(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    with (folder / "v720.mp4").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DamagedPackage, match="has 1000 bytes"):
        await publish_folder(folder, url)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe"])
async def test_a_folder_without_a_manifest_is_no_package(tmp_path: Path, url: str, content: bytes | None) -> None:
    folder = tmp_path / "film" / ("0" * 32)
    folder.mkdir(parents=True)
    if content is not None:
        (folder / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(DamagedPackage, match="is not a package"):
        await publish_folder(folder, url)


async def test_a_file_that_changes_while_it_is_published_is_refused(tmp_path: Path, url: str) -> None:
    from datetime import UTC, datetime

    from origin.publish import publish, read_folder

    checked = await read_folder(make_folder(tmp_path / "out"), QUIET)
    flip(checked.path / "v720.mp4", 5)
    async with open_storage(url) as storage:
        with pytest.raises(DamagedPackage, match="was changed while"):
            await publish(checked, storage, replace=False, repair=False, reporter=QUIET, now=datetime.now(UTC))
    assert await entries(url) == {}


async def test_another_package_of_the_title_needs_replace(tmp_path: Path, url: str) -> None:
    first = await publish_folder(make_folder(tmp_path / "out", seed=1), url)
    other = make_folder(tmp_path / "out", seed=2)
    with pytest.raises(TitleTaken, match="--replace"):
        await publish_folder(other, url)
    assert await entries(url) == {"film": first}
    second = await publish_folder(other, url, replace=True)
    assert (second.package, second.superseded) == (other.name, (first.package,))
    async with open_storage(url) as storage:
        verdict = await audit(storage, QUIET)
    assert (verdict.packages, verdict.findings, verdict.orphans) == (2, (), ())


async def test_an_earlier_package_can_be_put_back(tmp_path: Path, url: str) -> None:
    one, two = make_folder(tmp_path / "out", seed=1), make_folder(tmp_path / "out", seed=2)
    await publish_folder(one, url)
    await publish_folder(two, url, replace=True)
    entry = await publish_folder(one, url, replace=True)
    assert (entry.package, entry.superseded) == (one.name, (two.name,))


async def test_two_publishers_of_one_package_both_succeed(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    one, two = await asyncio.gather(publish_folder(folder, url), publish_folder(folder, url))
    assert one == two
    assert await entries(url) == {"film": one}


async def test_of_two_packages_at_once_one_is_published_and_one_refused(tmp_path: Path, url: str) -> None:
    folders = [make_folder(tmp_path / "out", seed=seed) for seed in (1, 2)]
    results = await asyncio.gather(*(publish_folder(folder, url) for folder in folders), return_exceptions=True)
    published = [result for result in results if isinstance(result, Entry)]
    assert len(published) == 1
    assert sum(isinstance(result, TitleTaken) for result in results) == 1
    assert await entries(url) == {"film": published[0]}
    async with open_storage(url) as storage:
        assert (await audit(storage, QUIET)).findings == ()


async def test_of_two_replacements_at_once_neither_breaks_the_catalog(tmp_path: Path, url: str) -> None:
    await publish_folder(make_folder(tmp_path / "out", seed=0), url)
    folders = [make_folder(tmp_path / "out", seed=seed) for seed in (1, 2)]
    await asyncio.gather(*(publish_folder(folder, url, replace=True) for folder in folders))
    async with open_storage(url) as storage:
        verdict = await audit(storage, QUIET)
    assert (verdict.packages, verdict.findings, verdict.orphans) == (3, (), ())


async def test_two_publishers_on_s3_leave_a_catalog_that_is_whole(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    folders = [make_folder(tmp_path / "out", seed=seed, video_size=5000) for seed in (1, 2)]
    await asyncio.gather(
        *(publish_folder(folder, s3_url, s3_endpoint=s3_endpoint) for folder in folders), return_exceptions=True
    )
    async with open_storage(s3_url, s3_endpoint=s3_endpoint) as storage:
        verdict = await audit(storage, QUIET)
    assert verdict.titles == 1
    assert verdict.findings == ()


async def test_killed_in_the_middle_nothing_is_visible_and_a_second_publish_completes(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    # The child stops itself, as if by accident, after its first large file and before anything else is said.
    script = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from origin.publish import Availability, publish_folder\n"
        "from origin.storage.file import FileStorage\n"
        "put = FileStorage.put_file\n"
        "async def killed(self, key, path, moved=None):\n"
        "    await put(self, key, path, moved)\n"
        "    if key.endswith('v720.mp4'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "FileStorage.put_file = killed\n"
        "asyncio.run(publish_folder(Path(sys.argv[1]), sys.argv[2]))\n"
    )
    child = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, str(folder), url], timeout=60, check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert await entries(url) == {}
    assert not any(key.endswith(MANIFEST_NAME) for key in keys(tmp_path))
    async with open_storage(url) as storage:
        orphans = (await audit(storage, QUIET)).orphans
    assert [(orphan.title, orphan.package) for orphan in orphans] == [("film", folder.name)]
    entry = await publish_folder(folder, url)
    assert await entries(url) == {"film": entry}
    async with open_storage(url) as storage:
        verdict = await audit(storage, QUIET)
    assert (verdict.findings, verdict.orphans) == ((), ())


async def test_withdrawing_takes_the_entry_and_every_file(storage: Storage, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from origin.publish import publish, read_folder

    now = datetime.now(UTC)
    for seed in (1, 2):
        folder = await read_folder(make_folder(tmp_path / "out", seed=seed, video_size=2000), QUIET)
        await publish(folder, storage, replace=True, repair=False, reporter=QUIET, now=now)
    await withdraw("film", storage)
    assert [stored async for stored in storage.list("packages/")] == []
    assert [stored async for stored in storage.list("catalog/")] == []
    with pytest.raises(UnknownTitle):
        await withdraw("film", storage)


async def test_withdrawing_only_what_was_superseded_keeps_the_title(tmp_path: Path, url: str) -> None:
    one, two = make_folder(tmp_path / "out", seed=1), make_folder(tmp_path / "out", seed=2)
    await publish_folder(one, url)
    await publish_folder(two, url, replace=True)
    async with open_storage(url) as storage:
        await withdraw("film", storage, superseded_only=True)
        verdict = await audit(storage, QUIET)
        assert [stored async for stored in storage.list(package_prefix("film", one.name))] == []
    assert (verdict.packages, verdict.findings, verdict.orphans) == (1, (), ())
    assert (await entries(url))["film"].package == two.name


async def test_a_withdrawal_that_was_cut_short_is_completed(tmp_path: Path, url: str) -> None:
    await publish_folder(make_folder(tmp_path / "out"), url)
    (tmp_path / "storage" / "catalog" / "film.json").unlink()
    async with open_storage(url) as storage:
        assert await withdraw("film", storage) > 0
    assert keys(tmp_path) == set()


async def test_a_title_with_a_damaged_entry_can_be_withdrawn(tmp_path: Path, url: str) -> None:
    folder = make_folder(tmp_path / "out")
    await publish_folder(folder, url)
    (tmp_path / "storage" / "catalog" / "film.json").write_bytes(b"nonsense")
    with pytest.raises(CatalogError):
        await publish_folder(folder, url)
    async with open_storage(url) as storage:
        await withdraw("film", storage)
    assert keys(tmp_path) == set()


async def test_the_folder_may_be_named_by_any_path(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder(tmp_path / "out")
    monkeypatch.chdir(folder)
    assert (await publish_folder(Path(), url)).package == folder.name
    shutil.rmtree(tmp_path / "storage")
    monkeypatch.chdir(folder.parent)
    assert (await publish_folder(Path(folder.name), url)).package == folder.name


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
