"""The appliance's parent at its local socket, as the agent asks it; found again when the appliance restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from fill.errors import ApplianceGone
from oca import messages
from oca.errors import OcaError, UpstreamError
from oca.link import Link
from oca.messages import Message

# An appliance that restarts is back within seconds; one that is away for longer is left to the next look at the plan.
RECONNECT_EVERY_S = 0.25
GONE_AFTER_S = 60.0

logger = logging.getLogger(__name__)


class Parent:
    """An async context manager; `async with` raises ApplianceGone where nobody listens."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._link: Link | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Parent:
        await self._connect(wait_s=0.0)
        return self

    async def __aexit__(self, *_: object) -> None:
        # The parent ends what was asked over a link when the link ends; verified blocks stay.
        if self._link is not None:
            await self._link.close()

    async def ask(self, build: Callable[[int], Message], hear: Callable[[Message], None] | None = None) -> Message:
        """Asks, and returns the last answer; `hear` gets those before it. An appliance that went away is asked again
        when it is back. Raises UpstreamError where it refuses, ApplianceGone where it stays away."""
        while True:
            link = await self._connect(wait_s=GONE_AFTER_S)
            try:
                return await _ask(link, build, hear or (lambda message: None))
            except OcaError:
                if not link.ended.is_set():
                    raise
                logger.warning("the appliance went away; waiting for it", extra={"socket": str(self._socket)})

    async def _connect(self, wait_s: float) -> Link:
        async with self._connecting:
            if self._link is not None and not self._link.ended.is_set():
                return self._link
            if self._link is not None:
                await self._link.close()
            self._link = await self._find(wait_s)
            return self._link

    async def _find(self, wait_s: float) -> Link:
        """Raises ApplianceGone after `wait_s` seconds without an appliance."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            link = Link()
            try:
                await link.start(self._socket)
                return link
            except OcaError as error:
                await link.close()
                if loop.time() >= until:
                    raise ApplianceGone(str(error)) from error
            await asyncio.sleep(RECONNECT_EVERY_S)


async def _ask(link: Link, build: Callable[[int], Message], hear: Callable[[Message], None]) -> Message:
    """Raises UpstreamError where the answer is Failed."""
    id = link.next_id()
    last: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def take(message: Message) -> None:
        if isinstance(message, messages.Moved):
            hear(message)
        elif not last.done():
            last.set_result(message)

    link.ask(id, build(id), take)
    try:
        answer = await last
    except asyncio.CancelledError:
        link.say(messages.Forget(id))
        raise
    finally:
        link.forget(id)
    if isinstance(answer, messages.Failed):
        error = UpstreamError(answer.reason, status=answer.status)
        error.retry_after_s = answer.retry_after_s
        raise error
    return answer
