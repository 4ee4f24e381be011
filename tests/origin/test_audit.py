from __future__ import annotations

from pathlib import Path

from config.progress import Reporter
from encoder.package import BLOCK_SIZE, MANIFEST_NAME
from origin.audit import Verdict, audit
from origin.publish import publish_folder
from origin.storage import open_storage
from tests.origin.folders import make_folder


async def audited(root: Path) -> Verdict:
    async with open_storage(f"file://{root}/storage") as storage:
        return await audit(storage, Reporter(quiet=True))


async def published(root: Path) -> Path:
    """The folder of the stored package."""
    folder = make_folder(root / "out")
    await publish_folder(folder, f"file://{root}/storage")
    return root / "storage" / "packages" / "film" / folder.name


async def test_what_was_published_is_all_right(tmp_path: Path) -> None:
    stored = await published(tmp_path)
    verdict = await audited(tmp_path)
    sizes = sum(path.stat().st_size for path in stored.iterdir() if path.name != MANIFEST_NAME)
    assert (verdict.titles, verdict.packages, verdict.bytes_read) == (1, 1, sizes)
    assert (verdict.findings, verdict.orphans) == ((), ())


async def test_a_rotten_bit_is_found_with_its_block(tmp_path: Path) -> None:
    stored = await published(tmp_path)
    data = bytearray((stored / "v720.mp4").read_bytes())
    data[BLOCK_SIZE + 7] ^= 1
    (stored / "v720.mp4").write_bytes(data)
    (finding,) = (await audited(tmp_path)).findings
    assert (finding.title, finding.file, finding.block) == ("film", "v720.mp4", 1)


async def test_missing_and_cut_files_are_found(tmp_path: Path) -> None:
    stored = await published(tmp_path)
    (stored / "poster.jpg").unlink()
    (stored / "audio-en.mp4").write_bytes((stored / "audio-en.mp4").read_bytes() + b"more")
    findings = {finding.file: finding.problem for finding in (await audited(tmp_path)).findings}
    assert findings["poster.jpg"] == "the file is missing"
    assert "has 1604 bytes, not 1600" in findings["audio-en.mp4"]


async def test_a_damaged_manifest_is_found(tmp_path: Path) -> None:
    stored = await published(tmp_path)
    (stored / MANIFEST_NAME).write_bytes(b"{}")
    (finding,) = (await audited(tmp_path)).findings
    assert finding.file == MANIFEST_NAME


async def test_a_missing_manifest_is_found(tmp_path: Path) -> None:
    stored = await published(tmp_path)
    (stored / MANIFEST_NAME).unlink()
    (finding,) = (await audited(tmp_path)).findings
    assert finding.file == MANIFEST_NAME


async def test_a_damaged_entry_is_found_and_its_files_are_orphans(tmp_path: Path) -> None:
    stored = await published(tmp_path)
    (tmp_path / "storage" / "catalog" / "film.json").write_bytes(b"nonsense")
    verdict = await audited(tmp_path)
    assert [finding.title for finding in verdict.findings] == ["film"]
    assert [orphan.package for orphan in verdict.orphans] == [stored.name]
