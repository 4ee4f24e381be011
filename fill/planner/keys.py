"""Key files: a private key (PEM, PKCS 8) for whoever plans, public keys (PEM, one after the other) for appliances.

Keys are changed by giving appliances the new public key beside the old one first, then the planner the new private key,
and by taking the old public key away last.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from config.errors import ConfigError, Problem

PRIVATE_NAME, PUBLIC_NAME = "plan-key.pem", "plan-keys.pem"
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\s*", re.DOTALL)


def read_private(path: Path | None) -> Ed25519PrivateKey | None:
    """None for no path. Raises ConfigError."""
    if path is None:
        return None
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "plan_key", str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "plan_key", "a key of another kind")
    return key


def read_public(path: Path | None) -> list[Ed25519PublicKey]:
    """Every key of the file; none for no path. Raises ConfigError."""
    if path is None:
        return []
    try:
        found = [load_pem_public_key(block) for block in _PUBLIC.findall(path.read_bytes())]
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "plan_keys", str(error)) from error
    keys = [key for key in found if isinstance(key, Ed25519PublicKey)]
    if not keys or len(keys) != len(found):
        raise _unusable(path, "plan_keys", "a key of another kind" if found else "no public key")
    return keys


def make_pair(directory: Path) -> tuple[Path, Path]:
    """Writes a new private and its public key; neither replaces one that is there. Raises ConfigError."""
    private, public = directory / PRIVATE_NAME, directory / PUBLIC_NAME
    key = Ed25519PrivateKey.generate()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in (private, public):
            if path.exists():
                raise ConfigError([Problem("keys", str(path), "a key already", "a directory without keys")])
        _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    except OSError as error:
        raise ConfigError([Problem("keys", str(directory), str(error), "a directory that can be written")]) from error
    return private, public


def _write(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _unusable(path: Path, setting: str, found: str) -> ConfigError:
    return ConfigError([Problem(str(path), setting, found, "an Ed25519 key in PEM; `nearcast fill keys` makes a pair")])
