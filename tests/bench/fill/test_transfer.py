from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.fill.films import make_film
from bench.fill.plain import receive
from bench.fill.transfer import measure
from bench.fill.viewers import watch
from config.progress import Reporter
from encoder import package as packages
from encoder.package import MANIFEST_NAME
from tests.oca.running import Running


def test_a_film_is_a_package_that_is_right_in_every_digest(tmp_path: Path) -> None:
    name, package = make_film(tmp_path, "film", size=5_000_000, files=2)
    folder = tmp_path / "film" / name
    assert packages.package_name((folder / MANIFEST_NAME).read_bytes()) == name
    for file in package.files:
        size, digest, blocks = packages.digest_blocks(iter([(folder / file.name).read_bytes()]))
        assert (size, digest, blocks) == (file.size, file.digest, file.blocks)


def test_the_plain_copy_copies(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "from").write_bytes(data)
    words = [sys.executable, "-m", "bench.fill.plain", "send", str(tmp_path / "from")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        seconds = receive(int(sender.stdout.readline()), tmp_path / "to")
        sender.kill()
    assert (tmp_path / "to").read_bytes() == data and seconds > 0


async def test_viewers_see_every_byte_and_count_from_when_they_should_have_asked(tmp_path: Path) -> None:
    oca = Running(tmp_path / "oca")
    package, made = make_film(oca.volume, "film", size=3_000_000)
    await oca.start()
    seen = await asyncio.to_thread(watch, oca.host, oca.port, f"/v1/film/{package}/v0/1.m4s", 1.0, 40.0)
    await oca.end()
    assert seen.requests > 0 and not seen.failed and seen.p99_s >= seen.p50_s > 0
    assert seen.bytes_s == pytest.approx(seen.rate * made.renditions[0].sizes[0])


def test_viewers_that_nobody_answers_have_failed() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        seen = watch("127.0.0.1", nobody.getsockname()[1], "/", 0.1, 0.0)
    assert seen.requests == 0 and seen.failed > 0


@pytest.mark.slow
async def test_a_quick_run_measures_everything_and_ten_kills_cost_no_byte_no_file_and_no_block_twice() -> None:
    rows = await measure((), quick=True, reporter=Reporter(quiet=True))
    assert {row.metric for row in rows} >= {"speed against sendfile to file", "99th percentile against no fill"}
    after_kills = [row for row in rows if row.case.startswith("10 kills in ")]
    assert [(row.metric, row.median) for row in after_kills] == [
        ("files with wrong bytes", 0),
        ("files lost", 0),
        ("acknowledged blocks fetched again", 0),
    ]
