from __future__ import annotations

import asyncio
from pathlib import Path

from oca import messages
from oca.link import Link


async def test_an_answer_that_cannot_be_taken_does_not_end_the_link(tmp_path: Path) -> None:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                asked = await messages.read(reader)
            except asyncio.IncompleteReadError:
                break
            writer.write(messages.frame(messages.Done(getattr(asked, "id", 0))))
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "socket"))
    link = Link()
    await link.start(tmp_path / "socket")

    def fail(message: messages.Message) -> None:
        raise OSError("no descriptors")

    link.ask(link.next_id(), messages.Ask(1, "status"), fail)
    answer = await link.request(lambda id: messages.Ask(id, "status"))
    assert answer == messages.Done(2) and not link.ended.is_set()
    await link.close()
    await served.wait()
    server.close()
    await server.wait_closed()
