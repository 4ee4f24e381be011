from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from config.progress import Reporter
from encoder.errors import ProtectionError
from encoder.protection.keyring import read_keys, read_ring
from tests.encoder.protection.rings import LOW, content_key, cpix, key_file

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
    assert read_ring(pipe, reporter).keys[0].key_id == LOW
    writer.join()


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
