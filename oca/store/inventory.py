"""What an appliance holds, as known in memory: files and manifests by package, on which volume, and what may go first.

Filled by a scan, then kept up by the store with every file that comes and goes; it never looks at a disk itself. A
million files are ordinary, so an entry is small, invisible to the garbage collector, and shares its name with all the
others of that name: 204 bytes a file (a million files in 20,000 packages, a third of them pulled; Python 3.11).

Pure.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from encoder.package import MANIFEST_NAME
from oca.report import EVERY_FILE, held_digest, show_version


@dataclass(frozen=True, order=True, slots=True)
class FileKey:
    """Names one stored file of one package."""

    title: str
    package: str
    file: str

    @property
    def package_key(self) -> str:
        return f"{self.title}/{self.package}"


class Entry(msgspec.Struct, gc=False):
    """One file of a package. `size` is the room it takes up, or will when it is whole."""

    volume: int
    size: int
    is_whole: bool
    is_planned: bool


class Shelf(msgspec.Struct):
    """What is there of one package. `names` are those of all its files, once they were read from the manifest."""

    files: dict[str, Entry] = msgspec.field(default_factory=dict)
    manifests: dict[int, int] = msgspec.field(default_factory=dict)  # volume -> size of the manifest there
    names: frozenset[str] | None = None


class Found(NamedTuple):
    """What a scan of one volume found; `pulled` are the files that no plan placed, oldest first."""

    shelves: dict[str, Shelf]
    pulled: list[FileKey]


class Inventory:
    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}
        self._told: dict[str, tuple[str, ...]] = {}  # package -> what a report says of it
        self._version = 0
        # By volume, files that no plan placed, oldest first.
        self._pulled: defaultdict[int, OrderedDict[FileKey, None]] = defaultdict(OrderedDict)
        self._used: Counter[int] = Counter()
        self._sheddable: Counter[int] = Counter()
        self._counts: Counter[int] = Counter()

    def add(self, package_key: str, found: Shelf) -> list[tuple[FileKey, int]]:
        """What a scan of one volume found of a package. Copies of what is there already are for removal there."""
        known = self._shelves.get(package_key)
        if known is None:
            known = self._shelves[package_key] = found
            for entry in found.files.values():
                self._count(entry)
            copies = []
        else:
            copies = list(self._add_files(package_key, known, found))
            known.manifests.update(found.manifests)
            known.names = known.names or found.names
        for volume, size in found.manifests.items():
            self._used[volume] += size
        self._tell(package_key, known)
        return copies

    def _add_files(self, package_key: str, known: Shelf, found: Shelf) -> Iterator[tuple[FileKey, int]]:
        title, _, package = package_key.partition("/")
        for name, entry in found.files.items():
            before = known.files.get(name)
            if before is not None:
                if before.volume == entry.volume:
                    continue  # it came while the scan was under way
                key = FileKey(title, package, name)
                if before.is_whole >= entry.is_whole:
                    yield key, entry.volume
                    continue
                yield key, before.volume
                self._uncount(before)
                self._pulled[before.volume].pop(key, None)
            known.files[name] = entry
            self._count(entry)

    def add_pulled(self, keys: Iterable[FileKey]) -> None:
        """Files that a scan found placed by no plan, oldest first."""
        for key in keys:
            entry = self.entry(key)
            if entry is not None and not entry.is_planned:
                self._pulled[entry.volume][key] = None

    # Files

    def entry(self, key: FileKey) -> Entry | None:
        """None where nothing of it is there; the manifest has no entry."""
        shelf = self._shelves.get(key.package_key)
        return shelf.files.get(key.file) if shelf is not None else None

    def holds(self, key: FileKey) -> bool:
        """True for a file that is whole, and for a manifest that is there."""
        if key.file == MANIFEST_NAME:
            return bool(self.manifests(key.package_key))
        entry = self.entry(key)
        return entry is not None and entry.is_whole

    def put(self, key: FileKey, entry: Entry) -> None:
        """The file is there now, or is so now; as the youngest if no plan placed it."""
        shelf = self._shelves.setdefault(key.package_key, Shelf())
        before = shelf.files.get(key.file)
        if before is not None:
            self._uncount(before)
            self._pulled[before.volume].pop(key, None)
        shelf.files[key.file] = entry
        self._count(entry)
        if not entry.is_planned:
            self._pulled[entry.volume][key] = None
        self._tell(key.package_key, shelf)

    def remove(self, key: FileKey) -> Entry | None:
        """What was there of the file."""
        shelf = self._shelves.get(key.package_key)
        entry = shelf.files.pop(key.file, None) if shelf is not None else None
        if shelf is None or entry is None:
            return None
        self._uncount(entry)
        self._pulled[entry.volume].pop(key, None)
        self._tell(key.package_key, shelf)
        return entry

    def _count(self, entry: Entry) -> None:
        self._used[entry.volume] += entry.size
        self._counts[entry.volume] += entry.is_whole
        self._sheddable[entry.volume] += 0 if entry.is_planned else entry.size

    def _uncount(self, entry: Entry) -> None:
        self._used[entry.volume] -= entry.size
        self._counts[entry.volume] -= entry.is_whole
        self._sheddable[entry.volume] -= 0 if entry.is_planned else entry.size

    def pulled(self, volume: int) -> Iterator[tuple[FileKey, int]]:
        """Files that no plan placed, oldest first, with their sizes."""
        for key in self._pulled[volume]:
            entry = self.entry(key)
            assert entry is not None
            yield key, entry.size

    # Manifests

    def manifests(self, package_key: str) -> Collection[int]:
        """The volumes that have the package's manifest."""
        shelf = self._shelves.get(package_key)
        return shelf.manifests.keys() if shelf is not None else ()

    def put_manifest(self, package_key: str, volume: int, size: int) -> None:
        self.remove_manifest(package_key, volume)
        shelf = self._shelves.setdefault(package_key, Shelf())
        shelf.manifests[volume] = size
        self._used[volume] += size
        self._tell(package_key, shelf)

    def remove_manifest(self, package_key: str, volume: int) -> bool:
        shelf = self._shelves.get(package_key)
        if shelf is None or volume not in shelf.manifests:
            return False
        self._used[volume] -= shelf.manifests.pop(volume)
        self._tell(package_key, shelf)
        return True

    def learn(self, package_key: str, names: Iterable[str]) -> None:
        """The names of all files that the package has, by its manifest."""
        shelf = self._shelves.get(package_key)
        if shelf is not None:
            shelf.names = frozenset(names)
            self._tell(package_key, shelf)

    def unlearned(self) -> list[str]:
        """Packages with a manifest that nobody has read yet."""
        return [key for key, shelf in self._shelves.items() if shelf.names is None and shelf.manifests]

    def names(self) -> dict[str, frozenset[str]]:
        """What was learned, by package."""
        return {key: shelf.names for key, shelf in self._shelves.items() if shelf.names is not None}

    def forget(self, package_key: str, volume: int) -> None:
        """Whatever the volume has of a package."""
        shelf = self._shelves.get(package_key)
        if shelf is None:
            return
        title, _, package = package_key.partition("/")
        for name in [name for name, entry in shelf.files.items() if entry.volume == volume]:
            self._uncount(shelf.files.pop(name))
            self._pulled[volume].pop(FileKey(title, package, name), None)
        self._used[volume] -= shelf.manifests.pop(volume, 0)
        self._tell(package_key, shelf)

    # All of it

    def packages(self) -> list[str]:
        return list(self._shelves)

    def files(self, package_key: str) -> dict[str, Entry]:
        """Its files by name, whole or not."""
        shelf = self._shelves.get(package_key)
        return dict(shelf.files) if shelf is not None else {}

    def used_bytes(self, volume: int) -> int:
        return self._used[volume]

    def sheddable_bytes(self, volume: int) -> int:
        """What those of its files take up that no plan placed."""
        return self._sheddable[volume]

    def count(self, volume: int) -> int:
        """Files that are held whole."""
        return self._counts[volume]

    @property
    def held(self) -> dict[str, tuple[str, ...]]:
        """What a report says: package -> its files, or ("*",) for all; packages that cannot be served are left out."""
        return self._told

    @property
    def version(self) -> str:
        """`report.held_version` of `held`, kept up instead of made anew for each report."""
        return show_version(self._version)

    def _tell(self, package_key: str, shelf: Shelf) -> None:
        before = self._told.pop(package_key, None)
        if before is not None:
            self._version -= held_digest(package_key, before)
        if not shelf.files and not shelf.manifests:
            del self._shelves[package_key]
            return
        files = {name for name, entry in shelf.files.items() if entry.is_whole}
        if not files or not shelf.manifests:  # without its manifest a package cannot be served
            return
        is_whole = shelf.names is not None and files >= shelf.names
        told = self._told[package_key] = EVERY_FILE if is_whole else tuple(sorted(files))
        self._version += held_digest(package_key, told)
