from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from tests.kernel.image import Kernel, initramfs, loading_order


def _module(path: Path, depends: str) -> Path:
    data = b"\x7fELF\0license=GPL\0depends=%s\0name=x\0" % depends.encode()
    path.write_bytes(lzma.compress(data) if path.suffix == ".xz" else data)
    return path


def test_modules_come_after_those_they_depend_on_and_once(tmp_path: Path) -> None:
    found = {
        "a": _module(tmp_path / "a.ko", "b,c_d"),
        "b": _module(tmp_path / "b.ko.xz", "c_d"),
        "c-d": _module(tmp_path / "c-d.ko", ""),
    }
    order = loading_order(["b", "a"], found)
    assert list(order) == ["c_d", "b", "a"]
    assert all(data.startswith(b"\x7fELF") for data in order.values())


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="no module tls"):
        loading_order(["tls"], {})


def test_an_archive_has_init_shell_and_modules_each_aligned_to_four_bytes(tmp_path: Path) -> None:
    for name in ("vmlinuz", "busybox", "tls.ko"):
        (tmp_path / name).write_bytes(name.encode())
    kernel = Kernel(tmp_path / "vmlinuz", tmp_path / "busybox", [tmp_path / "tls.ko"])
    archive = initramfs(kernel, Path("/a folder"), {"HOME": "/dev/shm"}, ["echo", "it's"])
    entries = {}
    at = 0
    while "TRAILER!!!" not in entries:
        assert archive[at : at + 6] == b"070701"
        size, name_size = int(archive[at + 54 : at + 62], 16), int(archive[at + 94 : at + 102], 16)
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        at += -(-(110 + name_size) // 4) * 4
        entries[name] = archive[at : at + size]
        at += -(-size // 4) * 4
    assert at == len(archive)
    assert (entries["bin/busybox"], entries["modules/tls.ko"]) == (b"busybox", b"tls.ko")
    assert b"""-C '/a folder' HOME=/dev/shm echo 'it'"'"'s'\n""" in entries["init"]
