"""What is not here yet, as clients find it who ask for it in every way and all at once."""

from __future__ import annotations

import asyncio
import contextlib
import email
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpServer

from encoder.package import BLOCK_SIZE
from oca import messages
from oca.link import Link
from oca.messages import Message
from oca.needs import Needs, Wanted
from oca.pieces import FileName
from tests.media import make_package
from tests.oca.clients import Answer, Client
from tests.oca.running import Running
from tests.oca.upstream import Upstream


class Cold:
    """An appliance that holds nothing, and the upstream it asks."""

    def __init__(self, running: Running, upstream: Upstream, folder: Path) -> None:
        self.running, self.upstream, self.folder = running, upstream, folder
        self.base = f"/v1/title/{folder.name}"
        self.data = (folder / "v360.mp4").read_bytes()

    def client(self) -> Client:
        return Client(self.running.connect())

    async def ask(self, path: str, *headers: str, method: str = "GET") -> Answer:
        def ask() -> Answer:
            with self.client() as client:
                return client.ask(path, *headers, method=method)

        return await asyncio.to_thread(ask)


@pytest.fixture
async def cold(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[Cold]:
    folder = make_package(tmp_path / "source")
    upstream = Upstream(tmp_path / "source")
    server = await aiohttp_server(upstream.application())
    running = Running(tmp_path / "a", "--origin", str(server.make_url("")).rstrip("/"))
    await running.start()
    yield Cold(running, upstream, folder)
    if upstream.gate is not None:
        upstream.gate.set()
    await running.end(signal.SIGKILL)


async def test_head_and_conditions_on_what_is_not_here_fetch_none_of_it(cold: Cold) -> None:
    path = f"{cold.base}/v360.mp4"
    head = await cold.ask(path, method="HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(cold.data)))
    assert (await cold.ask(path, f"If-None-Match: {head.headers['etag']}")).status == 304
    assert (await cold.ask(path, 'If-Match: "x"')).status == 412
    beyond = await cold.ask(path, "Range: bytes=999999999-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(cold.data)}")
    assert not [name for name, _ in cold.upstream.asked if name == "v360.mp4"]


@pytest.mark.parametrize(
    ("method", "header", "status"),
    [
        ("HEAD", "X: y", 200),
        ("GET", "If-None-Match: *", 304),
        ("GET", 'If-Match: "x"', 412),
        ("GET", "Range: bytes=99999-", 416),
    ],
)
async def test_the_first_request_for_what_is_held_may_be_any(
    tmp_path: Path, method: str, header: str, status: int
) -> None:
    folder = make_package(tmp_path / "source")
    running = Running(tmp_path / "a")
    shutil.copytree(tmp_path / "source", running.volume)
    await running.start()
    try:
        with Client(running.connect()) as client:
            assert client.ask(f"/v1/title/{folder.name}/poster.jpg", header, method=method).status == status
    finally:
        await running.end()


async def test_several_ranges_of_what_is_not_here_are_fetched_and_sent(cold: Cold) -> None:
    spans = [(5_000_000, 5_000_009), (10, 19), (4_194_300, 4_194_310)]
    asked = ",".join(f"{first}-{last}" for first, last in spans)
    answer = await cold.ask(f"{cold.base}/v360.mp4", f"Range: bytes={asked}")
    assert (answer.status, answer.headers["cache-status"].partition(";")[2].strip().startswith("fwd=")) == (206, True)
    message = email.message_from_bytes(f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode() + answer.body)
    parts = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]
    assert parts == [cold.data[first : last + 1] for first, last in spans]


async def test_pipelined_requests_for_what_is_not_here_are_answered_in_order(cold: Cold) -> None:
    def fetch() -> list[Answer]:
        with cold.client() as client:
            for number in (7, 1, 4, 4, 99, 1):
                client.send(f"{cold.base}/v360/{number}.m4s")
            return [client.receive() for _ in range(6)]

    answers = await asyncio.to_thread(fetch)
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404, 200]
    assert answers[1].body == answers[5].body and answers[2].body == answers[3].body
    assert cold.data.endswith(answers[0].body)
    assert set(cold.upstream.asked.values()) == {1}


async def test_clients_that_join_and_leave_in_the_middle_each_get_what_they_are_owed(cold: Cold) -> None:
    """All want the same block, half of which has come: some leave, others come later, and all that stay get it."""
    path = f"{cold.base}/v360/1.m4s"
    expected = await cold.ask(f"{cold.base}/v360/1.m4s", method="HEAD")
    cold.upstream.gate = asyncio.Event()
    with contextlib.ExitStack() as stack:
        clients = []
        for turn in range(3):
            new = [stack.enter_context(cold.client()) for _ in range(20)]
            for client in new:
                client.send(path)
            for client in new:
                await asyncio.to_thread(client.sock.recv, 1, socket.MSG_PEEK)
            for client in new[: 5 * turn]:
                client.sock.close()
            clients += new[5 * turn :]
        cold.upstream.gate.set()
        answers = await asyncio.gather(*(asyncio.to_thread(client.receive) for client in clients))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert str(len(answers[0].body)) == expected.headers["content-length"]
    assert cold.data[BLOCK_SIZE:].find(answers[0].body) == -1 and answers[0].body in cold.data
    assert set(cold.upstream.asked.values()) == {1}


