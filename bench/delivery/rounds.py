"""Runs the cases: everybody in turn, round after round, and notes what was seen.

    for each case: round 1: a b c, round 2: c b a, ...        -> observations -> summaries, ratios

All subjects of the throughput cases run at once, and those that are not asked just then wait for a request; what is
measured cold, or by its memory, is started anew each time. What a subject cannot do is noted and left out: the failure
of one in one case does not end the run.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.delivery import wrk
from bench.delivery.cases import LOAD_SHARE, RANGE_BYTES, RANGES, Case, peak_name
from bench.delivery.compiled import compile_program
from bench.delivery.crowd import Crowd
from bench.delivery.crowd import Job as CrowdJob
from bench.delivery.downloads import Job, Piece, Report, download
from bench.delivery.machine import commit, machine, version
from bench.delivery.plan import LONE_PLAYERS, Plan, file_name, scaled
from bench.delivery.programs import run_client
from bench.delivery.result import BARE, NGINX, OURS, Delivery, Measured, Observation, best, ratios, summarize
from bench.delivery.stage import Stage
from bench.delivery.subjects import Server, Subject
from bench.errors import BenchError
from config.progress import Bar, Reporter

_DOWNLOAD_LIMIT_S = 120.0
_PACED_GRACE_S = 20.0


class Paced(msgspec.Struct, frozen=True):
    """What paced.c prints."""

    asked: int
    unfinished: int
    failed: int
    p50_s: float
    p99_s: float
    max_s: float


@dataclass
class Seen:
    """What has been seen so far."""

    observations: list[Observation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, subject: Subject, case: Case, **metrics: float) -> None:
        self.observations += [Observation(subject.name, case.name, metric, value) for metric, value in metrics.items()]

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def peak(self, subject: Subject, case: Case) -> float:
        """Median of requests a second in the throughput case that this one depends on; 0 if that was not measured."""
        found = best(summarize(self.observations), peak_name(case), "requests_per_s", [subject.name])
        return found.median if found else 0.0


def measure(plan: Plan, reporter: Reporter) -> Delivery:
    """Everything, from making the files to the ratios. Raises BenchError where we cannot be measured."""
    if not wrk.is_installed():
        raise BenchError("the load comes from wrk, which is not installed (on Debian: make bench-peers)")
    seen = Seen()
    plan, cuts = scaled(plan)
    seen.notes += cuts
    with (
        tempfile.TemporaryDirectory(prefix="nearcast-bench-") as folder,
        Stage(plan, Path(folder), seen.note, reporter) as stage,
    ):
        rounds = _Rounds(plan, stage, seen)
        with reporter.bar("measuring", rounds.steps()) as bar:
            rounds.run(bar)
        everybody = [*stage.subjects, *stage.pulling]
    results = summarize(seen.observations)
    measured = {one.subject for one in results}
    subjects = [
        Measured(one.name, one.family, one.note, version(one.family)) for one in everybody if one.name in measured
    ]
    families = {one.name: one.family for one in subjects}
    return Delivery(
        machine=machine(), commit=commit(), seconds=plan.seconds, rounds=plan.rounds, subjects=subjects,
        results=results, ratios=ratios(results, families, plan.cases), notes=seen.notes,
    )  # fmt: skip


class _Rounds:
    def __init__(self, plan: Plan, stage: Stage, seen: Seen) -> None:
        self._plan, self._stage, self._seen = plan, stage, seen
        self._paced: Path | None = None
        if any(case.kind == "latency" for case in plan.cases):
            self._paced = compile_program("paced", stage.folder)
            if self._paced is None:
                seen.note("no latencies: the open-loop client is in C, and there is no compiler")

    def steps(self) -> int:
        return self._plan.rounds * sum(len(self._taking_part(case)) for case in self._plan.cases)

    def run(self, bar: Bar) -> None:
        ways = {
            "throughput": self._throughput, "latency": self._latency, "crowd": self._crowd,
            "stampede": self._stampede, "pull": self._pull,
        }  # fmt: skip
        done = 0
        for case in self._plan.cases:
            subjects = self._taking_part(case)
            for number in range(self._plan.rounds):
                for subject in subjects if number % 2 == 0 else reversed(subjects):
                    bar.update(done, f"{case.name} {subject.name}")
                    try:
                        ways[case.kind](case, subject)
                    except BenchError as error:
                        self._seen.note(f"{case.name}: {subject.name} left out of a round: {error}")
                    done += 1

    def _taking_part(self, case: Case) -> list[Subject]:
        """Of nginx's configurations only the best so far where it is not throughput that is measured."""
        stage = self._stage
        if case.kind in ("stampede", "pull"):
            return stage.pulling
        if case.kind == "throughput":
            return [one for one in stage.subjects if one.name in stage.servers and case.scheme in one.schemes]
        if case.kind == "latency" and self._paced is None:
            return []
        alone = [one for one in stage.subjects if one.cores == 1]
        nginxes = [one for one in alone if one.family == NGINX]
        kept = max(nginxes, key=lambda one: self._seen.peak(one, case), default=None)
        alone = [one for one in alone if one.family != NGINX or one is kept]
        # The bare loop is a limit of throughput; what it keeps of a connection says nothing.
        return [one for one in alone if case.kind == "latency" or one.family != BARE]

    # Warm

    def _throughput(self, case: Case, subject: Subject) -> None:
        server = self._stage.servers[subject.name]
        url = server.url(case.scheme, self._path(case.content))
        is_ranges = case.content == RANGES
        script = wrk.script(range_bytes=RANGE_BYTES if is_ranges else 0, file_bytes=self._plan.big_bytes)
        server.trim_log()
        before = server.usage()
        cores = self._stage.load_cores if subject.cores == 1 else self._stage.all_cores
        said = self._drive(url, script, case.connections, cores)
        cpu_s = server.usage().cpu_s - before.cpu_s
        self._seen.add(
            subject,
            case,
            bytes_per_s=said.bytes / said.seconds,
            requests_per_s=said.requests / said.seconds,
            cpu_s_per_gb=cpu_s / (said.bytes / 1e9),
        )

    def _drive(self, url: str, script: str, connections: int, cores: frozenset[int]) -> wrk.Said:
        """What wrk says. Raises BenchError if any request failed, or nothing came."""
        file = self._stage.folder / "wrk.lua"
        file.write_text(script)
        words = wrk.command(url, file, connections=connections, threads=len(cores), seconds=self._plan.seconds)
        said = wrk.run(words, self._plan.seconds, cores)
        if said.failed or not said.bytes:
            raise BenchError(f"{said.failed} requests failed and {said.requests} did not")
        return said

    def _latency(self, case: Case, subject: Subject) -> None:
        """At 70 % of its own peak, which is more for who is faster; and at 70 % of the lower of ours and nginx's."""
        peak = self._seen.peak(subject, case)
        if not peak:
            raise BenchError("its peak was not measured")
        own = self._pace(case, subject, LOAD_SHARE * peak)
        self._seen.add(subject, case, p50_s=own.p50_s, p99_s=own.p99_s)
        compared = [self._seen.peak(one, case) for one in self._taking_part(case) if one.family in (OURS, NGINX)]
        if len(compared) == 2 and all(compared):
            same = self._pace(case, subject, LOAD_SHARE * min(compared))
            self._seen.add(subject, case, same_rate_p50_s=same.p50_s, same_rate_p99_s=same.p99_s)

    def _pace(self, case: Case, subject: Subject, rate: float) -> Paced:
        server, seconds = self._stage.servers[subject.name], self._plan.seconds
        server.trim_log()
        port = server.listening.port
        words = [str(self._paced), "127.0.0.1", str(port), f"{rate:.3f}", str(case.connections), str(seconds)]
        request = f"GET {server.path(self._path(case.content))} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        told = run_client(words, self._stage.load_cores, limit_s=seconds + _PACED_GRACE_S, stdin=request)
        paced = msgspec.json.decode(told, type=Paced)
        if paced.failed:
            raise BenchError(f"{paced.failed} of {paced.asked} requests failed")
        return paced

    # Fresh

    def _crowd(self, case: Case, subject: Subject) -> None:
        """Fast readers alone, then beside idle and slow connections; a fresh process, so that its memory tells."""
        stage, plan = self._stage, self._plan
        with stage.fresh(subject) as server:
            stage.warm(server, [case.content, "16K", "4M"])
            url, script = server.url("http", self._path(case.content)), wrk.script()
            alone = self._drive(url, script, case.connections, stage.load_cores)
            server.trim_log()
            before = server.usage()
            small, large = server.path(self._path("16K")), server.path(self._path("4M"))
            job = CrowdJob(server.listening.port, small, large, plan.idle, plan.slow)
            with Crowd(job, stage.load_cores) as crowd:
                crowd.await_idle()
                memory = server.usage().memory_bytes - before.memory_bytes
                crowd.become_slow()
                beside = self._drive(url, script, case.connections, stage.load_cores)
                kept = crowd.end()
            self._seen.add(
                subject,
                case,
                bytes_per_s_alone=alone.bytes / alone.seconds,
                bytes_per_s=beside.bytes / beside.seconds,
                idle_connection_bytes=memory / max(1, plan.idle),
                connections_kept=kept.kept / max(1, plan.idle + plan.slow),
            )

    # Cold

    def _stampede(self, case: Case, subject: Subject) -> None:
        """A few lone players, each with a cold file of its own, then all players at one cold file."""
        stage, plan = self._stage, self._plan
        with stage.fresh(subject, is_far=case.name.endswith("/far")) as server:
            stage.get(server, "16K")  # so the package is known; its other files are not here
            paths = [server.path(self._path(f"cold{number}")) for number in range(LONE_PLAYERS + 1)]
            many, *lone = ([Piece(path, 0, plan.stampede_bytes)] for path in paths)
            first_bytes = [self._download(server, [pieces]).first_bytes_s[0] for pieces in lone]
            stage.forget_fetched()
            report = self._download(server, [many] * plan.stampede_players)
            self._seen.add(
                subject,
                case,
                first_byte_one_s=statistics.median(first_bytes),
                first_byte_p50_s=statistics.median(report.first_bytes_s),
                first_byte_last_s=report.first_bytes_s[-1],
                **self._origin_share(plan.stampede_bytes),
            )

    def _pull(self, case: Case, subject: Subject) -> None:
        """Each player plays a film of its own, two pieces to a block, all of it cold."""
        stage = self._stage
        with stage.fresh(subject) as server:
            stage.get(server, "16K")
            paths = [server.path(self._path(f"film{number}")) for number in range(case.connections)]
            firsts = range(0, self._plan.pulled_bytes, RANGE_BYTES)
            players = [[Piece(path, first, first + RANGE_BYTES) for first in firsts] for path in paths]
            random.Random(1).shuffle(players)
            stage.forget_fetched()
            before = server.usage()
            report = self._download(server, players)
            cpu_s = server.usage().cpu_s - before.cpu_s
            self._seen.add(
                subject,
                case,
                bytes_per_s=report.bytes / report.seconds,
                cpu_s_per_gb=cpu_s / (report.bytes / 1e9),
                **self._origin_share(report.bytes),
            )

    def _download(self, server: Server, players: list[list[Piece]]) -> Report:
        """Raises BenchError if anything did not come whole."""
        report = download(Job(server.listening.port, players, _DOWNLOAD_LIMIT_S), self._stage.load_cores)
        if report.failed:
            raise BenchError(f"{report.failed} of {sum(map(len, players))} downloads failed")
        return report

    def _origin_share(self, size: int) -> dict[str, float]:
        """Bytes that the origin sent for each byte that was cold: 1 if everything was fetched once."""
        return {"origin_share": self._stage.fetched() / size} if self._stage.origin_tells else {}

    def _path(self, content: str) -> str:
        return self._stage.content.path(file_name(content))
