"""The commands against a routes process in the test's own loop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner, Result

from steering.cli import steering
from steering.routes.rib import SessionState
from steering.routes.status import as_text
from tests.steering.routes import mrt_file as mrt
from tests.steering.routes.running import Running, running, settings
from tests.steering.routes.test_service import FED, IMPORTED, NEIGHBOUR, PATH, announce, state


async def command(routes: Running, *arguments: str) -> Result:
    url = str(routes.client.make_url(""))
    return await asyncio.to_thread(CliRunner().invoke, steering, ["routes", *arguments, "--url", url])


async def test_status_says_in_words_how_sessions_are(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16", "10.0.0.0/8") + state("down", reason="hold timer expired"))
        await routes.session_becomes("isp1", lambda one: one["why"] == "hold timer expired")
        result = await command(routes, "status")
        assert result.exit_code == 0, result.output
        for text in ("isp1: down", "to north", "2 IPv4, 0 IPv6; 1 believed", "hold timer expired", "1 special-purpose"):
            assert text in result.output
        assert json.loads((await command(routes, "status", "--json")).output)["sessions"][0]["stale"] == 2


async def test_show_says_who_announced_what_covers_an_address(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("0.0.0.0/0") + announce("11.1.0.0/16", path=(3356, 1299)))
        await routes.becomes("11.1.2.3", "north")
        output = (await command(routes, "show", "11.1.2.3")).output
        assert "11.1.0.0/16: north\n  isp1 (to north, path 3356 1299): believed" in output
        assert (
            "0.0.0.0/0: of no site\n  isp1 (to north, path 3356): not believed: 0.0.0.0/0 is a default route" in output
        )
        assert "nobody announced" in (await command(routes, "show", "2a00::1")).output
        assert json.loads((await command(routes, "show", "11.1.2.3", "--json")).output)["routes"][0]["sites"] == [
            "north"
        ]
        wrong = await command(routes, "show", "11.1.2")
        assert "expected a prefix" in str(wrong.exception)


async def test_import_and_dump(tmp_path: Path) -> None:
    (tmp_path / "mrt").write_bytes(NEIGHBOUR + mrt.route("11.1.0.0/16", (0, PATH)) + mrt.record(16, 4, b"x"))
    async with running(settings(tmp_path, IMPORTED)) as routes:
        result = await command(routes, "import", str(tmp_path / "mrt"))
        assert result.output == "isp3: 1 routes\nnote: 1 records of other types are passed over\n"
        rows = (await command(routes, "dump")).output.splitlines()
        assert [json.loads(row)["prefix"] for row in rows] == ["11.1.0.0/16"]
        (tmp_path / "mrt").write_bytes(b"nonsense")
        assert "line 1" in str((await command(routes, "import", str(tmp_path / "mrt"), "--session", "isp3")).exception)
        assert "isp9" in str((await command(routes, "import", str(tmp_path / "mrt"), "--session", "isp9")).exception)
        assert "isp9" in str((await command(routes, "dump", "--session", "isp9")).exception)


def test_that_nothing_runs_is_said(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    for arguments in (["status"], ["show", "11.0.0.0/8"], ["dump"]):
        result = CliRunner().invoke(steering, ["routes", *arguments, "--url", url])
        assert "could not be asked" in str(result.exception)


def test_a_session_is_a_line_and_more_where_there_is_more_to_know() -> None:
    up = SessionState("isp1", "north", "n1", True, 100.0, "", {4: 5, 6: 1}, 6, 0, {}, 0, 0)
    over = SessionState("isp2", "south", "", False, 0.0, "it announced more", {4: 2, 6: 0}, 1, 2, {"loop": 1}, 7, 1)
    assert as_text([up, over], 220.0).splitlines() == [
        "isp1: up for 2m 00s, to north (n1): 5 IPv4, 1 IPv6; 6 believed",
        "isp2: down, to south: 2 IPv4, 0 IPv6; 1 believed",
        "  it announced more",
        "  2 are kept of before it went down",
        "  not believed: 1 loop",
        "  refused: 7 over a limit",
    ]
    assert as_text([], 0.0) == "no BGP session is configured"
