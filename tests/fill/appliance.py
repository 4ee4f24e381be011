"""An appliance's parent as the agent sees it: a local socket that speaks oca/messages, and does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oca import messages
from oca.messages import Message

MIB = 1024 * 1024
Answer = Callable[[messages.Fill], Message]


class FakeParent:
    """Answers a Fill with `answer(fill)`, in the order in which they came; a Fill of a file in `hanging` never
    ends, one in `held` (of 1 MiB) is whole already."""

    def __init__(self, path: Path, *, url: str = "http://127.0.0.1:1", disk: int = 1000 * MIB, used: int = 0) -> None:
        self.path = path
        self.status: dict[str, Any] = {"disk_bytes": disk, "disk_used_bytes": used, "url": url, "held": {}}
        self.answer: Answer = lambda fill: messages.Done(fill.id)
        self.hanging: set[str] = set()
        self.held: set[str] = set()
        self.heard: list[Message] = []
        self.hangs = asyncio.Event()  # a Fill of a file in `hanging` has come
        self.link_closed = asyncio.Event()
        self.at_once = self.most_at_once = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        """As if killed: connections break, and nobody listens."""
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def fills(self) -> list[messages.Fill]:
        return [message for message in self.heard if isinstance(message, messages.Fill)]

    @property
    def order(self) -> list[str]:
        """Fills and drops as they came: "+film/v.mp4", "-film/v.mp4"."""
        signs: dict[type[Message], str] = {messages.Fill: "+", messages.Drop: "-"}
        told = [message for message in self.heard if isinstance(message, (messages.Fill, messages.Drop))]
        return [f"{signs[type(message)]}{message.title}/{message.file}" for message in told]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                message = await messages.read(reader)
                self.heard.append(message)
                if isinstance(message, messages.Fill):
                    await self._fill(message, writer)
                elif isinstance(message, messages.Ask):
                    writer.write(messages.frame(messages.Told(message.id, self.status)))
                elif isinstance(message, messages.Drop):
                    writer.write(messages.frame(messages.Done(message.id)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.link_closed.set()
            self._writers.discard(writer)
            writer.close()

    async def _fill(self, fill: messages.Fill, writer: asyncio.StreamWriter) -> None:
        if fill.file in self.hanging:
            self.hangs.set()
            return
        held = MIB if fill.file in self.held else 0
        writer.write(messages.frame(messages.Moved(fill.id, held, MIB)))
        answer = self.answer(fill)
        if isinstance(answer, messages.Done) and not held:
            source = fill.sources[0] if fill.sources else "http://own.example"
            writer.write(messages.frame(messages.Moved(fill.id, MIB, MIB, source)))
        writer.write(messages.frame(answer))
