"""Who is measured: how each is started on the same files, and what of it is and is not like the others.

A subject is a value; started, it is a Server with a URL for each path and a program whose CPU and memory are read. One
that is not installed is named as missing and left out. Debian's names and places are tried first, then the PATH.

Every subject that counts as "one worker" runs on one core, whatever threads it has; the load comes from the others.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.delivery import configurations
from bench.delivery.cases import Scheme
from bench.delivery.certificate import Certificate
from bench.delivery.compiled import compile_program
from bench.delivery.configurations import ENDLESS_REQUESTS, NGINX_VARIANTS, ORIGIN_LINES, Listening
from bench.delivery.content import Content
from bench.delivery.programs import Program, Usage
from bench.delivery.result import BARE, NGINX, OURS
from bench.delivery.tokens import key_set
from bench.fleet import find_port

HTTP: tuple[Scheme, ...] = ("http",)
BOTH: tuple[Scheme, ...] = ("http", "https")
# What is left of a cache's memory for more than the files themselves.
_CACHE_FACTOR = 1.25
# nginx's and our unit of a miss; 1 MiB is what its manual uses.
_SLICES = {"1m": 1024 * 1024, "4m": 4 * 1024 * 1024}
# What the bare loop lets wait unsent; 0 is the system's limit (net.ipv4.tcp_notsent_lowat).
_UNSENT = {"plain": 0, "16k": 16 * 1024, "128k": 128 * 1024}
_OUR_LOG = "access.log"


@dataclass(frozen=True)
class Ground:
    """What every subject is started on."""

    folder: Path  # for what servers write, a folder each
    content: Content
    certificate: Certificate | None  # None: no TLS
    secret: bytes  # of our token's key
    token: str
    origin: str = ""  # URL that caches in front of an origin fetch from
    descriptors: int = 1024  # that a process may have


@dataclass
class Server:
    """A subject that runs."""

    name: str
    program: Program
    listening: Listening
    prefix: str = ""  # of every path: our token
    log: Path | None = None

    def path(self, path: str) -> str:
        return self.prefix + path

    def url(self, scheme: Scheme, path: str) -> str:
        port = self.listening.tls_port if scheme == "https" else self.listening.port
        return f"{scheme}://127.0.0.1:{port}{self.path(path)}"

    def usage(self) -> Usage:
        return self.program.usage()

    def trim_log(self) -> None:
        """A log of a hundred thousand lines a second would fill the disk; it is opened with O_APPEND."""
        if self.log is not None and self.log.exists():
            os.truncate(self.log, 0)

    def stop(self) -> None:
        self.program.stop()


Start = Callable[[Ground, Path, frozenset[int]], Server]


@dataclass(frozen=True)
class Subject:
    name: str
    family: str  # of several configurations of one program the best counts
    start: Start = field(repr=False)
    schemes: tuple[Scheme, ...] = HTTP
    cores: int = 1
    note: str = ""

    def begin(self, ground: Ground, cores: frozenset[int], label: str = "") -> Server:
        """Starts it in a folder of its own. Raises ProcessFailed."""
        folder = ground.folder / f"{self.name}{label}"
        folder.mkdir(parents=True)
        server = self.start(ground, folder, cores)
        try:
            server.program.await_port(server.listening.port)
        except BaseException:
            server.stop()
            raise
        return server


@dataclass(frozen=True)
class Found:
    subjects: list[Subject]
    pulling: list[Subject]  # started empty, they fetch from the ground's origin
    missing: list[str]


def find_subjects(folder: Path, cores: int) -> Found:
    """Everybody that is installed; `folder` gets what has to be compiled. Raises BenchError."""
    nginx, varnish = _program("nginx"), _program("varnishd")
    caddy, ats = _program("caddy"), _program("traffic_server")
    note = "a token in every request, access log and metrics on"
    subjects = [Subject("nearcast-1", OURS, _nearcast(1), BOTH, note=note)]
    if cores > 1:
        subjects.append(
            Subject(
                f"nearcast-{cores}", f"{OURS}-{cores}", _nearcast(cores), BOTH, cores=cores, note="no core of its own"
            )
        )
    if nginx:
        subjects += [
            Subject(f"nginx-{name}", NGINX, _nginx(nginx, lines), BOTH, note=" ".join(lines))
            for name, lines in NGINX_VARIANTS.items()
        ]
    if varnish:
        subjects.append(Subject("varnish", "varnish", _varnish(varnish), note="threads, all on one core"))
    if caddy:
        subjects.append(Subject("caddy", "caddy", _caddy(caddy), BOTH, note="GOMAXPROCS=1; no access log"))
    if ats:
        subjects.append(Subject("ats", "ats", _ats(ats), BOTH, note="one event thread; no access log"))
    subjects += _bare(folder)
    pulling = [Subject("nearcast-pull", OURS, _nearcast(1, holds=False))]
    if nginx:
        pulling += [Subject(f"nginx-slice-{name}", NGINX, _nginx_slices(nginx, size)) for name, size in _SLICES.items()]
    programs = {"nginx": nginx, "varnish": varnish, "caddy": caddy, "trafficserver": ats}
    return Found(subjects, pulling, [name for name, path in programs.items() if not path])


def start_origin(ground: Ground, cores: frozenset[int]) -> tuple[Server, Path | None]:
    """What caches fetch from, and its log of what was fetched: nginx, or one of our appliances where there is none.

    nginx, because it is the faster of the two that can log what it sent, and the same for all.
    """
    nginx = _program("nginx")
    if nginx:
        origin = Subject("origin", NGINX, _nginx(nginx, ORIGIN_LINES)).begin(ground, cores)
        return origin, origin.program.folder / "fetched.log"
    return Subject("origin", OURS, _nearcast(1)).begin(ground, cores), None


def start_far(ground: Ground, origin: Server, delay_s: float, cores: frozenset[int]) -> Server:
    """The origin, `delay_s` away."""
    listening = Listening(_free_port())
    folder = ground.folder / "far"
    folder.mkdir()
    words = [str(listening.port), str(origin.listening.port), str(delay_s)]
    program = Program("far", folder, [sys.executable, "-m", "bench.delivery.far", *words])
    program.start(cores)
    program.await_port(listening.port)
    return Server("far", program, listening)


# Ours


def _nearcast(workers: int, *, holds: bool = True) -> Start:
    def start(ground: Ground, folder: Path, cores: frozenset[int]) -> Server:
        listening = _listening(ground)
        if holds:
            ground.content.link_volume(folder / "volume")
        keys = folder / "keys.json"
        keys.write_text(key_set(ground.secret))
        options = {
            "name": "bench",
            "site": "bench",
            "state": str(folder),
            "volume": str(folder / "volume"),
            "listen": f"127.0.0.1:{listening.port}",
            "admin": "127.0.0.1:0",
            "workers": str(workers),
            "idle-limit": "1h",
            "drain-limit": "1s",
            "origin": "" if holds else ground.origin,
            "requests-per-connection": str(ENDLESS_REQUESTS),
            "token-keys": str(keys),
        }
        if listening.tls_port and ground.certificate:
            options |= {"tls-listen": f"127.0.0.1:{listening.tls_port}", "certificates": str(ground.certificate.folder)}
        words = [word for name, value in options.items() if value for word in (f"--{name}", value)]
        program = Program("nearcast", folder, [sys.executable, "-m", "oca", "serve", *words])
        program.start(cores)
        return Server("nearcast", program, listening, f"/t/{ground.token}", folder / _OUR_LOG)

    return start


# Peers


def _nginx(executable: str, lines: tuple[str, ...]) -> Start:
    def start(ground: Ground, folder: Path, cores: frozenset[int]) -> Server:
        return _start_nginx(executable, ground, folder, cores, lines, (f"root {ground.content.root};",))

    return start


def _nginx_slices(executable: str, slice_bytes: int) -> Start:
    def start(ground: Ground, folder: Path, cores: frozenset[int]) -> Server:
        room = 2 * sum(ground.content.sizes.values())
        lines, location = configurations.nginx_slices(slice_bytes, ground.origin, room)
        return _start_nginx(executable, ground, folder, cores, tuple(lines), tuple(location))

    return start


def _start_nginx(
    executable: str,
    ground: Ground,
    folder: Path,
    cores: frozenset[int],
    lines: tuple[str, ...],
    location: tuple[str, ...],
) -> Server:
    listening = _listening(ground)
    text = configurations.nginx(
        str(folder),
        listening,
        lines=lines,
        location=location,
        descriptors=ground.descriptors,
        user="root" if os.geteuid() == 0 else "",
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    program = Program("nginx", folder, [executable, "-p", str(folder), "-c", str(configuration)])
    program.start(cores)
    return Server("nginx", program, listening, log=folder / "access.log")


def _varnish(executable: str) -> Start:
    def start(ground: Ground, folder: Path, cores: frozenset[int]) -> Server:
        listening = Listening(_free_port())
        vcl = folder / "bench.vcl"
        vcl.write_text(configurations.varnish_vcl(ground.origin))
        memory = _cache_bytes(ground)
        words = configurations.varnish_arguments(str(folder / "n"), str(vcl), listening, memory)
        program = Program("varnish", folder, [executable, *words])
        program.start(cores)
        return Server("varnish", program, listening)

    return start


def _caddy(executable: str) -> Start:
    def start(ground: Ground, folder: Path, cores: frozenset[int]) -> Server:
        listening = _listening(ground)
        configuration = folder / "Caddyfile"
        configuration.write_text(configurations.caddyfile(str(folder), str(ground.content.root), listening))
        environment = {"GOMAXPROCS": "1", "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        words = ["run", "--adapter", "caddyfile", "--config", str(configuration)]
        program = Program("caddy", folder, [executable, *words], environment)
        program.start(cores)
        return Server("caddy", program, listening)

    return start


def _ats(executable: str) -> Start:
    def start(ground: Ground, folder: Path, cores: frozenset[int]) -> Server:
        listening = _listening(ground)
        memory = _cache_bytes(ground)
        files = configurations.ats_files(
            str(folder), ground.origin, listening, memory_bytes=memory, disk_bytes=memory,
            descriptors=ground.descriptors,
        )  # fmt: skip
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "cache").mkdir()
        program = Program("ats", folder, [executable, f"--run-root={folder / 'runroot.yaml'}"])
        program.start(cores)
        return Server("ats", program, listening)

    return start


def _bare(folder: Path) -> list[Subject]:
    """The limit, with each of two bounds of what is unsent."""
    executable = compile_program("bare", folder)
    command = [str(executable)] if executable else [sys.executable, "-m", "bench.delivery.bare"]
    how = "epoll and sendfile in C" if executable else "epoll and sendfile in Python, as there is no C compiler"

    def starting(unsent_bytes: int) -> Start:
        def start(ground: Ground, own: Path, cores: frozenset[int]) -> Server:
            listening = Listening(_free_port())
            words = [str(ground.content.root), str(listening.port), str(unsent_bytes)]
            program = Program("bare", own, [*command, *words])
            program.start(cores)
            return Server("bare", program, listening)

        return start

    return [Subject(f"bare-{name}", BARE, starting(unsent), note=how) for name, unsent in _UNSENT.items()]


def _cache_bytes(ground: Ground) -> int:
    return int(sum(ground.content.sizes.values()) * _CACHE_FACTOR) + 256 * 1024 * 1024


def _listening(ground: Ground) -> Listening:
    certificate = ground.certificate
    if certificate is None:
        return Listening(_free_port())
    return Listening(_free_port(), _free_port(), str(certificate.chain), str(certificate.key))


def _free_port() -> int:
    return find_port(["127.0.0.1"])


def _program(name: str) -> str:
    """Where it is; Debian keeps daemons where only root's PATH looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin") or ""
