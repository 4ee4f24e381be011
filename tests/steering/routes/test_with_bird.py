"""The whole path with a real router: BIRD announces to our ExaBGP, and a look-up in the table file says so.

Both stand in network namespaces of their own, so no address of this machine is used or changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.loader import load
from config.steering import SteeringSettings
from steering.prefixes.addresses import parse_address
from steering.prefixes.table_file import TableReader
from steering.routes.exabgp_process import configuration
from tests import tools
from tests.steering.routes.test_exabgp_process import needs_exabgp
from tests.waiting import is_alive, until

ROOT = Path(__file__).parents[3]
LIMIT_S = 60.0
OURS = "10.97.0.1"

BIRD = """
router id 11.0.0.2;
protocol device {{}}
protocol static static4 {{ ipv4; {ipv4} }}
protocol static static6 {{ ipv6; {ipv6} }}
protocol bgp nearcast {{
  local 10.97.0.2 as 3356;
  neighbor 10.97.0.1 port 1790 as 2906;
  password "{password}";
  ttl security on;
  connect delay time 1; connect retry time 1; error wait time 1, 1;
  ipv4 {{ import none; export all; }};
  ipv6 {{ import none; export all; next hop address fd97::2; }};
}}
"""

ROUTES = """
[steering]
routes = "{folder}/table"
routes_listen = "127.0.0.1:8061"
own_prefixes = ["11.200.0.0/16"]
[[steering.sites]]
name = "north"
[[steering.sites]]
name = "south"
[[steering.bgp]]
name = "isp1"
site = "north"
peer = "10.97.0.2"
peer_as = 3356
local_address = "10.97.0.1"
local_as = 2906
port = 1790
password = "sesame"
ttl_security = true
prefix_limit_v4 = 300
[[steering.bgp]]
name = "snapshot-v4"
site = "south"
source = "bird"
bird_socket = "{folder}/bird.ctl"
bird_protocol = "static4"
bird_every = "200ms"
[[steering.bgp]]
name = "snapshot-v6"
site = "south"
source = "bird"
bird_socket = "{folder}/bird.ctl"
bird_protocol = "static6"
bird_every = "200ms"
[[steering.bgp]]
name = "dump"
site = "south"
source = "import"
"""


class Isp:
    """A BIRD with a session to us, and the routes process that it has the session with."""

    def __init__(self, folder: Path, commands: tuple[str, str, str]) -> None:
        self.folder, (self._bird, self._birdc, self._ip) = folder, commands
        self._inside, self._outside = f"near{os.getpid()}a", f"near{os.getpid()}b"
        self.routes: Process | None = None
        self._router: Process | None = None
        self._log = (folder / "log").open("a")
        (folder / "nearcast.toml").write_text(ROUTES.format(folder=folder))
        self.table = TableReader(folder / "table")

    async def run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        output, errors = await asyncio.wait_for(process.communicate(), LIMIT_S)
        assert process.returncode == 0, (command, output, errors)
        return output.decode()

    async def build(self) -> None:
        for name in (self._inside, self._outside):
            await self.run(self._ip, "netns", "add", name)
            await self.run(self._ip, "-n", name, "link", "set", "lo", "up")
        await self.run(
            self._ip,
            "-n",
            self._inside,
            "link",
            "add",
            "bgp",
            "type",
            "veth",
            "peer",
            "name",
            "bgp",
            "netns",
            self._outside,
        )
        for name, address in ((self._inside, "10.97.0.1/24"), (self._outside, "10.97.0.2/24")):
            await self.run(self._ip, "-n", name, "address", "add", address, "dev", "bgp")
            await self.run(self._ip, "-n", name, "link", "set", "bgp", "up")

    async def close(self) -> None:
        for process in (self.routes, self._router):
            if process is not None and process.returncode is None:
                process.terminate()
                await process.wait()
        for name in (self._inside, self._outside):
            process = await asyncio.create_subprocess_exec(self._ip, "netns", "delete", name, stderr=DEVNULL)
            await process.wait()
        self._log.close()

    async def start_routes(self) -> None:
        self.routes = await asyncio.create_subprocess_exec(
            *(self._ip, "netns", "exec", self._inside, sys.executable, "-m", "tests.steering.routes.serve"),
            *("--config", str(self.folder / "nearcast.toml"), "--ready-file", str(self.folder / "ready")),
            cwd=ROOT,
            stderr=self._log,
        )
        await until(lambda: (self.folder / "ready").exists(), LIMIT_S)
        (self.folder / "ready").unlink()

    @asynccontextmanager
    async def exabgp_of_the_operator(self) -> AsyncIterator[None]:
        """One that we did not start and that outlives the routes process; its session has the source "feed"."""
        toml = self.folder / "nearcast.toml"
        toml.write_text(toml.read_text().replace('name = "isp1"', 'name = "isp1"\nsource = "feed"'))
        session = load(SteeringSettings, "steering", file=toml, environ={}).bgp[0]
        (self.folder / "exabgp.conf").write_text(configuration([session], self.folder / "table.sock"))
        usual = {"exabgp.api.cli": "false", "exabgp.daemon.drop": "false", "exabgp.daemon.user": "root"}
        process = await asyncio.create_subprocess_exec(
            *(self._ip, "netns", "exec", self._inside, sys.executable, "-m", "exabgp", "server"),
            str(self.folder / "exabgp.conf"),
            cwd=ROOT,
            env={**os.environ, **usual},
            stdout=self._log,
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()

    async def start_bird(self, *prefixes: str, password: str = "sesame") -> None:
        self._write(prefixes, password)
        self._router = await asyncio.create_subprocess_exec(
            *(self._ip, "netns", "exec", self._outside, self._bird, "-f", "-c", str(self.folder / "bird.conf")),
            *("-s", str(self.folder / "bird.ctl"), "-P", str(self.folder / "bird.pid")),
            stderr=self._log,
        )
        await until(lambda: (self.folder / "bird.ctl").is_socket())

    async def announces(self, *prefixes: str) -> None:
        """These and no others, from now on."""
        self._write(prefixes, "sesame")
        await self.bird("configure")

    async def bird(self, *command: str) -> str:
        return await self.run(self._birdc, "-s", str(self.folder / "bird.ctl"), *command)

    def _write(self, prefixes: tuple[str, ...], password: str) -> None:
        routes = {True: "", False: ""}
        for prefix in prefixes:
            routes[":" in prefix] += f"route {prefix} blackhole; "
        text = BIRD.format(ipv4=routes[False], ipv6=routes[True], password=password)
        (self.folder / "bird.conf").write_text(text)

    async def ask(self, *command: str) -> str:
        """A command of `nearcast steering routes`, where it reaches the process."""
        serve = (sys.executable, "-m", "tests.steering.routes.serve", *command)
        return await self.run(self._ip, "netns", "exec", self._inside, *serve)

    async def session(self, name: str = "isp1") -> Any:
        sessions = json.loads(await self.ask("status", "--json"))["sessions"]
        return next(one for one in sessions if one["name"] == name)

    def sites(self, address: str) -> tuple[str, ...]:
        self.table.refresh()
        parsed = parse_address(address)
        assert parsed is not None
        match = self.table.find(parsed)
        return match.sites if match is not None else ()

    async def becomes(self, address: str, *sites: str) -> None:
        try:
            await until(lambda: self.sites(address) == sites, LIMIT_S)
        except AssertionError:
            pytest.fail(f"{address}: {self.sites(address)}, not {sites}\n{(self.folder / 'log').read_text()[-3000:]}")


@asynccontextmanager
async def network(folder: Path) -> AsyncIterator[Isp]:
    needs_exabgp()
    isp = Isp(folder, tools.bird())
    try:
        await isp.build()
        yield isp
    finally:
        await isp.close()


@pytest.fixture
async def isp(tmp_path: Path) -> AsyncIterator[Isp]:
    async with network(tmp_path) as isp:
        await isp.start_routes()
        yield isp


# The snapshot sessions see the same routes at the site "south"; its paths are empty, for they are the router's own.
BOTH = ("south", "north")


@pytest.mark.slow
async def test_what_a_router_announces_withdraws_and_flaps_is_in_the_table(isp: Isp) -> None:
    await isp.start_bird("11.1.0.0/16", "11.1.2.0/24", "2a01:100::/32")
    for address in ("11.1.1.1", "11.1.2.1", "2a01:100::1"):
        await isp.becomes(address, *BOTH)
    await isp.announces("11.1.0.0/16", "11.3.0.0/16", "2a01:200::/32")
    for address, sites in (("11.3.1.1", BOTH), ("2a01:200::1", BOTH), ("2a01:100::1", ()), ("11.1.2.1", BOTH)):
        await isp.becomes(address, *sites)

    await isp.bird("disable", "nearcast")
    await until(lambda: _is(isp, is_up=False))
    assert isp.sites("11.1.1.1") == BOTH
    await isp.announces("11.1.0.0/16", "2a01:200::/32")
    await isp.becomes("11.3.1.1", "north")  # the session that is down keeps it
    await isp.bird("enable", "nearcast")
    await isp.becomes("11.3.1.1")
    await until(lambda: _is(isp, is_up=True, stale=0, flaps=1))
    assert isp.sites("11.1.1.1") == isp.sites("2a01:200::1") == BOTH


async def _is(isp: Isp, **expected: Any) -> bool:
    session = await isp.session()
    return {name: session[name] for name in expected} == expected


@pytest.mark.slow
async def test_a_router_that_announces_what_it_should_not_harms_nobody(isp: Isp) -> None:
    bad = ("0.0.0.0/0", "::/0", "11.200.1.0/24", "10.0.0.0/8", "11.1.0.0/25")
    await isp.start_bird(*bad)
    filtered = {"default-route": 2, "own-prefix": 1, "special-purpose": 1, "too-specific": 1}
    await until(lambda: _is(isp, filtered=filtered), LIMIT_S)
    many = [f"{first}.{second}.0.0/16" for first in (12, 13) for second in range(200)]
    await isp.announces(*bad, *many)
    await until(lambda: _is(isp, refused=len(bad) - 1 + len(many) - 300), LIMIT_S)
    assert isp.sites("8.8.8.8") == isp.sites("11.200.1.1") == isp.sites("2a00::1") == isp.sites("11.1.0.1") == ()
    shown = await isp.ask("show", "11.200.1.1")
    assert "not believed: 11.200.1.0/24 is in our own prefixes" in shown


@pytest.mark.slow
async def test_a_routes_process_that_is_killed_goes_on_where_it_was(isp: Isp) -> None:
    await isp.start_bird("11.1.0.0/16", "2a01:100::/32")
    await isp.becomes("11.1.1.1", *BOTH)
    await isp.becomes("2a01:100::1", *BOTH)
    assert isp.routes is not None
    children = _descendants(isp.routes.pid)
    isp.routes.send_signal(signal.SIGKILL)
    await isp.routes.wait()
    assert isp.sites("11.1.1.1") == BOTH
    await until(lambda: not any(map(is_alive, children)))  # nobody is left on the port
    await isp.start_routes()
    await isp.announces("11.1.0.0/16", "11.9.0.0/16")
    await isp.becomes("11.9.1.1", *BOTH)
    assert isp.sites("11.1.1.1") == BOTH
    await isp.becomes("2a01:100::1")


@pytest.mark.slow
async def test_an_exabgp_that_outlives_the_routes_process_has_routers_announce_all_again(tmp_path: Path) -> None:
    async with network(tmp_path) as isp, isp.exabgp_of_the_operator():
        await isp.start_routes()
        await isp.start_bird("11.1.0.0/16", "2a01:100::/32")
        for address in ("11.1.1.1", "2a01:100::1"):
            await isp.becomes(address, *BOTH)
        assert isp.routes is not None
        isp.routes.terminate()
        await isp.routes.wait()
        (isp.folder / "table.rib").unlink()  # what it knows from now on was announced again
        await isp.start_routes()
        await until(lambda: _is(isp, is_up=True, accepted=2, stale=0), LIMIT_S)


@pytest.mark.slow
async def test_a_router_without_the_password_is_not_heard(isp: Isp) -> None:
    await isp.start_bird("11.1.0.0/16", password="wrong")
    await isp.becomes("11.1.1.1", "south")  # the snapshot's

    async def has_tried() -> bool:
        return "Connect" in (await isp.bird("show", "protocols", "all", "nearcast"))

    await until(has_tried)
    assert not (await isp.session())["is_up"]


@pytest.mark.slow
async def test_birds_own_dumps_are_imported_with_the_same_routes(isp: Isp) -> None:
    await isp.start_bird("11.1.0.0/16", "11.2.0.0/20")
    await isp.becomes("11.2.1.1", *BOTH)
    (isp.folder / "text").write_text(await isp.bird("show", "route", "all"))
    await isp.bird("mrt", "dump", "table", '"master4"', "to", f'"{isp.folder}/mrt"')
    for name in ("text", "mrt"):
        assert await isp.ask("import", str(isp.folder / name), "--session", "dump") == "dump: 2 routes\n"
        dumped = await isp.ask("dump", "--session", "dump")
        assert {json.loads(line)["prefix"] for line in dumped.splitlines()} == {"11.1.0.0/16", "11.2.0.0/20"}


def _descendants(process: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            children += [int(child), *_descendants(int(child))]
    return children
