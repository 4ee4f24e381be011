"""Tells systemd what a service does (sd_notify(3)), where it runs under systemd; elsewhere nothing happens.

READY=1 once it serves, RELOADING=1 ... READY=1 around a reload, STOPPING=1, WATCHDOG=1 while it is well
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Notifier:
    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in the abstract namespace (unix(7)).
        self._address = "\0" + path[1:] if path.startswith("@") else path
        # The manager wants a word within this; half of it leaves room for a busy moment (sd_watchdog_enabled(3)).
        is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = os.environ.get("WATCHDOG_USEC", "0") if is_ours else "0"
        self._every_s = int(microseconds) / 2e6 if microseconds.isdecimal() else 0.0

    def say(self, *lines: str) -> None:
        """Never in the way: a manager that does not listen is its own trouble."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            logger.warning("the service manager cannot be told", extra={"why": str(error)})

    async def watch(self, is_well: Callable[[], bool]) -> None:
        """Says so as long as the event loop turns and `is_well` holds, if the manager wants to know."""
        while self._every_s:
            if is_well():
                self.say("WATCHDOG=1")
            await asyncio.sleep(self._every_s)
