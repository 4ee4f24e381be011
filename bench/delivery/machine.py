"""What it ran on, and of what commit: a number without them cannot be compared with anything."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

_ASK_LIMIT_S = 10.0
# How each family says its version; Caddy says only the number.
_VERSION_ARGUMENTS = {
    "nginx": ("nginx", "-v"),
    "varnish": ("varnishd", "-V"),
    "caddy": ("caddy", "version"),
    "ats": ("traffic_server", "-V"),
}
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


def machine() -> dict[str, str | int]:
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "system": _field("/etc/os-release", "PRETTY_NAME").strip('"'),
        "python": platform.python_version(),
    }


def commit() -> str:
    """The checkout's commit, with "+" if there are changes that no commit has; empty outside a checkout."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return ""
    name = _said(["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"]).strip()
    changes = _said(["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"])
    return name + ("+" if name and changes.strip() else "")


def version(family: str) -> str:
    """Of a peer's program; empty for who has none."""
    match = _NUMBER.search(_said(list(_VERSION_ARGUMENTS[family]))) if family in _VERSION_ARGUMENTS else None
    return match[0] if match else ""


def _said(command: list[str]) -> str:
    """Both outputs; nothing where there is no such program."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_LIMIT_S, check=False, env={**os.environ, "PATH": path}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _field(path: str, name: str) -> str:
    """The first value of a file of "name: value" or "NAME=value" lines; empty if there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":" if ":" in line.partition("=")[0] else "=")
        if key.strip() == name:
            return value.strip()
    return ""
