from __future__ import annotations

from pathlib import Path

import pytest

from oca.errors import VolumeFailed
from oca.store import health
from oca.store.health import Identity, identify, probe


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The mount point under which every path is, as [it]."""
    found = ["/disk"]
    monkeypatch.setattr(health, "_mount_of", lambda root: found[0])
    return found


def test_a_new_volume_gets_a_name_and_keeps_it(tmp_path: Path, mounts: list[str]) -> None:
    first = identify(tmp_path, None)
    assert len(first.name) == 32 and identify(tmp_path, None) == identify(tmp_path, first) == first


def test_an_empty_mount_point_is_not_taken_for_an_empty_volume(tmp_path: Path, mounts: list[str]) -> None:
    remembered = identify(tmp_path, None)
    (tmp_path / ".nearcast-volume").unlink()
    mounts[0] = "/"
    with pytest.raises(VolumeFailed, match="not mounted: expected the file system that was mounted at /disk, found"):
        identify(tmp_path, remembered)
    assert not list(tmp_path.iterdir())


def test_a_new_disk_under_the_same_mount_point_is_taken_in(tmp_path: Path, mounts: list[str]) -> None:
    old = Identity("0" * 32, "/disk")
    assert identify(tmp_path, old).name != old.name


def test_a_disk_that_was_swapped_with_another_of_ours_is_known_by_its_own_name(
    tmp_path: Path, mounts: list[str]
) -> None:
    name = identify(tmp_path, None).name
    mounts[0] = "/elsewhere"
    assert identify(tmp_path, Identity("0" * 32, "/disk")) == Identity(name, "/elsewhere")


def test_a_probe_tells_what_is_free_and_leaves_nothing(tmp_path: Path) -> None:
    identity = identify(tmp_path, None)
    assert probe(tmp_path, identity) > 0
    assert [path.name for path in tmp_path.iterdir()] == [".nearcast-volume"]


def test_a_probe_notices_that_it_is_another_volume(tmp_path: Path) -> None:
    identity = identify(tmp_path, None)
    (tmp_path / ".nearcast-volume").write_text("f" * 32)
    with pytest.raises(VolumeFailed, match=f"expected the one named {identity.name}, found {'f' * 32}"):
        probe(tmp_path, identity)
    (tmp_path / ".nearcast-volume").unlink()
    with pytest.raises(VolumeFailed, match="found none"):
        probe(tmp_path, identity)


def test_what_is_remembered_survives_and_nonsense_is_nothing(tmp_path: Path) -> None:
    assert health.remembered(tmp_path) == {}
    known = {Path("/a"): Identity("0" * 32, "/")}
    health.remember(tmp_path, known)
    assert health.remembered(tmp_path) == known
    (tmp_path / "volumes.json").write_text("{")
    assert health.remembered(tmp_path) == {}


def test_every_path_is_under_some_mount_point(tmp_path: Path) -> None:
    assert Path(health._mount_of(tmp_path)).is_mount()
