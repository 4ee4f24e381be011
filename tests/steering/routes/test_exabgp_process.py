from __future__ import annotations

import asyncio
import importlib.util
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from config.steering import BgpSettings
from steering.errors import ExaBgpError
from steering.routes.exabgp_process import ExaBgp, _log, configuration
from tests.steering.routes.test_peer import USUAL
from tests.tools import missing
from tests.waiting import is_alive, until

SESSION = BgpSettings(**USUAL, password="sesame", ttl_security=True, port=1790)


def test_exabgp_is_told_to_listen_and_never_to_announce() -> None:
    text = configuration([SESSION], Path("/run/table.sock"))
    assert "steering.routes.forward /run/table.sock" in text
    for line in ("passive true;", "listen 1790;", 'md5-password "sesame";', "incoming-ttl 255;", "router-id 11.0.0.2;"):
        assert line in text
    assert "family { ipv4 unicast; ipv6 unicast; }" in text
    assert "static" not in text
    assert "route " not in text


def test_without_password_and_ttl_security_nothing_is_said_of_them() -> None:
    text = configuration([BgpSettings(**USUAL)], Path("/run/table.sock"))
    assert "md5" not in text
    assert "ttl" not in text


def test_an_ipv6_session_has_a_router_id_of_four_bytes() -> None:
    more: dict[str, Any] = {**USUAL, "peer": "2a00::1", "local_address": "2a00::102"}
    assert "router-id 0.0.1.2;" in configuration([BgpSettings(**more)], Path("/run/table.sock"))


def test_that_exabgp_is_missing_is_said_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExaBgpError, match="pip install"):
        ExaBgp([SESSION], tmp_path / "table", tmp_path / "sock")


def needs_exabgp() -> None:
    if importlib.util.find_spec("exabgp") is None:
        missing("ExaBGP", "pip install exabgp")


def loopback(port: int) -> BgpSettings:
    more: dict[str, Any] = {**USUAL, "peer": "127.0.0.3", "local_address": "127.0.0.2"}
    return BgpSettings(**more, password="sesame", port=port)


async def test_an_exabgp_that_cannot_be_started_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_exabgp()
    monkeypatch.setattr("steering.routes.exabgp_process._FIRST_WAIT_S", 0.01)
    folder = tmp_path / "later"
    exabgp = ExaBgp([loopback(1790)], folder / "table", tmp_path / "sock")
    task = asyncio.create_task(exabgp.follow())
    try:
        await until(lambda: "No such file" in exabgp.trouble or task.done())
        assert not task.done()
        folder.mkdir()
        await until(lambda: exabgp.starts > 0)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_line_of_exabgps_log_that_is_too_long_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    output = asyncio.StreamReader(limit=100)
    output.feed_data(b"x" * 1000 + b"\nand on\n")
    output.feed_eof()
    await _log(output)
    assert any(getattr(record, "line", "") == "and on" for record in caplog.records)


async def test_exabgp_takes_our_configuration_and_only_we_can_read_it(
    tmp_path: Path, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    needs_exabgp()
    caplog.set_level("INFO")
    exabgp = ExaBgp([loopback(unused_tcp_port)], tmp_path / "table", tmp_path / "sock")
    task = asyncio.create_task(exabgp.follow())
    try:
        await until(lambda: any("loaded new configuration" in str(record.__dict__) for record in caplog.records))
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert stat.S_IMODE(os.stat(tmp_path / "table.exabgp").st_mode) == 0o600  # noqa: PTH116


async def test_exabgp_that_dies_is_started_again(
    tmp_path: Path, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    needs_exabgp()
    caplog.set_level("INFO")
    exabgp = ExaBgp([loopback(unused_tcp_port)], tmp_path / "table", tmp_path / "sock")
    task = asyncio.create_task(exabgp.follow())

    def process_ids() -> list[int]:
        return [record.pid for record in caplog.records if hasattr(record, "pid")]

    try:
        await until(lambda: len(process_ids()) == 1)
        os.kill(process_ids()[0], 9)
        await until(lambda: len(process_ids()) == 2)
        assert exabgp.trouble == ""
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert not any(is_alive(process) for process in process_ids())
