"""What of the local network needs no network; tests/system starts it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bench.errors import NetworkError, ProcessFailed
from bench.fleet import Fleet, find_port, places


def test_two_of_three_appliances_stand_in_the_north() -> None:
    assert [(place.name, place.host) for place in places(4)] == [
        ("north-1", "127.0.1.1"),
        ("north-2", "127.0.1.2"),
        ("south-1", "127.0.2.1"),
        ("north-3", "127.0.1.3"),
    ]


def test_the_port_is_free_on_all_addresses() -> None:
    port = find_port(["127.0.1.1", "127.0.1.2"])
    for host in ("127.0.1.1", "127.0.1.2"):
        with socket.socket() as trial:
            trial.bind((host, port))


def test_an_address_that_is_not_ours_is_said_with_what_to_do() -> None:
    # TEST-NET-1 (RFC 5737) is no machine's; a Mac lacks 127.0.1.1 in the same way.
    with pytest.raises(NetworkError, match=r"192\.0\.2\.1 cannot be used: .* macOS after `sudo ifconfig lo0 alias"):
        find_port(["192.0.2.1"])


async def test_a_port_that_is_taken_is_said_and_nothing_stays(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fleet = Fleet(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(ProcessFailed, match=r"steering could not start: .*cannot be used"):
            async with fleet:
                pass
    assert not any(fleet.is_running(name) for name in ("origin", "steering"))
