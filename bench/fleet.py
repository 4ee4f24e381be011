"""The local network: origin, steering, appliances and fill agents as real processes on loopback addresses.

    origin -> steering -> appliances -> plan -> fill agents
    127.0.0.1             127.0.1.1, 127.0.1.2 (north), 127.0.2.1 (south): one port for all

Each appliance has an address of its own, because HLS and DASH pathways differ by host alone. A client belongs to the
site whose prefix covers the address it asks from: 127.0.0.1 to north, 127.128.0.1 to south.

    async with Fleet(folder) as fleet:
        await fleet.publish(package_folder)
        await fleet.fill()
        fleet.kill("north-1")

A fleet belongs to no event loop: tests may start it in one and use it in others.
"""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp

from bench.errors import NetworkError, ProcessFailed
from bench.players import Viewer
from bench.processes import Process
from config.progress import Reporter
from fill.planner.store import read_published
from origin.catalog import Entry
from origin.publish import publish_folder
from origin.storage import open_storage
from origin.together import for_each

# Half of 127.0.0.0/8 each, so that any loopback address is somewhere.
PREFIXES = {"north": "127.0.0.0/9", "south": "127.128.0.0/9"}
VIEWERS = {
    "north": Viewer("in the north", "north", "127.0.0.1"),
    "south": Viewer("in the south", "south", "127.128.0.1"),
}
_HOSTS = {"north": "127.0.1.{}", "south": "127.0.2.{}"}
# What makes the network quick to notice: reports each second, lost after three, steering asked each two.
REPORT_EVERY_S, LOST_AFTER_S, STEERING_TTL_S = 1, 3, 2
PLAN_LIMIT_S = 60.0
FILL_LIMIT_S = 3600.0
_SEEN_LIMIT_S = 20.0
_LOOK_EVERY_S = 0.05
_WATCH_EVERY_S = 0.5
_PORT_TRIES = 20


@dataclass(frozen=True)
class Place:
    """Where an appliance stands."""

    name: str
    site: str
    host: str


def places(count: int) -> tuple[Place, ...]:
    """Where `count` appliances stand: two of three in the north."""
    sites = ["south" if number % 3 == 2 else "north" for number in range(count)]
    numbers = [sites[: position + 1].count(site) for position, site in enumerate(sites)]
    return tuple(
        Place(f"{site}-{number}", site, _HOSTS[site].format(number))
        for site, number in zip(sites, numbers, strict=True)
    )


# Steering's, in the fleet's folder.
_DATABASE = "steering.sqlite"


