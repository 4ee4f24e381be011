from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from config.progress import Reporter
from encoder.errors import ProtectionError
from encoder.protection.keyring import read_keys, read_ring
from tests.encoder.protection.rings import HIGH, LOW, content_key, cpix, key_file
from tests.encoder.protection.test_delivery import OURS, SECRET, document, recipient, sealed, sent
from tests.encoder.protection.test_encryption import Spoken

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


def test_private_key_opens_what_is_encrypted_for_it_and_one_for_everybody_is_remarked_on(tmp_path: Path) -> None:
    pem = OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private, keys = tmp_path / "private.pem", tmp_path / "film.xml"
    keys.write_bytes(document(sent(sealed(SECRET)), recipient()))
    reporter = Spoken()
    for path, data in ((private, pem), (keys, keys.read_bytes())):
        path.write_bytes(data)
        path.chmod(0o600)
    assert read_ring(tmp_path, "film", reporter, private).keys[0].secret == SECRET
    assert not reporter.lines
    private.chmod(0o644)
    read_ring(keys, "film", reporter, private)
    assert [str(private) in line for line in reporter.lines] == [True]
    with pytest.raises(ProtectionError, match="encrypted for a recipient, expected his private key"):
        read_ring(keys, "film", reporter)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"-----BEGIN PRIVATE KEY-----", OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["empty", "cut off", "public", "with a password", "of another kind"],
)  # fmt: skip
def test_what_is_no_private_key_is_refused(data: bytes, tmp_path: Path, reporter: Reporter) -> None:
    private = tmp_path / "private.pem"
    private.write_bytes(data)
    (tmp_path / "film.toml").write_text(key_file())
    with pytest.raises(ProtectionError, match=r"private\.pem is no private key, expected one of RSA in PEM"):
        read_ring(tmp_path, "film", reporter, private)
