"""A real appliance in its own processes, for tests that look at it from outside."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from tests.waiting import until

START_LIMIT_S = 20.0


class Running:
    """`nearcast oca serve` with one worker on a port of the system's choice."""

    def __init__(self, directory: Path, *options: str, name: str = "oca-1") -> None:
        self.directory, self.name = directory, name
        self.state, self.volume = directory / "state", directory / "volume"
        self._ready = directory / "ready"
        self._options = options
        self.host, self.port = "", 0
        self.process: asyncio.subprocess.Process

    async def spawn(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)
        arguments = {
            "--name": self.name, "--site": "north", "--state": self.state, "--volume": self.volume, "--workers": 1,
            "--listen": "127.0.0.1:0", "--admin": "127.0.0.1:0", "--ready-file": self._ready,
        }  # fmt: skip
        flat = [str(part) for pair in arguments.items() for part in pair]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "oca", "serve", *flat, *self._options, stderr=asyncio.subprocess.PIPE
        )

    async def start(self) -> None:
        """Until it listens. What it printed instead is in the AssertionError if it does not."""
        await self.spawn()
        ended = asyncio.create_task(self.process.wait())
        ready = asyncio.create_task(until(self._ready.exists, START_LIMIT_S))
        done, _ = await asyncio.wait([ended, ready], timeout=START_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        ready.cancel()
        if ready not in done:
            assert self.process.stderr is not None
            raise AssertionError((await self.process.stderr.read()).decode())
        host, _, port = self._ready.read_text().strip().rpartition(":")
        self.host, self.port = host, int(port)

    async def ask(self, what: str) -> dict[str, Any]:
        """An operator's command."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "oca", what, "--state", str(self.state), "--json", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        told: dict[str, Any] = json.loads(out)
        return told

    async def held(self, package: str, *files: str) -> None:
        """Waits until exactly these files of a package are held."""

        async def are_held() -> bool:
            held: list[str] = (await self.ask("status"))["held"].get(package, [])
            return held == list(files)

        await until(are_held)

    async def end(self, how: int = signal.SIGTERM) -> int:
        """Signals the parent and waits for it; its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.wait()

    async def wait(self) -> int:
        assert self.process.stderr is not None
        await self.process.stderr.read()
        return await self.process.wait()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        """A blocking client socket, for bytes that no HTTP library would send."""
        return socket.create_connection((self.host, self.port), timeout=10)

    def exchange(self, data: bytes) -> bytes:
        """Sends and reads until the appliance closes."""
        with self.connect() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state / "access.log").read_text().splitlines()]