class Fleet:
    """`folder` gets everything the network writes; `port` is where steering and its page listen (0: any).

    With `token_keys`, a JWK Set, content is for holders of access tokens.
    """

    def __init__(
        self,
        folder: Path,
        *,
        appliances: int = 3,
        port: int = 0,
        ttl_s: int = STEERING_TTL_S,
        token_keys: Path | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.folder = folder = folder.resolve()
        self.places = {place.name: place for place in places(appliances)}
        self.steering_url = f"http://127.0.0.1:{port}"
        self.origin_url = "http://127.0.0.1:0"
        self.port = 0  # of all appliances
        self.control_url = ""  # of the demo's control; set before the start
        self._ttl_s = ttl_s
        self._token_keys = str(token_keys or "")
        self._reporter = reporter or Reporter(quiet=True)
        self._logs = folder / "logs"
        self._storage = f"file://{folder / 'storage'}"
        self._processes: dict[str, Process] = {}
        self._refusals: dict[str, _Refusal] = {}

    # Lifecycle

    async def __aenter__(self) -> Fleet:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Raises NetworkError, ProcessFailed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self.port = find_port(place.host for place in self.places.values())
        # Chosen here, so that the origin's command is the same when it is started again.
        self.origin_url = f"http://127.0.0.1:{find_port(['127.0.0.1'])}"
        await self.start_origin()
        self._reporter.say(f"origin at {self.origin_url}")
        await self.start_steering()
        self._reporter.say(f"steering at {self.steering_url}")
        await for_each(self.places, self.start_appliance, at_once=len(self.places))
        self._reporter.say("appliances at " + ", ".join(self.url(name) for name in self.places))
        await self.until(lambda seen: self._are_healthy(seen, self.places), "all appliances are healthy")

    async def close(self) -> None:
        """Ends everything, whatever state it is in."""
        for name in list(self._refusals):
            self._refusals.pop(name).close()
        services = [self._processes.pop(name) for name in ("steering", "origin") if name in self._processes]
        await asyncio.gather(*(process.stop() for process in self._processes.values()))
        await asyncio.gather(*(process.stop() for process in services))
        self._processes.clear()

    async def watch(self) -> None:
        """Raises ProcessFailed as soon as origin or steering ends by itself; appliances may."""
        while True:
            for name in ("origin", "steering"):
                if not self.is_running(name):
                    raise ProcessFailed(f"{name} ended: {self._processes[name].last_words()}")
            await asyncio.sleep(_WATCH_EVERY_S)

    # The control plane

    async def start_origin(self) -> None:
        """Starts the origin, the second time where it was, and also after whatever happened to it."""
        if (refusal := self._refusals.pop("origin", None)) is not None:
            refusal.close()
        if self.is_running("origin"):
            self.resume("origin")
            return
        listen = self.origin_url.removeprefix("http://")
        log = str(self.folder / "origin.log")
        options = ("--storage", self._storage, "--listen", listen, "--access-log", log)
        process = self._start("origin", "origin", "serve", *options)
        self.origin_url = f"http://{await process.ready()}"

    async def start_steering(self) -> None:
        """Starts steering, the second time where it was."""
        config = self.folder / "steering.toml"
        config.write_text(self._steering_config())
        process = self._start("steering", "steering", "serve", "--config", str(config))
        self.steering_url = f"http://{await process.ready()}"

    async def forget(self) -> None:
        """Starts steering and the appliances that run anew, as if nothing had happened to any of them before.

        Steering would trust who failed by and by only, and an appliance remembers for a while whose players starved.
        """
        running = [name for name in self.places if self.is_running(name)]
        for name in running:
            self.resume(name)
        await asyncio.gather(*(self.stop(name) for name in ("steering", *running)))
        for file in self.folder.glob(f"{_DATABASE}*"):
            file.unlink()
        await self.start_steering()
        await for_each(running, self.start_appliance, at_once=len(running))
        await self.until(lambda seen: self._are_healthy(seen, running), "all appliances are healthy")

    def _steering_config(self) -> str:
        settings = {
            "listen": self.steering_url.removeprefix("http://"),
            "origin": self.origin_url,
            "database": f"sqlite:///{self.folder / _DATABASE}",
            "ttl": self._ttl_s,
            "lost_after": f"{LOST_AFTER_S}s",
            "poll_every": "500ms",
            "session_key": "of the local network",  # or a restart would make its sessions foreign
            "control": self.control_url,
            "token_keys": self._token_keys,
            "journal": str(self.folder / "journal"),
            "decision_log": str(self.folder / "decisions.log"),
        }
        # JSON's strings, numbers and arrays are TOML's.
        lines = ["[steering]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
        for site, prefix in PREFIXES.items():
            lines += ["[[steering.sites]]", f'name = "{site}"', f'isp = "{site}"', f'prefixes = ["{prefix}"]']
        return "\n".join(lines) + "\n"

    @property
    def access_logs(self) -> list[str]:
        """Patterns of the logs of appliances and origin."""
        return [str(self.folder / "*" / "access.log*"), str(self.folder / "origin.log*")]

    @property
    def decision_logs(self) -> list[str]:
        return [str(self.folder / "decisions.log*")]

    async def publish(self, package: Path) -> None:
        """Publishes a package folder (.../TITLE/PACKAGE), and waits until steering knows it."""
        entry = await publish_folder(package, self._storage, reporter=self._reporter)
        await self._until("/api/v1/titles", lambda told: _knows(told, entry), f"steering knows {entry.title}")

    async def fill(self) -> None:
        """Plans, carries the plans out on all appliances, and waits until steering knows what they hold."""
        plans = self.folder / "plans"
        services = ["--plans", f"file://{plans}", "--steering", self.steering_url, "--origin", self.origin_url]
        await self._run("plan", "fill", "plan", *services, limit_s=PLAN_LIMIT_S)
        names = [name for name in self.places if self.is_running(name)]
        async with open_storage(f"file://{plans}") as storage:
            planned = {name: (await read_published(storage, name)).held_bytes for name in names}

        async def run_agent(name: str) -> None:
            who = ["--appliance", name, "--socket", str(self.socket(name))]
            await self._run(f"agent-{name}", "fill", "run", "--now", "--once", *services, *who, limit_s=FILL_LIMIT_S)

        with self._reporter.bar("filling", sum(planned.values())) as bar:

            def is_filled(seen: dict[str, Any]) -> bool:
                used = {name: seen[name]["report"]["disk_used_bytes"] for name in names if name in seen}
                bar.update(sum(used.values()))
                return all(used.get(name, 0) >= planned[name] for name in names)

            what = "the appliances hold what was planned"
            progress = asyncio.create_task(self.until(is_filled, what, FILL_LIMIT_S))
            try:
                await for_each(names, run_agent, at_once=len(names))
            finally:
                progress.cancel()
            await self.until(is_filled, what)

    # Appliances

    def url(self, name: str) -> str:
        return f"http://{self.places[name].host}:{self.port}"

    def socket(self, name: str) -> Path:
        """The local socket of an appliance."""
        return self.folder / name / "appliance.sock"

    @property
    def sites(self) -> dict[str, str]:
        """The site of each appliance."""
        return {place.name: place.site for place in self.places.values()}

    def is_running(self, name: str) -> bool:
        return name in self._processes and self._processes[name].is_running

    async def start_appliance(self, name: str) -> None:
        """Starts an appliance, also again after whatever happened to it. Raises ProcessFailed."""
        if (refusal := self._refusals.pop(name, None)) is not None:
            refusal.close()
        if self.is_running(name):
            self.resume(name)
            return
        await self._start(name, "oca", "serve", *self._appliance_options(name)).ready()

    def _appliance_options(self, name: str) -> list[str]:
        place, state = self.places[name], self.folder / name
        peers = [other.name for other in self.places.values() if other.site == place.site and other != place]
        options = {
            "name": name,
            "site": place.site,
            "state": str(state),
            "volume": str(state / "volume"),
            "listen": f"{place.host}:{self.port}",
            "admin": f"{place.host}:0",
            "origin": self.origin_url,
            "peers": ",".join(self.url(peer) for peer in peers),
            "steering": self.steering_url,
            "token-keys": self._token_keys,
            "workers": "1",
            "report-every": f"{REPORT_EVERY_S}s",
            "drain-limit": "2s",
        }
        return [word for option, value in options.items() for word in (f"--{option}", value)]

    async def stop(self, name: str) -> None:
        """Ends a process ("origin", "steering" or an appliance) as an operator would: SIGTERM."""
        await self._processes[name].stop()

    def kill(self, name: str) -> None:
        """SIGKILL: as if its power went."""
        self._processes[name].kill()

    def pause(self, name: str) -> None:
        """SIGSTOP: it accepts connections, and nothing comes. As a player sees a cut cable, or a disk that hangs."""
        self._processes[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._processes[name].signal(signal.SIGCONT)

    def refuse(self, name: str) -> None:
        """Kills an appliance or the origin, and answers every request to its address with 503."""
        self.kill(name)
        host, _, port = (self.origin_url if name == "origin" else self.url(name)).removeprefix("http://").partition(":")
        self._refusals[name] = _Refusal((host, int(port)))

    async def order(self, name: str, what: str) -> None:
        """What an operator orders an appliance to do: drain, resume, scrub. Raises ProcessFailed."""
        state = str(self.folder / name)
        await self._run(f"{what}-{name}", "oca", what, "--state", state, limit_s=PLAN_LIMIT_S)

    # What steering sees

    async def until(self, is_so: Callable[[dict[str, Any]], bool], what: str, limit_s: float = _SEEN_LIMIT_S) -> None:
        """Waits until `is_so` of what steering says of its appliances: {name: {"report", "health", ...}}.

        Raises NetworkError that says `what` did not become so.
        """
        await self._until("/api/v1/fleet", lambda told: is_so(_by_name(told)), what, limit_s)

    async def until_health(self, name: str, health: str) -> None:
        await self.until(lambda seen: name in seen and seen[name]["health"] == health, f"{name} is {health}")

    async def until_trusted(self, name: str) -> None:
        """Waits until an appliance that came back takes all the sessions that it could."""
        await self.until(
            lambda seen: name in seen and seen[name]["health"] == "healthy" and seen[name]["share"] == 1,
            f"{name} is trusted again",
        )

    def _are_healthy(self, seen: dict[str, Any], names: Iterable[str]) -> bool:
        return all(name in seen and seen[name]["health"] == "healthy" for name in names)

    async def _until(self, path: str, is_so: Callable[[Any], bool], what: str, limit_s: float = _SEEN_LIMIT_S) -> None:
        until, told = time.monotonic() + limit_s, "nothing"
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < until:
                try:
                    async with session.get(self.steering_url + path) as answer:
                        told = await answer.text()
                        if answer.status == 200 and is_so(json.loads(told)):
                            return
                except aiohttp.ClientError as error:
                    told = str(error)
                await asyncio.sleep(_LOOK_EVERY_S)
        raise NetworkError(f"after {limit_s:.0f} s it is not so that {what}; steering says {told[:500]}")

    # Processes

    def _start(self, name: str, module: str, *arguments: str) -> Process:
        process = self._processes[name] = Process(name, self._logs, module, arguments)
        process.start()
        return process

    async def _run(self, name: str, module: str, *arguments: str, limit_s: float) -> None:
        """Runs a command to its end. Raises ProcessFailed."""
        process = self._processes[name] = Process(name, self._logs, module, arguments)
        process.start(announces=False)
        await process.finished(limit_s)
        del self._processes[name]


class _Refusal:
    """A server that answers 503."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._server = ThreadingHTTPServer(address, _RefusalHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _RefusalHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(503)
        for name, value in (("Access-Control-Allow-Origin", "*"), ("Content-Length", "0"), ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()

    do_HEAD = do_OPTIONS = do_GET

    def log_message(self, *_: object) -> None:
        """Says nothing: it is meant to refuse."""


def find_port(hosts: Iterable[str]) -> int:
    """A port that is free on all of these addresses. Raises NetworkError."""
    first, *others = hosts
    for _ in range(_PORT_TRIES):
        port = _bind(first, 0)
        if port is not None and all(_bind(host, port) is not None for host in others):
            return port
    raise NetworkError(f"no port is free on all of {', '.join([first, *others])}")


def _bind(host: str, port: int) -> int | None:
    """The port bound for a moment, None if it is taken. Raises NetworkError if the address is not to be had."""
    with socket.socket() as trial:
        try:
            trial.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise NetworkError(
                f"{host} cannot be used: {error.strerror}. Each appliance needs a loopback address of its own; "
                f"Linux has them all, macOS after `sudo ifconfig lo0 alias {host} up`"
            ) from error
        return int(trial.getsockname()[1])


def _by_name(told: Any) -> dict[str, Any]:
    return {appliance["report"]["name"]: appliance for appliance in told["appliances"]}


def _knows(told: Any, entry: Entry) -> bool:
    return any((known["title"], known["package"]) == (entry.title, entry.package) for known in told["titles"])
