"""What a run stands on: the files, the origin, the subjects that are up, and the cores that each may use.

A subject that cannot be started, or that answers with anything but the file, is noted and left out; ours failing is the
end of the run. On two cores a subject has one and the load has the other.
"""

from __future__ import annotations

import dataclasses
import http.client
import os
import resource
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from bench.delivery.certificate import make_certificate
from bench.delivery.content import make_content
from bench.delivery.plan import Plan, file_name
from bench.delivery.result import OURS
from bench.delivery.subjects import Ground, Server, Subject, find_subjects, start_far, start_origin
from bench.delivery.tokens import make_token
from bench.errors import BenchError
from config.progress import Reporter

# Longer than the longest run: 30 cases, 12 subjects, 20 rounds of 60 seconds are five days.
_TOKEN_VALID_S = 7 * 24 * 3600
_WARM_LIMIT_S = 60.0
# The first fills a cache, the second tells it that the file is worth keeping in memory; one more for good measure.
_WARMING_GETS = 3
# A round trip to an origin on the same continent.
FAR_DELAY_S = 0.05
_PIECE_BYTES = 1024 * 1024


class Stage:
    """Opened by a `with`; everything that was started ends with it."""

    def __init__(self, plan: Plan, folder: Path, note: Callable[[str], None], reporter: Reporter) -> None:
        self.folder = folder
        self.servers: dict[str, Server] = {}  # those that stay up
        self._plan, self._note, self._reporter = plan, note, reporter
        self._stack = ExitStack()
        self._starts = 0
        cores = sorted(os.sched_getaffinity(0))
        self.all_cores = frozenset(cores)
        self._one_core = frozenset(cores[:1])
        self.load_cores = frozenset(cores[1:]) or self._one_core
        if len(cores) == 1:
            note("there is one core: load and subjects share it, and all results are low")

    def __enter__(self) -> Stage:
        with ExitStack() as undo:
            undo.push(self._stack)
            self._set_up()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _set_up(self) -> None:
        """Files, origin, and the subjects that stay up. Raises BenchError."""
        plan = self._plan
        found = find_subjects(self.folder, len(self.all_cores))
        self.subjects, self.pulling = self._chosen(found.subjects), self._chosen(found.pulling)
        if not self.subjects and not self.pulling:
            names = ", ".join(one.name for one in (*found.subjects, *found.pulling))
            raise BenchError(f"nobody is called {','.join(plan.subjects)}; there are {names}")
        for name in found.missing:
            self._note(f"{name} is not installed and not measured (on Debian: make bench-peers)")
        self._reporter.say("making the files")
        self.content = make_content(self.folder / "content", plan.sizes())
        self.content.warm()
        secret = secrets.token_bytes(32)
        is_secure = any(case.scheme == "https" for case in plan.cases)
        self._ground = Ground(
            folder=self.folder / "subjects",
            content=self.content,
            certificate=make_certificate(self.folder / "certificates") if is_secure else None,
            secret=secret,
            token=make_token(secret, int(time.time()) + _TOKEN_VALID_S),
            descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )
        self._origin, self._origin_log = start_origin(self._ground, self.all_cores)
        self._stack.callback(self._origin.stop)
        self._ground = dataclasses.replace(self._ground, origin=f"http://127.0.0.1:{self._origin.listening.port}")
        contents = [case.content for case in plan.cases if case.kind == "throughput"]
        if contents:
            self._reporter.say("starting " + ", ".join(subject.name for subject in self.subjects))
            for subject in self.subjects:
                self._bring_up(subject, contents)

    def _chosen(self, subjects: Sequence[Subject]) -> list[Subject]:
        return [one for one in subjects if any(fnmatchcase(one.name, pattern) for pattern in self._plan.subjects)]

    def _bring_up(self, subject: Subject, contents: Sequence[str]) -> None:
        try:
            server = subject.begin(self._ground, self.cores_of(subject))
            self._stack.callback(server.stop)
            self.warm(server, contents)
        except BenchError as error:
            if subject.family.startswith(OURS):
                raise
            self._note(f"{subject.name} is not measured: {error}")
        else:
            self.servers[subject.name] = server

    def cores_of(self, subject: Subject) -> frozenset[int]:
        return self._one_core if subject.cores == 1 else self.all_cores

    # Cold starts

    @contextmanager
    def fresh(self, subject: Subject, *, is_far: bool = False) -> Iterator[Server]:
        """The subject, started anew in a folder that goes with it; `is_far` is where its origin is then."""
        self._starts += 1
        label = f"-{self._starts}"
        with ExitStack() as stack:
            ground = self._ground
            if is_far:
                relay = start_far(ground, self._origin, FAR_DELAY_S, self.load_cores)
                stack.callback(shutil.rmtree, relay.program.folder)
                stack.callback(relay.stop)
                ground = dataclasses.replace(ground, origin=f"http://127.0.0.1:{relay.listening.port}")
            stack.callback(shutil.rmtree, ground.folder / f"{subject.name}{label}", ignore_errors=True)
            server = subject.begin(ground, self.cores_of(subject), label)
            stack.callback(server.stop)
            yield server

    # Asking once

    def warm(self, server: Server, contents: Sequence[str]) -> None:
        """Has it answer for every file until a cache must have it. Raises BenchError if it has not."""
        for content in dict.fromkeys(contents):
            for _ in range(_WARMING_GETS):
                self.get(server, content)
            self.forget_fetched()
            self.get(server, content)
            if self.fetched():
                raise BenchError(f"{server.name} does not keep {content}, but asks its origin each time")

    def get(self, server: Server, content: str) -> None:
        """Raises BenchError if the answer is not the file."""
        name = file_name(content)
        expected = self.content.sizes[name]
        connection = http.client.HTTPConnection("127.0.0.1", server.listening.port, timeout=_WARM_LIMIT_S)
        try:
            connection.request("GET", server.path(self.content.path(name)))
            answer = connection.getresponse()
            size = 0
            while piece := answer.read(_PIECE_BYTES):
                size += len(piece)
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"{server.name} does not answer for {name}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if (answer.status, size) != (200, expected):
            raise BenchError(
                f"{server.name} answered {answer.status} with {size} bytes for {name}, expected 200 with {expected}"
            )

    # What the origin was asked for

    def forget_fetched(self) -> None:
        if self._origin_log is not None:
            os.truncate(self._origin_log, 0)

    def fetched(self) -> int:
        """Bytes that the origin has sent since; 0 where it does not tell."""
        return fetched_bytes(self._origin_log.read_text()) if self._origin_log is not None else 0

    @property
    def origin_tells(self) -> bool:
        return self._origin_log is not None


def fetched_bytes(log: str) -> int:
    """Bytes of bodies in the origin's log: "status bytes range path" a line."""
    return sum(int(line.split()[1]) for line in log.splitlines() if line.startswith("2"))
