"""How fast a fill is, what players notice of it, and what is left of it when processes die.

    copy     one file from one appliance to another, in turns with a plain copy of the same bytes (bench.fill.plain)
    yield    the 99th percentile of a segment's time at half of what the appliance can serve, with a fill and without
    kills    fill nights in which appliance and agent are killed (bench.fill.kills)

All runs on the machine's own cores and its disk. Where a fill comes from stands for another machine, so in `yield` that
process gets only what the others leave; in `copy` both ends count, as they do in the plain copy.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiohttp
import msgspec

from bench.errors import BenchError
from bench.fill.films import make_film
from bench.fill.kills import kill_nights
from bench.fill.viewers import Seen
from bench.processes import Process
from bench.rows import Row
from config.progress import Reporter
from fill.transfer.parent import Parent
from oca import messages

_TITLE = "film"
_MIB = 1024 * 1024
_LIMIT_S = 120.0
# A fill that players do not notice because it stands still has yielded too much: 600 GB in a night of 3.5 hours.
_LEAST_FILL_MB_S = 50.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class _Appliance:
    """One appliance with a volume of its own; without a `capacity_bps` it has the default."""

    def __init__(self, folder: Path, name: str, capacity_bps: float = 0.0) -> None:
        self.folder, self.name = folder / name, name
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "name": name, "site": "a", "state": self.folder, "volume": self.volume, "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0", "workers": 1,
        }  # fmt: skip
        if capacity_bps:
            options["capacity"] = f"{capacity_bps / 1e9:.3f} Gbit/s"
        words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
        self.process = Process(name, self.folder, "oca", ["serve", *words])

    @property
    def volume(self) -> Path:
        return self.folder / "volume"

    async def start(self) -> None:
        self.process.start()
        host, _, port = (await self.process.ready()).rpartition(":")
        self.host, self.port = host, int(port)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @asynccontextmanager
    async def parent(self) -> AsyncIterator[Parent]:
        async with Parent(self.folder / "appliance.sock") as parent:
            yield parent

    async def warm(self, paths: Sequence[str]) -> None:
        """What was never read is verified first; that is not what is measured."""
        async with aiohttp.ClientSession() as session:
            for path in paths:
                async with session.get(self.url + path) as answer:
                    if answer.status != 200:
                        raise BenchError(f"{self.name} answers {answer.status} to {path}")
                    async for _ in answer.content.iter_chunked(_MIB):
                        pass

    def cpu_s(self) -> float:
        """Of all its processes since the start."""
        ticks = 0
        for process_id in _family(self.process.process_id):
            fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5) fields 14 and 15
        return ticks / _TICKS_PER_S

    def yield_all(self) -> None:
        """Only what everybody else leaves (Linux)."""
        for process_id in _family(self.process.process_id):
            for thread in Path(f"/proc/{process_id}/task").iterdir():
                with suppress(OSError):
                    os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))


def _family(process_id: int) -> list[int]:
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [process_id, *(one for child in children for one in _family(int(child)))]


def _fill(package: str, file: str, source: str, id: int) -> messages.Message:
    return messages.Fill(id, _TITLE, package, file, (source,))


def _drop(package: str, file: str, id: int) -> messages.Message:
    return messages.Drop(id, _TITLE, package, file)


async def measure(files: Sequence[Path] = (), *, quick: bool, reporter: Reporter) -> list[Row]:
    """On the disk of temporary files ($TMPDIR). Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="nearcast-transfer-") as name:
        root = Path(name)
        rows = await _measure_copy(root / "copy", 128 if quick else 768, 3 if quick else 9, reporter)
        rows += await _measure_yield(root / "yield", 2.0 if quick else 6.0, 2 if quick else 7, reporter)
        rows += await _measure_kills(root / "kills", 10 if quick else 200, reporter)
    return rows


# Copy


