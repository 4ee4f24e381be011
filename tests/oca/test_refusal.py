"""Fills are refused while players need what there is, and then served again."""

from __future__ import annotations

import shutil
from pathlib import Path

from oca.miss.upstream import BACKGROUND
from tests.media import make_package
from tests.oca.clients import Answer, Client
from tests.oca.running import Running
from tests.waiting import until


async def test_whoever_fills_is_sent_away_while_players_need_the_appliance(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source", size=200_000)
    oca = Running(tmp_path / "oca", "--capacity", "900 kbit/s")  # a viewer of the package takes 800 of them
    shutil.copytree(tmp_path / "source", oca.volume)
    await oca.start()
    base = f"/v1/title/{folder.name}"

    def fill(*fields: str) -> Answer:
        with Client(oca.connect()) as client:
            return client.ask(f"{base}/v360.mp4", f"Priority: {BACKGROUND}", "Range: bytes=0-999", *fields)

    assert fill().status == 206
    with Client(oca.connect()) as viewer:
        assert viewer.ask(f"{base}/v360/1.m4s").status == 200
        await until(lambda: fill().status == 503)
        refused = fill()
        assert int(refused.headers["retry-after"]) > 0
        assert viewer.ask(f"{base}/v360/2.m4s").status == 200
        with Client(oca.connect()) as other:
            assert other.ask(f"{base}/v360.mp4", "Range: bytes=0-999").status == 206  # a miss of a peer's player
    await until(lambda: fill().status == 206)
    await oca.end()
