from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.progress import Reporter
from encoder.errors import ProtectionError
from encoder.protection.keyring import read_keys, read_ring
from tests.encoder.protection.rings import HIGH, LOW, content_key, cpix, key_file

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "data",
    [
        BOM + key_file().encode(),
        key_file().replace("\n", "\r\n").encode(),
        BOM + cpix(content_key(LOW)),
        b"# ours\r\n" + key_file().upper().encode().replace(b"KEYS", b"keys").replace(b"KEY", b"key")
        .replace(b"ID =", b"id =").replace(b"TRACKS", b"tracks").replace(b"VIDEO", b"video")
        .replace(b"AUDIO", b"audio").split(b"[[SYSTEMS]]")[0],
    ],
    ids=["mark", "lines", "xml with a mark", "large digits"],
)  # fmt: skip
def test_files_of_other_editors_are_read(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(data)
    assert read_keys(tmp_path / "keys").keys[0].key_id == LOW


def test_a_pipe_is_a_key_file(tmp_path: Path, reporter: Reporter) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = threading.Thread(target=pipe.write_text, args=(key_file(),))
    writer.start()
    assert read_ring(pipe, "film", reporter).keys[0].key_id == LOW
    writer.join()


def test_folder_has_one_file_for_each_title(tmp_path: Path, reporter: Reporter) -> None:
    (tmp_path / "film.toml").write_text(key_file())
    (tmp_path / "other.xml").write_bytes(cpix(content_key(HIGH)))
    assert read_ring(tmp_path, "film", reporter).keys[0].key_id == LOW
    assert read_ring(tmp_path, "other", reporter).keys[0].key_id == HIGH
    with pytest.raises(ProtectionError, match="has 0 key files for 'third', expected one: third"):
        read_ring(tmp_path, "third", reporter)
    (tmp_path / "film.json").write_text("{}")
    with pytest.raises(ProtectionError, match="has 2 key files for 'film'"):
        read_ring(tmp_path, "film", reporter)


def test_who_has_read_keys_leaves_no_core_and_nor_do_its_tools(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(key_file())
    script = (
        "import pathlib, subprocess, sys; from encoder.protection.keyring import read_keys\n"
        "read_keys(pathlib.Path(sys.argv[1])); subprocess.run(['sh', '-c', 'ulimit -c'])"
    )
    said = subprocess.run([sys.executable, "-c", script, tmp_path / "keys"], check=True, capture_output=True)
    assert said.stdout == b"0\n"


def test_file_that_is_not_text_is_refused_by_an_error_that_does_not_hold_it(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(key_file().encode("utf-16"))
    with pytest.raises(ProtectionError, match="is not text in UTF-8") as raised:
        read_keys(tmp_path / "keys")
    assert raised.value.__context__ is None


def test_file_that_is_too_large_or_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ProtectionError, match="more than 1048576 bytes, expected the keys of one title"):
        read_keys(tmp_path / "keys")
    with pytest.raises(ProtectionError, match="cannot be read: Is a directory"):
        read_keys(tmp_path)
