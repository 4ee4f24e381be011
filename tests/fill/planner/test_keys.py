from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from config.errors import ConfigError
from fill.planner.keys import make_pair, read_private, read_public
from fill.planner.signed import sign, verify


def test_a_pair_signs_and_verifies_and_is_never_replaced(tmp_path: Path) -> None:
    private, public = make_pair(tmp_path / "keys")
    assert verify(sign(b"x", read_private(private), "plan"), read_public(public), "plan") == b"x"
    assert private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="a key already"):
        make_pair(tmp_path / "keys")


def test_several_public_keys_of_one_file_are_all_accepted(tmp_path: Path) -> None:
    pairs = [make_pair(tmp_path / name) for name in "ab"]
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(public.read_bytes() for _, public in pairs))
    assert len(read_public(both)) == 2
    for private, _ in pairs:
        assert verify(sign(b"x", read_private(private), "plan"), read_public(both), "plan") == b"x"


def test_no_path_is_no_key() -> None:
    assert (read_private(None), read_public(None)) == (None, [])


def test_files_that_are_no_such_keys_are_configuration_errors(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    files = {
        "private.pem": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "public.pem": other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "empty.pem": b"",
        "garbage.pem": b"-----BEGIN PUBLIC KEY-----\n\xff\n-----END PUBLIC KEY-----\n",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for name in (*files, "missing.pem"):
        with pytest.raises(ConfigError, match=name):
            read_private(tmp_path / name)
        with pytest.raises(ConfigError, match=name):
            read_public(tmp_path / name)
