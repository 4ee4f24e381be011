from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_each_line_is_an_assignment(manager: socket.socket) -> None:
    Notifier().say("READY=1", "STATUS=serving")
    assert manager.recv(4096) == b"READY=1\nSTATUS=serving"


def test_a_name_in_the_abstract_namespace_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"nearcast-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Notifier().say("STOPPING=1")
        assert listener.recv(4096) == b"STOPPING=1"


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().say("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Notifier().say("READY=1")


async def test_the_watchdog_hears_of_a_service_only_while_it_is_well(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    well = [False, False, True]
    asked = asyncio.Event()

    def is_well() -> bool:
        if len(well) == 1:
            asked.set()
        return well.pop(0) if well else False

    watching = asyncio.create_task(Notifier().watch(is_well))
    await asyncio.wait_for(asked.wait(), 5)
    assert await asyncio.to_thread(manager.recv, 4096) == b"WATCHDOG=1"
    watching.cancel()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


@pytest.mark.parametrize(("microseconds", "process"), [("0", ""), ("", ""), ("x", ""), ("20000", "1")])
async def test_no_watchdog_is_fed_that_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, process: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", process or str(os.getpid()))
    await asyncio.wait_for(Notifier().watch(lambda: True), 5)
