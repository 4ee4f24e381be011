"""A benchmark's result as JSON, to the file or standard output that its `--json` names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import msgspec

from bench.errors import BenchError

STANDARD_OUTPUT = "-"


def demand_writable(file: str | None) -> None:
    """Raises BenchError where the result could not be written, before an hour is spent on it."""
    if file is None or file == STANDARD_OUTPUT:
        return
    path = Path(file)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BenchError(f"--json: found {file}, expected a file that can be written, or -")


def write(result: msgspec.Struct, file: str | None) -> bool:
    """True if it went to standard output, which then has nothing else. Raises BenchError."""
    if file is None:
        return False
    text = json.dumps(msgspec.to_builtins(result), indent=2)
    if file == STANDARD_OUTPUT:
        click.echo(text)
        return True
    try:
        Path(file).write_text(text + "\n")
    except OSError as error:
        raise BenchError(f"--json: {file}: {error.strerror}") from error
    return False