async def _measure_copy(root: Path, mib: int, rounds: int, reporter: Reporter) -> list[Row]:
    source = _Appliance(root, "source")
    package, made = await asyncio.to_thread(make_film, source.volume, _TITLE, size=mib * _MIB)
    file = made.files[0]
    path = source.volume / _TITLE / package / file.name
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.fill.plain", "send", str(path)), stdout=subprocess.PIPE
    )
    plain, ours, cpu = [], [], []
    try:
        assert sender.stdout is not None
        port = int(await sender.stdout.readline())
        await source.start()
        for _ in range(2):
            await source.warm([f"/v1/{_TITLE}/{package}/package.json", f"/v1/{_TITLE}/{package}/{file.name}"])
        target = _Appliance(root, "target")
        await target.start()
        with reporter.bar("copying", rounds) as bar:
            async with target.parent() as parent:
                for number in range(rounds):
                    plain.append(await asyncio.to_thread(_plain, port, root / "plain"))
                    before = target.cpu_s()
                    started = time.monotonic()
                    await parent.ask(partial(_fill, package, file.name, source.url))
                    ours.append(time.monotonic() - started)
                    cpu.append((target.cpu_s() - before) / file.size * 1e9)
                    await parent.ask(partial(_drop, package, file.name))
                    os.sync()
                    bar.update(number + 1)
        target.process.kill()
    finally:
        sender.kill()
        await sender.wait()
        source.process.kill()
    ratios = [one / other for one, other in zip(plain, ours, strict=True)]
    case = f"copy of {mib} MiB to the disk, synced and verified"
    return [
        _row(case, "speed against sendfile to file", ratios, must=0.9, note="each copy beside the plain one before it"),
        _row(case, "MB/s", [file.size / 1e6 / one for one in ours]),
        _row(case, "MB/s", [file.size / 1e6 / one for one in plain], subject="sendfile to file"),
        _row(case, "CPU seconds a GB", cpu, more_is_better=False, note="of the receiving appliance, SHA-256 included"),
    ]


def _plain(port: int, path: Path) -> float:
    words = [sys.executable, "-m", "bench.fill.plain", "receive", str(port), str(path)]
    told = subprocess.run(words, check=True, capture_output=True, text=True)
    path.unlink()
    os.sync()
    return float(told.stdout)


# Yield


async def _measure_yield(root: Path, seconds: float, rounds: int, reporter: Reporter) -> list[Row]:
    source, target = _Appliance(root, "source"), _Appliance(root, "target")
    package, made = await asyncio.to_thread(make_film, source.volume, _TITLE, size=256 * _MIB)
    watched, _ = await asyncio.to_thread(make_film, target.volume, "watched", size=64 * _MIB)
    segment = f"/v1/watched/{watched}/v0/1.m4s"
    still, filled, moved = [], [], []
    try:
        await source.start()
        await target.start()
        await source.warm([f"/v1/{_TITLE}/{package}/package.json", f"/v1/{_TITLE}/{package}/v0.mp4"])
        await target.warm([segment, segment])
        peak = await _watch(target, segment, seconds, 0.0)
        target.process.kill()
        # Its operator says what it can serve: beyond nine tenths of that, fills are only kept alive.
        target = _Appliance(root, "target", capacity_bps=peak.bytes_s * 8)
        await target.start()
        await target.warm([segment, segment])
        source.yield_all()
        with reporter.bar("watching", 2 * rounds) as bar:
            for number in range(rounds):
                # By turns first and second: the machine has others to serve, and they change their minds.
                for is_filling in (number % 2 == 0, number % 2 == 1):
                    if not is_filling:
                        still.append(await _watch(target, segment, seconds, peak.rate / 2))
                        continue
                    async with _filling(_Filling(package, made.files[0].name), target, source) as filling:
                        filled.append(await _watch(target, segment, seconds, peak.rate / 2))
                    moved.append(filling.bytes_s)
                bar.update(2 * (number + 1))
    finally:
        source.process.kill()
        target.process.kill()
    failed = sum(seen.failed for seen in (*still, *filled))
    if failed:
        raise BenchError(f"{failed} viewers failed")
    worse = [after.p99_s / before.p99_s for before, after in zip(still, filled, strict=True)]
    case = f"half of {peak.bytes_s / 1e9:.1f} GB/s to viewers, while a fill runs"
    return [
        _row(case, "99th percentile against no fill", worse, must=1.1, aim=1.0, more_is_better=False),
        _row(case, "p99 ms", [seen.p99_s * 1e3 for seen in filled], more_is_better=False),
        _row(case, "p99 ms", [seen.p99_s * 1e3 for seen in still], subject="without a fill", more_is_better=False),
        _row(case, "p50 ms", [seen.p50_s * 1e3 for seen in filled], more_is_better=False),
        _row(case, "p50 ms", [seen.p50_s * 1e3 for seen in still], subject="without a fill", more_is_better=False),
        _row(case, "MB/s filled", [rate / 1e6 for rate in moved], must=_LEAST_FILL_MB_S, note="verified, on the disk"),
    ]


