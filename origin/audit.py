"""Reads every stored byte that the catalog promises and says which are not what they should be."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from config.progress import Reporter
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, StoredFile, block_range, decode, package_name
from origin.catalog import CATALOG, PACKAGES, Catalog, package_prefix
from origin.errors import NotFound
from origin.storage import Storage
from origin.together import for_each

# Files read at once: one thread hashes while another waits for the disk or the network.
FILES_AT_ONCE = 2


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not what the catalog promises; `block` is -1 where it is not about one block."""

    problem: str  # a sentence
    title: str
    package: str = ""
    file: str = ""
    block: int = -1


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A stored package that no entry names: left by a publish or a withdrawal that was cut short, or under way."""

    title: str
    package: str
    objects: int
    size: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    titles: int
    packages: int
    bytes_read: int
    findings: tuple[Finding, ...]
    orphans: tuple[Orphan, ...]


async def audit(storage: Storage, reporter: Reporter) -> Verdict:
    """Reads everything. Findings are failures of the promise; orphans only take room. Raises StorageError."""
    catalog = Catalog()
    await catalog.refresh(storage)
    findings = [
        Finding(title=key.removeprefix(CATALOG).removesuffix(".json"), problem=problem)
        for key, problem in catalog.damaged.items()
    ]
    promised = [(entry.title, package) for entry in catalog.entries.values() for package in entry.packages]
    total = read = 0
    files: list[tuple[str, str, StoredFile]] = []
    for title, name in promised:
        try:
            package = await _read_manifest(storage, title, name)
        except (NotFound, PackageError) as error:
            findings.append(Finding(title=title, package=name, file=MANIFEST_NAME, problem=str(error)))
            continue
        files += [(title, name, file) for file in package.files]
        total += package.size
    with reporter.bar("auditing", total) as bar:

        async def check(item: tuple[str, str, StoredFile]) -> None:
            nonlocal read
            title, name, file = item
            for block, problem in await _check_file(storage, package_prefix(title, name) + file.name, file):
                findings.append(Finding(title=title, package=name, file=file.name, block=block, problem=problem))
            read += file.size
            bar.update(read, f"{title}/{file.name}")

        await for_each(files, check, at_once=FILES_AT_ONCE)
    return Verdict(
        titles=len(catalog.entries),
        packages=len(promised),
        bytes_read=read,
        findings=tuple(findings),
        orphans=await _orphans(storage, set(promised)),
    )


async def _read_manifest(storage: Storage, title: str, name: str) -> Package:
    """Raises NotFound, PackageError."""
    manifest = await storage.read_bytes(package_prefix(title, name) + MANIFEST_NAME)
    if package_name(manifest) != name:
        raise PackageError(f"{MANIFEST_NAME} is damaged: its digest is not the package's name")
    package = decode(manifest)
    if package.title != title:
        raise PackageError(f"{MANIFEST_NAME} is that of another title, {package.title!r}")
    return package


async def _check_file(storage: Storage, key: str, file: StoredFile) -> list[tuple[int, str]]:
    """What is wrong with a file: (block, sentence); block -1 for the file as such."""
    whole = hashlib.sha256()

    def digest(data: bytes) -> str:
        whole.update(data)
        return hashlib.sha256(data).hexdigest()

    problems = []
    try:
        size = await storage.size(key)
        for block, expected in enumerate(file.blocks):
            first, end = block_range(block, file.size)
            data = await storage.read_bytes(key, first, end - first)
            if await asyncio.to_thread(digest, data) != expected:
                problems.append((block, f"bytes {first}-{end - 1} are not what was published"))
    except NotFound:
        return [(-1, "the file is missing")]
    if size != file.size:
        problems.append((-1, f"the file has {size} bytes, not {file.size}"))
    if not problems and whole.hexdigest() != file.digest:
        problems.append((-1, f"its blocks are right, but not its SHA-256: {MANIFEST_NAME} contradicts itself"))
    return problems


async def _orphans(storage: Storage, promised: set[tuple[str, str]]) -> tuple[Orphan, ...]:
    found: dict[tuple[str, str], list[int]] = {}
    async for stored in storage.list(PACKAGES):
        title, _, rest = stored.key.removeprefix(PACKAGES).partition("/")
        package = rest.partition("/")[0]
        if (title, package) not in promised:
            found.setdefault((title, package), []).append(stored.size)
    return tuple(
        Orphan(title=title, package=package, objects=len(sizes), size=sum(sizes))
        for (title, package), sizes in sorted(found.items())
    )
