"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from itertools import count
from pathlib import Path

import psycopg

from tests.tools import missing

# It refuses to run as root; Debian's package makes this user.
_USER = "postgres"
_LIMIT_S = 60


class Postgres:
    def __init__(self, folder: Path) -> None:
        """Skips the test, or fails it in CI, if there is no PostgreSQL."""
        self._bin = find_postgres()
        self._data = folder / "data"
        self._numbers = count(1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.getuid() == 0:
            shutil.chown(folder, _USER)
        self._run(
            "initdb", "-D", str(self._data), "-U", "nearcast", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale"
        )

    def start(self) -> None:
        # Nothing of it has to survive the machine.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("start", "-o", options, "-l", str(self._data.parent / "log"))

    def kill(self) -> None:
        """As a power cut would: no word to its clients, and recovery at the next start."""
        self._control("stop", "-m", "immediate")

    def new_database(self) -> str:
        """Makes an empty one; its URL."""
        name = f"fleet{next(self._numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://nearcast@127.0.0.1:{self.port}/{name}"

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", *arguments)

    def _run(self, command: str, *arguments: str) -> None:
        as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"] if os.getuid() == 0 else []
        subprocess.run(
            [*as_user, str(self._bin / command), *arguments],
            check=True,
            timeout=_LIMIT_S,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def find_postgres() -> Path:
    """The folder of its commands; Debian keeps them out of PATH, a folder for each version."""
    found = [Path(path).parent for path in (shutil.which("pg_ctl"),) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    has_user = os.getuid() != 0 or any(one.pw_name == _USER for one in pwd.getpwall())
    for folder in found:
        if has_user and (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    missing("PostgreSQL", "on Debian: sudo apt install postgresql")
    raise AssertionError("unreachable")
