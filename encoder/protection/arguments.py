"""The packager's arguments that encrypt and decrypt: what everybody may see, and, apart, what carries the keys.

Each file has a label of its own, so that each has an IV of its own: with one IV for all, equal beginnings of two rungs
under one key would be equal in cipher text too.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from encoder.protection.keys import ContentKey
from encoder.protection.systems import common_pssh

SCHEME = "cbcs"


class FileKey(NamedTuple):
    """What one file is encrypted with."""

    key: ContentKey
    iv: bytes


def encrypting(run: Sequence[str], files: Mapping[str, FileKey]) -> list[str]:
    """The arguments of a run of the packager in clear, now with encryption. `files`: output name -> its key."""
    labelled = [f"{one},drm_label={output_of(one)}" if output_of(one) else one for one in run]
    return [
        *labelled,
        "--enable_raw_key_encryption",
        # The pattern 1:9 for video and whole samples for audio, a constant IV: what Apple's players and CMAF ask for.
        "--protection_scheme", SCHEME,
        # All of it, from the first segment on.
        "--clear_lead", "0",
        # Each file names the keys of all: hls.js asks for one licence, for what the first `encrypted` event lists.
        "--pssh", common_pssh(file.key.key_id for file in files.values()).hex(),
    ]  # fmt: skip


def decrypting(run: Sequence[str], folder: str) -> list[str]:
    """The arguments that make the clear files of a run again from the encrypted ones in `folder`."""
    return [
        *(
            ",".join([f"in={folder}/{output_of(one)}", *one.split(",")[1:]]) if output_of(one) else one
            for one in run
        ),
        "--enable_raw_key_decryption",
    ]  # fmt: skip


def encryption_keys(files: Mapping[str, FileKey]) -> str:
    """The secret flag for `encrypting`."""
    return _keys(f"label={name}:{_pair(file.key)}:iv={file.iv.hex()}" for name, file in files.items())


def decryption_keys(files: Mapping[str, FileKey]) -> str:
    """The secret flag for `decrypting`: there the packager finds keys by their IDs."""
    keys = {file.key.key_id: file.key for file in files.values()}
    return _keys(f"label={key_id}:{_pair(key)}" for key_id, key in keys.items())


def output_of(descriptor: str) -> str:
    """The file that a stream descriptor makes; "" for an argument that is none."""
    if not descriptor.startswith("in="):
        return ""
    fields = dict(part.partition("=")[::2] for part in descriptor.split(","))
    return fields.get("output", "")


def _keys(keys: Iterable[str]) -> str:
    return f"--keys={','.join(keys)}"


def _pair(key: ContentKey) -> str:
    return f"key_id={key.key_id}:key={key.secret.hex()}"
