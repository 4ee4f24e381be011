"""The package as `NEARCAST_COMPILE=3 pip install .` makes it, in a folder of its own; nothing compiled is kept."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from bench.errors import BenchError

_SOURCES = Path(__file__).parents[2]
_PACKAGES = ("config", "encoder", "oca", "origin", "steering", "fill", "bench")
_FILES = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
_COMPILE_LIMIT_S = 900.0


def why_not() -> str:
    """Why it cannot be compiled here; empty where it can."""
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        return "no C compiler is installed"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "the headers of Python are not installed"
    if importlib.util.find_spec("mypyc") is None:
        return "mypy is not installed"
    if not (_SOURCES / "setup.py").is_file():
        return "this is no checkout"
    return ""


def install(folder: Path, level: int = 3) -> dict[str, str]:
    """The environment in which Python finds the package there, and no other one. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="nearcast-compiled-") as copied:
        sources = Path(copied)
        for name in _FILES:
            shutil.copy2(_SOURCES / name, sources / name)
        for name in _PACKAGES:
            ignored = shutil.ignore_patterns("node_modules", "__pycache__")
            shutil.copytree(_SOURCES / name, sources / name, ignore=ignored)
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-input"]
        done = subprocess.run(
            [*command, "--disable-pip-version-check", "--target", str(folder), str(sources)],
            env={**os.environ, "NEARCAST_COMPILE": str(level)},
            capture_output=True,
            text=True,
            timeout=_COMPILE_LIMIT_S,
            check=False,
        )
    if done.returncode:
        raise BenchError(f"steering cannot be compiled: {(done.stdout + done.stderr)[-2000:]}")
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