@asynccontextmanager
async def _filling(filling: _Filling, target: _Appliance, source: _Appliance) -> AsyncIterator[_Filling]:
    """While it fills; what is left of it is not there for the next turn."""
    started = time.monotonic()
    task = asyncio.create_task(filling.run(target, source))
    try:
        yield filling
    finally:
        filling.bytes_s = filling.bytes / (time.monotonic() - started)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    async with target.parent() as parent:
        await parent.ask(partial(_drop, filling.package, filling.file))


class _Filling:
    """One file, filled and dropped on and on; `bytes` is what came, `bytes_s` of it in a second when it has ended."""

    def __init__(self, package: str, file: str) -> None:
        self.bytes = 0
        self.bytes_s = 0.0
        self.package, self.file = package, file
        self._done = 0

    async def run(self, target: _Appliance, source: _Appliance) -> None:
        async with target.parent() as parent:
            while True:
                self._done = 0
                await parent.ask(partial(_fill, self.package, self.file, source.url), self._hear)
                await parent.ask(partial(_drop, self.package, self.file))

    def _hear(self, message: messages.Message) -> None:
        if isinstance(message, messages.Moved):
            self.bytes += message.done - self._done
            self._done = message.done


async def _watch(target: _Appliance, path: str, seconds: float, rate: float) -> Seen:
    words = ["-m", "bench.fill.viewers", target.host, str(target.port), path, str(seconds), str(rate)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=subprocess.PIPE)
    async with asyncio.timeout(_LIMIT_S):
        out, _ = await process.communicate()
    try:
        return msgspec.json.decode(out, type=Seen)
    except msgspec.DecodeError as error:
        raise BenchError("the viewers failed") from error


# Kills


async def _measure_kills(root: Path, kills: int, reporter: Reporter) -> list[Row]:
    found = await kill_nights(root, kills, reporter=reporter)
    case = f"{found.kills} kills in {found.nights} nights"
    return [
        _row(case, metric, [float(count)], must=0.0, limit=0.0, more_is_better=False, note="; ".join(found.notes[:3]))
        for metric, count in (
            ("files with wrong bytes", found.wrong_bytes),
            ("files lost", found.lost_files),
            ("acknowledged blocks fetched again", found.fetched_twice),
        )
    ]


def _row(
    case: str,
    metric: str,
    values: Sequence[float],
    *,
    subject: str = "nearcast",
    must: float | None = None,
    aim: float | None = None,
    limit: float | None = None,
    more_is_better: bool = True,
    note: str = "",
) -> Row:
    return Row(
        subject=subject, case=case, metric=metric, median=statistics.median(values), min=min(values), max=max(values),
        must=must, aim=aim, limit=limit, more_is_better=more_is_better, note=note,
    )  # fmt: skip
