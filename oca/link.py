"""A worker's, an agent's or an operator's end of the appliance's local socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from oca import messages
from oca.errors import MessageError, OcaError
from oca.messages import Message

logger = logging.getLogger(__name__)

Hear: TypeAlias = Callable[[Message], None]


class Link:
    """Asks the parent and hands each answer to whoever asked; `hear` gets what the parent says of its own accord.

    `ended` is set when the parent is gone.
    """

    def __init__(self, hear: Hear = lambda message: None) -> None:
        self._hear = hear
        self._asked: dict[int, Hear] = {}
        self._last_id = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    async def start(self, path: Path) -> None:
        """Raises OcaError if no appliance listens there."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(str(path))
        except OSError as error:
            raise OcaError(f"no appliance listens on {path}: {error.strerror or error}") from error
        self._reading = asyncio.create_task(self._read(reader))

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
        self.ended.set()

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def say(self, message: Message) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(messages.frame(message))

    def ask(self, id: int, message: Message, answer: Hear) -> None:
        """Says it; every answer that carries `id` goes to `answer`, until `forget`."""
        self._asked[id] = answer
        if self.ended.is_set():
            answer(messages.Failed(id, 503, "the appliance went away"))
        self.say(message)

    @property
    def asked(self) -> int:
        """How many wait for answers."""
        return len(self._asked)

    def forget(self, id: int) -> None:
        self._asked.pop(id, None)

    async def request(self, build: Callable[[int], Message]) -> Message:
        """Asks what has one answer, and waits for it. Raises OcaError if the appliance refuses or goes away."""
        id = self.next_id()
        answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def take(message: Message) -> None:
            if not answered.done():
                answered.set_result(message)

        self.ask(id, build(id), take)
        try:
            message = await answered
        finally:
            self.forget(id)
        if isinstance(message, messages.Failed):
            raise OcaError(message.reason, status=message.status)
        return message

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                message = await messages.read(reader)
                _tell(self._asked.get(getattr(message, "id", 0), self._hear), message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except MessageError as error:
            logger.error("the local socket broke", extra={"why": str(error)})
        finally:
            self.ended.set()
            for id, answer in list(self._asked.items()):
                _tell(answer, messages.Failed(id, 503, "the appliance went away"))


def _tell(hear: Hear, message: Message) -> None:
    """One answer that cannot be taken must not cost all the others their link."""
    try:
        hear(message)
    except Exception:
        logger.exception("an answer on the local socket could not be taken", extra={"answer": type(message).__name__})
