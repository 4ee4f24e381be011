"""The commands, as processes where a process is what is promised."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from steering.cli import steering as command
from tests.steering.conftest import JSON, Origin
from tests.steering.values import report
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LIMIT_S = 20.0


def configuration(tmp_path: Path, origin: str, prefixes: str = '"127.0.0.0/8"') -> Path:
    path = tmp_path / "nearcast.toml"
    path.write_text(
        f'[steering]\nlisten = "127.0.0.1:0"\norigin = "{origin}"\ndatabase = "sqlite:///{tmp_path}/fleet.sqlite"\n'
        f'[[steering.sites]]\nname = "north"\nprefixes = [{prefixes}]\n'
    )
    return path


async def run(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "steering", *arguments, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )


@asynccontextmanager
async def serving(config: Path, tmp_path: Path) -> AsyncIterator[tuple[Process, str, asyncio.StreamReader]]:
    """A running service, its URL, and its log."""
    process = await run("serve", "--config", str(config), "--ready-file", str(tmp_path / "ready"))
    assert process.stderr is not None
    try:
        await line_with(process.stderr, '"listening"')
        yield process, f"http://{(tmp_path / 'ready').read_text().strip()}", process.stderr
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_with(log: asyncio.StreamReader, text: str) -> str:
    """The next line of a log that has `text`; what is awaited is the line, so no time is guessed."""
    async with asyncio.timeout(LIMIT_S):
        while line := (await log.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"the log ended without {text}")


async def test_serve_says_where_it_listens_and_ends_cleanly(tmp_path: Path, origin: Origin) -> None:
    origin.publish("film")
    config = configuration(tmp_path, origin.url)
    async with serving(config, tmp_path) as (process, url, log), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        await line_with(log, "the catalog is up to date")
        explained = await run("explain", "--client", "127.0.0.9", "--title", "film", "--steering", url)
        out, _ = await asyncio.wait_for(explained.communicate(), LIMIT_S)
        assert out.decode().startswith("film for 127.0.0.9: ask origin")
        unknown = await run("explain", "--client", "127.0.0.9", "--title", "nothing", "--steering", url)
        _, error = await asyncio.wait_for(unknown.communicate(), LIMIT_S)
        assert unknown.returncode == 1
        assert "no title 'nothing' in the catalog" in error.decode()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0


async def test_hangup_takes_over_a_good_configuration_and_keeps_the_old_one_otherwise(
    tmp_path: Path, origin: Origin
) -> None:
    origin.publish("film")
    config = configuration(tmp_path, origin.url)
    async with serving(config, tmp_path) as (process, url, log), aiohttp.ClientSession() as session:
        for prefixes, said, announced in (
            ('"10.0.0.0/8"', "were read again", ["10.0.0.0/8"]),
            ('"10.0.0.1/8"', "expected 10.0.0.0/8", ["10.0.0.0/8"]),
            ("3", "expected a list", ["10.0.0.0/8"]),
        ):
            configuration(tmp_path, origin.url, prefixes)
            process.send_signal(signal.SIGHUP)
            await line_with(log, said)
            async with session.get(f"{url}/api/v1/fleet") as answer:
                assert (await answer.json())["sites"][0]["prefixes"] == announced


async def test_players_of_a_killed_replica_are_steered_by_another(tmp_path: Path, origin: Origin) -> None:
    """Two services over one database, as on two machines: they share it and the key that signs sessions."""
    origin.publish("film")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    config = configuration(tmp_path, origin.url)
    config.write_text(config.read_text().replace("[steering]", '[steering]\nsession_key = "shared"'))
    async with (
        serving(config, tmp_path / "a") as (killed, first, _),
        serving(config, tmp_path / "b") as (_, second, _),
        aiohttp.ClientSession() as session,
    ):

        async def get(url: str) -> str:
            async with session.get(url) as answer:
                return await answer.text() if answer.status == 200 else ""

        async def fleet_of_second_has(name: str) -> bool:
            return name in await get(f"{second}/api/v1/fleet?held=0")

        for sequence, name in enumerate(("a1", "a2")):
            body = msgspec.json.encode(report(name, sequence=sequence, held={}))
            async with session.post(f"{first}/api/v1/reports", data=body, headers=JSON) as answer:
                assert answer.status == 200
        await until(lambda: fleet_of_second_has('"a2"'))
        playlist = await get(f"{first}/play/film/master.m3u8")
        poll = playlist.split('SERVER-URI="', 1)[1].split('"', 1)[0]
        told = json.loads(await get(poll))["PATHWAY-PRIORITY"]
        killed.kill()
        await killed.wait()
        assert json.loads(await get(poll.replace(first, second)))["PATHWAY-PRIORITY"] == told
        assert 'session="ours"' in await get(f"{second}/metrics")


async def test_a_restart_while_the_origin_is_away_plays_what_was_known(tmp_path: Path, origin: Origin) -> None:
    origin.publish("film")
    config = configuration(tmp_path, origin.url)
    async with serving(config, tmp_path) as (process, _, log):
        await line_with(log, "the catalog is up to date")
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), LIMIT_S)
    origin.is_away = True
    async with serving(config, tmp_path) as (_, url, _), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/play/film/master.m3u8") as answer:
            assert answer.status == 200
        async with session.get(f"{url}/readyz") as answer:
            ready = await answer.json()
            assert ready["ready"]
            assert any("answered 503" in why or "not been asked" in why for why in ready["degraded"])
        async with session.get(f"{url}/api/v1/titles") as answer:
            told = await answer.json()
            assert told["trouble"]
            assert [title["title"] for title in told["titles"]] == ["film"]
        async with session.get(f"{url}/metrics") as answer:
            assert 'nearcast_steering_stale{what="origin"} 1.0' in await answer.text()


async def test_a_port_that_is_taken_is_said_and_fails(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await run("serve", "--listen", address, "--database", f"sqlite:///{tmp_path}/fleet.sqlite")
        _, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 1
    assert f"error: listen: {address} cannot be used: " in error.decode()
    assert "Traceback" not in error.decode()


async def test_a_bad_configuration_ends_with_exit_code_2(tmp_path: Path) -> None:
    config = configuration(tmp_path, "http://127.0.0.1:1", '"10.0.0.1/8"')
    process = await run("serve", "--config", str(config))
    _, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert "site 'north', prefix 1: found '10.0.0.1/8', expected 10.0.0.0/8" in error.decode()


@pytest.mark.parametrize("arguments", [["prefixes", "check", f"{os.devnull}/none"], ["serve", "--ttl", "soon"]])
def test_what_cannot_be_read_is_an_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(command, arguments).exit_code != 0


def test_a_service_that_is_not_there_is_said() -> None:
    result = CliRunner().invoke(
        command, ["explain", "--client", "127.0.0.1", "--title", "film", "--steering", "http://127.0.0.1:1"]
    )
    assert "http://127.0.0.1:1/api/v1/explain could not be asked" in str(result.exception)
