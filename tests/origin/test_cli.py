"""The commands as an operator runs them: in processes of their own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.origin.folders import make_folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "origin", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"--storage=file://{tmp_path}/storage"


def test_publish_list_audit_and_withdraw(tmp_path: Path, storage: str) -> None:
    folder = make_folder(tmp_path / "out")
    published = run("publish", str(folder), storage, "--json")
    assert (published.returncode, published.stderr) == (0, "")
    assert json.loads(published.stdout)["package"] == folder.name
    assert json.loads(run("list", storage, "--json").stdout)["titles"][0]["title"] == "film"
    audited = run("audit", storage, "--quiet")
    assert (audited.returncode, "all right" in audited.stdout) == (0, True)
    withdrawn = run("withdraw", "film", storage, "--json")
    assert json.loads(withdrawn.stdout) == {"title": "film", "objects": 8}
    again = run("withdraw", "film", storage)
    assert (again.returncode, again.stderr) == (1, "error: the catalog has no title 'film'\n")


def test_a_damaged_folder_ends_in_one_sentence_and_1(tmp_path: Path, storage: str) -> None:
    folder = make_folder(tmp_path / "out")
    (folder / "poster.jpg").write_bytes(b"x" * 64)
    ended = run("publish", str(folder), storage, "--quiet")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "poster.jpg: block 0" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_another_package_names_the_flag_that_replaces(tmp_path: Path, storage: str) -> None:
    run("publish", str(make_folder(tmp_path / "out", seed=1)), storage)
    other = str(make_folder(tmp_path / "out", seed=2))
    refused = run("publish", other, storage)
    assert (refused.returncode, "--replace" in refused.stderr) == (1, True)
    assert run("publish", other, storage, "--replace").returncode == 0


def test_an_audit_that_finds_damage_ends_in_1(tmp_path: Path, storage: str) -> None:
    folder = make_folder(tmp_path / "out")
    run("publish", str(folder), storage)
    stored = tmp_path / "storage" / "packages" / "film" / folder.name / "poster.jpg"
    stored.write_bytes(b"x" * 64)
    audited = run("audit", storage, "--json")
    assert audited.returncode == 1
    (finding,) = json.loads(audited.stdout)["findings"]
    assert (finding["file"], finding["block"]) == ("poster.jpg", 0)


def test_a_storage_of_no_kind_is_a_configuration_error() -> None:
    ended = run("list", "--storage=ftp://somewhere")
    assert (ended.returncode, "file://" in ended.stderr) == (2, True)


async def test_serve_tells_its_port_serves_and_ends_on_sigterm(tmp_path: Path, storage: str) -> None:
    folder = make_folder(tmp_path / "out")
    run("publish", str(folder), storage)
    ready = tmp_path / "ready"
    server = await asyncio.create_subprocess_exec(
        *command("serve", storage, "--listen=127.0.0.1:0", "--ready-file", str(ready)), stderr=asyncio.subprocess.PIPE
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(30):
            while "listening" not in (line := (await server.stderr.readline()).decode()):
                assert line, "the service ended"
            address = json.loads(line)["address"]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://{address}/readyz") as answer:
                    assert answer.status == 200
                async with session.get(f"http://{address}/v1/film/{folder.name}/poster.jpg") as answer:
                    assert len(await answer.read()) == 64
            server.send_signal(signal.SIGTERM)
            await server.stderr.read()
            assert await server.wait() == 0
        assert ready.read_text() == f"{address}\n"
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


def test_a_port_that_is_taken_is_said_in_one_sentence(storage: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("serve", storage, f"--listen=127.0.0.1:{port}")
    assert ended.returncode == 1
    assert f"error: cannot listen on 127.0.0.1:{port}: another process listens there\n" in ended.stderr
