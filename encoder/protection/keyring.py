"""Reads the file with the keys of a title: a key file, or a CPIX document."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from config.progress import Reporter
from encoder.errors import ProtectionError
from encoder.protection.cpix import parse_cpix
from encoder.protection.keyfile import parse_key_file
from encoder.protection.keys import KeyRing

# Of the files in a folder of them, which are named after their titles.
SUFFIXES = (".toml", ".json", ".xml")
# The keys and signals of one title are some kilobytes.
_LARGEST = 1024 * 1024


def read_ring(path: Path, title: str, reporter: Reporter, cpix_key: Path | None = None) -> KeyRing:
    """The keys of a title, and a word to the operator if others may read them too. Raises ProtectionError.

    `path` is its file, or a folder with one file for each title. `cpix_key` is the file of the private key that opens
    CPIX documents.
    """
    file = _of_title(path, title) if path.is_dir() else path
    private = _parse_private(_read_closed(cpix_key, reporter), cpix_key) if cpix_key is not None else None
    return _parse(_read_closed(file, reporter), file, private)


def read_keys(path: Path) -> KeyRing:
    """Raises ProtectionError saying what is wrong with the file, without ever quoting a key."""
    return _parse(_read(path)[0], path, None)


def _of_title(folder: Path, title: str) -> Path:
    found = [file for suffix in SUFFIXES if (file := folder / f"{title}{suffix}").exists()]
    if len(found) != 1:
        names = " or ".join(f"{title}{suffix}" for suffix in SUFFIXES)
        raise ProtectionError(f"the folder {folder} has {len(found)} key files for {title!r}, expected one: {names}")
    return found[0]


def _read_closed(path: Path, reporter: Reporter) -> bytes:
    data, mode = _read(path)
    if mode & stat.S_IROTH:
        reporter.say(f"every user of this machine may read the key file {path}; chmod 600 takes care of that")
    return data


def _read(path: Path) -> tuple[bytes, int]:
    """What is in the file, and its mode. It may be a pipe, which is there once."""
    # From now on there are keys in our memory, and soon in the packager's, which has this limit from us.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with path.open("rb") as file:
            data, mode = file.read(_LARGEST + 1), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ProtectionError(f"the key file {path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise ProtectionError(f"the key file {path} has more than {_LARGEST} bytes, expected the keys of one title")
    return data, mode


def _parse_private(data: bytes, path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # a TypeError asks for a password
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ProtectionError(f"{path} is no private key, expected one of RSA in PEM, without a password")
    return key


def _parse(data: bytes, path: Path, private: RSAPrivateKey | None) -> KeyRing:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return parse_cpix(data, str(path), private)
    # Editors of Windows begin a file with a byte order mark. An exception of the codec would keep all of the file.
    text = data.decode("utf-8-sig", errors="replace")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ProtectionError(f"the key file {path} is not text in UTF-8")
    return parse_key_file(text, str(path))