async def test_after_the_last_client_has_left_the_next_one_is_served(cold: Cold) -> None:
    path = f"{cold.base}/v360/1.m4s"
    cold.upstream.gate = asyncio.Event()
    with cold.client() as client:
        client.send(path)
        await asyncio.to_thread(client.sock.recv, 1, socket.MSG_PEEK)
    cold.upstream.gate.set()
    cold.upstream.gate = None
    answer = await cold.ask(path)
    assert answer.status == 200 and answer.body in cold.data


async def test_an_upstream_that_has_nothing_is_told_to_all_who_wait(cold: Cold) -> None:
    assert (await cold.ask(f"{cold.base}/v360.m3u8")).status == 200
    shutil.rmtree(cold.folder)
    answers = await asyncio.gather(*(cold.ask(f"{cold.base}/v360/2.m4s") for _ in range(20)))
    assert {answer.status for answer in answers} <= {404, 502, 503}
    assert not any(b"http://" in answer.body for answer in answers)
    unknown = await asyncio.gather(*(cold.ask("/v1/title/" + "1" * 32 + "/v360.mp4") for _ in range(20)))
    assert {answer.status for answer in unknown} <= {404, 503}


# By itself

WANTED = Wanted(FileName("t", "p", "v.mp4"), 0, 100, False)


class Said(Link):
    """A link that only remembers what was said, and lets a test answer."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Message] = []
        self.answers: dict[int, Callable[[Message], None]] = {}

    def say(self, message: Message) -> None:
        self.said.append(message)

    def ask(self, id: int, message: Message, answer: Callable[[Message], None]) -> None:
        self.answers[id] = answer
        self.say(message)

    def forget(self, id: int) -> None:
        self.answers.pop(id, None)


def located(id: int) -> messages.Located:
    return messages.Located(id, "/v", 1, b"\0", False)


def test_those_who_want_the_same_are_one_need_and_each_hears_all_of_it() -> None:
    link, heard = Said(), {name: list[Message]() for name in "abc"}
    needs = Needs(link)
    first = needs.join("a", WANTED, heard["a"].append)
    assert needs.join("b", WANTED, heard["b"].append) is first
    link.answers[first.id](located(first.id))
    link.answers[first.id](messages.Landed(first.id, 40))
    link.answers[first.id](messages.Landed(first.id, 60))
    late = needs.join("c", WANTED, heard["c"].append)
    late.repeat("c")
    link.answers[first.id](messages.Landed(first.id, 100))
    assert len(link.said) == 1
    assert heard["a"] == heard["b"] == [
        located(first.id), *(messages.Landed(first.id, upto) for upto in (40, 60, 100)),
    ]  # fmt: skip
    assert heard["c"] == [located(first.id), *(messages.Landed(first.id, upto) for upto in (60, 100))]


def test_what_differs_in_bounds_or_manner_is_a_need_of_its_own() -> None:
    link = Said()
    needs = Needs(link)
    others = [WANTED, WANTED._replace(first=1), WANTED._replace(end=99), WANTED._replace(cached_only=True)]
    found = [needs.join(number, wanted, lambda message: None) for number, wanted in enumerate(others)]
    assert len({need.id for need in found}) == len(link.said) == 4


def test_the_last_to_leave_has_it_forgotten_and_the_next_to_come_asks_anew() -> None:
    link = Said()
    needs = Needs(link)
    need = needs.join("a", WANTED, lambda message: None)
    needs.join("b", WANTED, lambda message: None)
    needs.leave("a", need)
    assert len(link.said) == 1
    needs.leave("b", need)
    assert link.said[1:] == [messages.Forget(need.id)] and not link.answers
    assert needs.join("c", WANTED, lambda message: None) is not need


@pytest.mark.parametrize("last", [messages.Landed(1, 100), messages.Failed(1, 503, "away")])
def test_who_comes_after_the_end_asks_anew(last: Message) -> None:
    link = Said()
    needs = Needs(link)
    need = needs.join("a", WANTED, lambda message: None)
    answer = link.answers[need.id]
    answer(located(need.id))
    answer(last)
    assert needs.join("b", WANTED, lambda message: None) is not need


def test_those_who_leave_or_ask_again_while_they_hear_confuse_nobody() -> None:
    link, heard = Said(), list[tuple[str, Message]]()
    needs = Needs(link)

    def hear(client: str) -> Callable[[Message], None]:
        def hear(message: Message) -> None:
            heard.append((client, message))
            if isinstance(message, messages.Failed):
                needs.leave(client, need)
                needs.join(client, WANTED, lambda message: heard.append((client + " again", message)))

        return hear

    need = needs.join("a", WANTED, hear("a"))
    needs.join("b", WANTED, hear("b"))
    link.answers[need.id](messages.Failed(need.id, 503, "away"))
    assert [client for client, _ in heard] == ["a", "b"]
    asked = [message.id for message in link.said if isinstance(message, messages.Need)]
    assert len(asked) == 2 and asked[1] in link.answers
    link.answers[asked[1]](located(asked[1]))
    assert [client for client, _ in heard[2:]] == ["a again", "b again"]
