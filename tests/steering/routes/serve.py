"""`nearcast steering routes` as a process of its own; without a command it serves."""

from __future__ import annotations

import sys

from config.cli import run_command
from steering.routes.cli import routes

if __name__ == "__main__":
    if sys.argv[1].startswith("--"):
        sys.argv.insert(1, "serve")
    run_command(routes)
