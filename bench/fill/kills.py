"""A fill night in which the appliance and its agent are killed (SIGKILL) again and again, at instants of chance.

    source (this process, counts blocks) -> appliance <- agent          one of the two, or both, die; look; start again

After each kill the disk is looked at: a file with its name must be right byte for byte, and a block that is marked as
there was acknowledged, so the source must never be asked for it again. In the end every file of the plan must be held.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from bench.errors import BenchError
from bench.fill.films import make_film
from bench.processes import Process
from config.progress import Reporter
from encoder.package import BLOCK_SIZE, Package
from fill.planner.form import FORMAT, Line, Plan
from fill.planner.store import publish
from origin.storage import open_storage

NAME = "killed"
_FILES, _FILE_BYTES = 6, 5 * BLOCK_SIZE + 12345
# The source gives a block in no less than this: a night of 36 blocks, two files of six blocks at a time, takes 0.3 s
# beyond the starts of the processes, so that kills fall into every part of it.
_BLOCK_S = 0.1
# From a start of Python until something moves, and until a small fill is done.
_LONGEST_LIFE_S = 1.6
_NIGHT_LIMIT_S = 60.0
_NOBODY = "http://127.0.0.1:1"


@dataclass
class Found:
    """What the kills came to; all but `kills`, `nights` and `seconds` have to be 0."""

    kills: int = 0
    nights: int = 0
    wrong_bytes: int = 0  # files with their name, and other bytes than the package's
    lost_files: int = 0
    fetched_twice: int = 0  # blocks that had been acknowledged
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not (self.wrong_bytes or self.lost_files or self.fetched_twice)


class Source:
    """Serves ROOT/TITLE/PACKAGE/FILE under /v1/ in its own time; `asked` counts the blocks that were sent whole."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.asked: Counter[tuple[str, int]] = Counter()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Source]:
        application = web.Application()
        application.router.add_get("/v1/{path:.*}", self._serve)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = self._root / request.match_info["path"]
        if not path.is_file():
            return web.Response(status=404)
        data = await asyncio.to_thread(path.read_bytes)
        if "Range" not in request.headers:
            return web.Response(body=data)
        asked = request.http_range
        start, stop = asked.start or 0, asked.stop or len(data)
        self.asked[f"{path.parent.parent.name}/{path.name}", start // BLOCK_SIZE] += 1
        await asyncio.sleep(_BLOCK_S)
        return web.Response(status=206, body=data[start:stop])


class Night:
    """One title on its way to one appliance."""

    def __init__(self, folder: Path, number: int, source: Source, films: Path) -> None:
        self.title = f"film-{number}"
        self._folder, self._source, self._films = folder, source, films
        self.volume = folder / "volume"

    async def plan(self) -> None:
        self.package_name, self.package = await asyncio.to_thread(
            make_film, self._films, self.title, size=_FILE_BYTES, files=_FILES
        )
        lines = tuple(
            Line(title=self.title, package=self.package_name, file=file.name, size=file.size, value=1.0, reason="")
            for file in self.package.files
        )
        plan = Plan(
            format=FORMAT, appliance=NAME, site="a", version=0, made_at=time.time(), fetches=lines, keeps=(), drops=(),
            share=1.0, gap=0.0, bound=0.0,
        )  # fmt: skip
        async with open_storage(self._plans) as storage:
            await publish(storage, {NAME: plan}, None)

    @property
    def _plans(self) -> str:
        return f"file://{self._folder / 'plans'}"

    def appliance(self) -> Process:
        options = {
            "name": NAME, "site": "a", "state": self._folder, "volume": self.volume, "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0", "origin": self._source.url, "workers": 1,
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return Process("oca", self._folder, "oca", ["serve", *words])

    def start_agent(self) -> subprocess.Popen[bytes]:
        """The command itself: of the group it could only be started with everything that planning needs."""
        words = [
            "--now", "--once", "--quiet", "--plans", self._plans, "--steering", _NOBODY, "--origin", self._source.url,
            "--appliance", NAME, "--socket", str(self._folder / "appliance.sock"),
        ]  # fmt: skip
        with (self._folder / "agent.log").open("ab") as log:
            command = [sys.executable, "-c", "from fill.transfer.cli import run; run()", *words]
            return subprocess.Popen(command, stdout=log, stderr=log)

    # What the disk has

    def acknowledged(self) -> set[tuple[str, int]]:
        """Blocks that are marked as there, and all of those of whole files."""
        found = set()
        for file in self.package.files:
            path = self.volume / self.title / self.package_name / file.name
            marks = path.with_name(path.name + ".blocks")
            if path.exists():
                found |= {(f"{self.title}/{file.name}", block) for block in range(len(file.blocks))}
            elif marks.exists():
                found |= {(f"{self.title}/{file.name}", block) for block, mark in enumerate(marks.read_bytes()) if mark}
        return found

    def wrong(self) -> list[str]:
        """Files that have their name, and not their bytes."""
        return [file.name for file in self.package.files if not self._is_right(self.package, file.name, or_absent=True)]

    def lost(self) -> list[str]:
        return [file.name for file in self.package.files if not self._is_right(self.package, file.name)]

    def _is_right(self, package: Package, name: str, *, or_absent: bool = False) -> bool:
        path = self.volume / self.title / self.package_name / name
        digest = next(file.digest for file in package.files if file.name == name)
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() == digest
        except FileNotFoundError:
            return or_absent


async def kill_nights(folder: Path, kills: int, *, seed: int = 1, reporter: Reporter | None = None) -> Found:
    """Nights until there were so many kills. Raises BenchError where a night comes to no end."""
    found, chance = Found(), random.Random(seed)
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with (reporter or Reporter(quiet=True)).bar("killing", kills) as bar:
        async with Source(folder / "films").serving() as source:
            while found.kills < kills:
                night = Night(folder, found.nights, source, folder / "films")
                await night.plan()
                found.nights += 1
                await _one(night, source, found, kills, chance)
                bar.update(found.kills)
    found.seconds = time.monotonic() - started
    return found


async def _one(night: Night, source: Source, found: Found, kills: int, chance: random.Random) -> None:
    appliance: Process | None = None
    agent: subprocess.Popen[bytes] | None = None
    known: dict[tuple[str, int], int] = {}  # acknowledged block -> times it had been asked for by then
    until = time.monotonic() + _NIGHT_LIMIT_S
    try:
        while True:
            if time.monotonic() > until:
                raise BenchError(f"the night of {night.title} came to no end: {night.lost()} are missing")
            if appliance is None or not appliance.is_running:
                appliance = night.appliance()
                appliance.start()
            await appliance.ready()
            if agent is None or agent.poll() is not None:
                agent = night.start_agent()
            if found.kills >= kills:
                await asyncio.to_thread(agent.wait, _NIGHT_LIMIT_S)
            else:
                await asyncio.sleep(chance.uniform(0.0, _LONGEST_LIFE_S))
            if agent.poll() == 0:
                break
            if found.kills >= kills:
                continue
            victims = chance.choice(("appliance", "agent", "both"))
            if victims != "agent":
                appliance.kill()
            if victims != "appliance":
                agent.kill()  # or it has failed meanwhile, without its appliance
                agent.wait()
            found.kills += 1
            if victims != "agent":
                wrong = await asyncio.to_thread(night.wrong)
                found.wrong_bytes += len(wrong)
                found.notes += [f"{night.title}/{name} has other bytes" for name in wrong]
                for block in night.acknowledged():
                    known.setdefault(block, source.asked[block])
        appliance.kill()
    finally:
        if agent is not None and agent.poll() is None:
            agent.kill()
            agent.wait()
        if appliance is not None:
            appliance.kill()
    lost = await asyncio.to_thread(night.lost)
    twice = [block for block, times in known.items() if source.asked[block] > times]
    found.lost_files += len(lost)
    found.fetched_twice += len(twice)
    found.notes += [f"{night.title}/{name} is not there" for name in lost]
    found.notes += [f"block {block} of {name} was fetched again" for name, block in twice]
