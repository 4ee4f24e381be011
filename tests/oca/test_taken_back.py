"""What the parent says is right, and then is not: a worker must not go on sending it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from encoder.package import BLOCK_SIZE, MANIFEST_NAME
from oca import messages
from oca.access_log import AccessLog
from oca.delivery import Delivery
from oca.http.connection import Connection, Descriptor
from oca.link import Link
from oca.messages import Message
from oca.needs import Needs, Wanted
from oca.pieces import FileName, OpenFile, Pieces
from tests.media import make_package
from tests.oca.http.senders import Sender, loopback
from tests.waiting import until


class Parent(Link):
    """The other end of a link that goes nowhere: hears what a worker says, and says what a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Message] = []

    def say(self, message: Message) -> None:
        self.heard.append(message)

    def tell(self, message: messages.Located | messages.Landed) -> None:
        self._asked[message.id](message)

    @property
    def needs(self) -> list[messages.Need]:
        return [message for message in self.heard if isinstance(message, messages.Need)]


async def test_a_block_that_rots_between_located_and_landed_is_asked_for_again(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source")
    stored = folder / "v360.mp4"
    name = FileName("title", folder.name, stored.name)
    parent, pieces = Parent(), Pieces(10)
    logs = AccessLog(tmp_path / "access.log"), AccessLog(tmp_path / "events.log")
    delivery = Delivery("oca-1", parent, pieces, *logs, None, lambda why: None, lambda connection: None, 1000)
    delivery.date = b"Date: x\r\n\r\n"
    pieces.learn("title", folder.name, folder / MANIFEST_NAME)
    clients = []

    async def ask(first: int, last: int) -> None:
        near, far = loopback()
        connection = Connection(asyncio.get_running_loop(), far, "127.0.0.1", delivery)
        clients.append((near, connection))
        target = f"/v1/title/{folder.name}/{stored.name}"
        near.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nRange: bytes={first}-{last}\r\n\r\n".encode())
        await until(lambda: connection.served == 1)

    await ask(0, 9)
    (need,) = parent.needs
    blocks = -(-stored.stat().st_size // BLOCK_SIZE)
    verified = b"\x00" + b"\x01" * (blocks - 1)
    parent.tell(messages.Located(need.id, str(stored), stored.stat().st_ino, verified, True))
    pieces.distrust(name, 1)
    parent.tell(messages.Landed(need.id, need.end))
    await ask(BLOCK_SIZE, BLOCK_SIZE + 99)
    assert len(parent.needs) == 2
    for near, connection in clients:
        connection.abort()
        near.close()
    pieces.forget(name)
    for log in logs:
        log.close()


async def test_a_slow_client_of_what_has_landed_is_given_the_time_of_a_slow_client(tmp_path: Path) -> None:
    """And not that of an answer that waits for bytes."""
    size = 50_000_000
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(size)

    class Landing(Sender):
        def respond(self, connection: Connection, request: object) -> None:
            connection.send_file(200, self.head(), self.descriptor, 0, size, 1000)

    near, far = loopback()
    connection = Connection(asyncio.get_running_loop(), far, "127.0.0.1", Landing(Descriptor(path), size))
    near.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: connection.waits)
    connection.advance(size)
    assert connection.position < size, "the client takes it all at once"
    assert not connection.waits
    connection.abort()
    near.close()


def test_a_manifest_is_right_only_when_the_parent_says_so_each_time(tmp_path: Path) -> None:
    """It may be larger than a block, and nobody counts its blocks."""
    (tmp_path / "package.json").write_bytes(b"x")
    file = OpenFile(Descriptor(tmp_path / "package.json"), 1, b"")
    file.mark(0, 5_000_000)
    assert not file.covers(0, 5_000_000)
    file.descriptor.retire()


def test_what_was_said_is_not_repeated_to_one_who_left_on_hearing_the_first_of_it() -> None:
    """It is at its next request by then, and would be answered what belongs to another."""
    parent = Parent()
    needs = Needs(parent)
    wanted = Wanted(FileName("title", "0" * 32, "v360.mp4"), 0, 10, False)
    needs.join("first", wanted, lambda message: None)
    (asked,) = parent.needs
    parent.tell(messages.Located(asked.id, "/nowhere", 1, b"\x00", False))
    parent.tell(messages.Landed(asked.id, 5))
    heard: list[Message] = []

    def leave(message: Message) -> None:
        heard.append(message)
        needs.leave("late", need)

    need = needs.join("late", wanted, leave)
    need.repeat("late")
    assert [type(message) for message in heard] == [messages.Located]
