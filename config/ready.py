"""How a service says that it is listening, and where: the caller may have let the system choose the port."""

from __future__ import annotations

from pathlib import Path

from config.field import show_address


def announce(ready_file: Path | None, host: str, port: int) -> None:
    """Writes "host:port" to the file, whole or not at all; does nothing without one."""
    if ready_file is not None:
        fresh = ready_file.with_name(ready_file.name + ".new")
        fresh.write_text(show_address((host, port)) + "\n")
        fresh.replace(ready_file)
