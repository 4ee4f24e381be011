"""The C programs of this folder, compiled when they are needed; nothing compiled is kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.errors import BenchError

_SOURCES = Path(__file__).parent
_COMPILE_LIMIT_S = 60.0


def compile_program(name: str, folder: Path) -> Path | None:
    """The executable made of {name}.c, or None where there is no C compiler. Raises BenchError with its complaint."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    executable = folder / name
    command = [compiler, "-O2", "-std=gnu11", "-Wall", "-o", str(executable), str(_SOURCES / f"{name}.c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_LIMIT_S, check=False)
    if done.returncode:
        raise BenchError(f"{name}.c cannot be compiled: {done.stderr[-1000:]}")
    return executable
