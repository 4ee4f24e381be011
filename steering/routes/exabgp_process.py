"""ExaBGP as a child: a configuration that only ever receives, its starts and ends, and its log lines in ours.

It is Python from PyPI (the extra `bgp`), and a process of its own: whatever a router can make it do, it does there.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import logging
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from config.steering import BgpSettings
from steering.errors import ExaBgpError

# Each start that fails doubles the wait; one that lasted begins anew.
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LASTED_S = 0.5, 30.0, 60.0
_END_LIMIT_S = 5.0
_HOLD_S = 90  # RFC 4271 section 10 suggests it
# A graceful restart of ours lets the neighbour hold on to what it knows of us (RFC 4724), and say the end of its table.
_RESTART_S = 120

_ENVIRONMENT = {
    "exabgp.daemon.drop": "false",
    "exabgp.daemon.daemonize": "false",
    "exabgp.api.ack": "false",
    "exabgp.api.cli": "false",
    "exabgp.api.compact": "true",
    "exabgp.api.respawn": "true",
    "exabgp.log.destination": "stdout",
    "exabgp.log.level": "INFO",
    "exabgp.log.short": "true",
    "exabgp.log.statistics": "false",
    "exabgp.bgp.passive": "true",
}

logger = logging.getLogger(__name__)


def configuration(sessions: Iterable[BgpSettings], socket: Path) -> str:
    """What ExaBGP is told: the neighbours, and whom their routes go to. It has no route to announce."""
    parts = [f"process nearcast {{\n  run {sys.executable} -m steering.routes.forward {socket};\n  encoder json;\n}}\n"]
    parts += [_neighbour(one) for one in sessions]
    return "".join(parts)


def _neighbour(one: BgpSettings) -> str:
    # An IPv6 session has no address that could be a router ID; any number that is not zero does (RFC 6286).
    address = ipaddress.ip_address(one.local_address)
    router_id = address if address.version == 4 else ipaddress.IPv4Address(int(address) & 0xFFFFFFFF or 1)
    lines = [
        f"neighbor {ipaddress.ip_address(one.peer)} {{",
        f"  router-id {router_id};",
        f"  local-address {address};",
        f"  local-as {one.local_as};",
        f"  peer-as {one.peer_as};",
        f"  hold-time {_HOLD_S};",
        "  passive true;",
        f"  listen {one.port};",
        *([f'  md5-password "{one.password}";'] if one.password else []),
        *(["  incoming-ttl 255;"] if one.ttl_security else []),
        "  family { ipv4 unicast; ipv6 unicast; }",
        f"  capability {{ asn4 enable; route-refresh enable; graceful-restart {_RESTART_S}; }}",
        "  api { processes [ nearcast ]; neighbor-changes; receive { parsed; open; update; } }",
        "}",
    ]
    return "\n".join(lines) + "\n"


class ExaBgp:
    """Keeps it running; `trouble` says why it does not, "" if it does."""

    def __init__(self, sessions: Iterable[BgpSettings], table: Path, socket: Path) -> None:
        """Its configuration stands beside the table. Raises ExaBgpError if it is not installed."""
        if importlib.util.find_spec("exabgp") is None:
            raise ExaBgpError(
                "ExaBGP, which listens for BGP sessions, is not installed; expected `pip install 'nearcast[bgp]'`, or "
                'sessions of another source than "listen"'
            )
        self._text = configuration(sessions, socket)
        self._path = table.with_name(f"{table.name}.exabgp")
        self.trouble = ""
        self.starts = 0

    async def follow(self) -> None:
        """Starts it again for ever."""
        loop, wait_s = asyncio.get_running_loop(), _FIRST_WAIT_S
        while True:
            began = loop.time()
            try:
                self.trouble = f"ExaBGP ended with code {await self._run()}; its log lines say why"
            except (OSError, KeyError) as error:  # the disk, the number of processes; a user without a name
                self.trouble = f"ExaBGP cannot be started: {error}"
            wait_s = _FIRST_WAIT_S if loop.time() - began > _LASTED_S else min(2 * wait_s, _LONGEST_WAIT_S)
            logger.warning("ExaBGP is started again", extra={"reason": self.trouble, "after_s": wait_s})
            await asyncio.sleep(wait_s)

    async def _run(self) -> int:
        """Until it ends; it ends when this is cancelled."""
        self._write()
        process = await asyncio.create_subprocess_exec(
            *_dies_with_us(),
            *(sys.executable, "-m", "exabgp", "server", str(self._path)),
            env={**os.environ, **_ENVIRONMENT, "exabgp.daemon.user": pwd.getpwuid(os.getuid()).pw_name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.trouble, self.starts = "", self.starts + 1
        logger.info("ExaBGP runs", extra={"pid": process.pid})
        try:
            assert process.stdout is not None
            await _log(process.stdout)
            return await process.wait()
        finally:
            await _end(process)

    def _write(self) -> None:
        # Passwords are in it.
        self._path.unlink(missing_ok=True)
        self._path.touch(0o600, exist_ok=False)
        self._path.write_text(self._text)


def _dies_with_us() -> list[str]:
    """So that a killed routes process leaves nobody behind on its port."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


async def _log(output: asyncio.StreamReader) -> None:
    while True:
        try:
            line = await output.readline()
        except ValueError:  # longer than the stream's limit, and dropped
            continue
        if not line:
            return
        text = line.decode(errors="replace").strip()
        if text and "advice" not in text:  # on its environment file, which we do not use
            logger.info("ExaBGP says", extra={"line": text[:500]})


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL to it and its forwarder if that does not do."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_LIMIT_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
