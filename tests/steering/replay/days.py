"""A stretch of time in which a real director sends sessions to a few appliances, with journal and log."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from config.progress import Reporter
from config.steering import SteeringSettings
from steering.catalog import Title
from steering.decisions import decided
from steering.director import Director
from steering.journal.following import Follower
from steering.journal.segments import Journal
from steering.replay.change import Change
from steering.replay.compare import compare
from steering.replay.outcome import Outcome
from tests.steering.conftest import Clock
from tests.steering.journal.worlds import holding, title
from tests.steering.values import GIGABIT, NORTH, SOUTH, report

START = 1.8e9  # seconds since the epoch
REPORT_EVERY_S = 2
# What a whole session of the film takes, so that an appliance of 100 Mbit/s is full of some 60.
FILM = title("film", duration=60.0)
IN_NORTH, IN_SOUTH, NOWHERE = "127.0.0.9", "127.128.0.9", "10.1.2.3"


class Day:
    def __init__(self, folder: Path, *, capacity_bps: int = GIGABIT, **settings: Any) -> None:
        self.journal, self.log = folder / "journal", folder / "decisions.log"
        self.settings = SteeringSettings(**{"sites": (NORTH, SOUTH), "pathways": 2, **settings})
        self.clock = Clock()
        self.clock.now = START
        self.director = Director(self.settings, self.clock, self.clock)
        self.director.catalog.titles = {"film": FILM}
        self.follower = Follower(
            self.settings, self.journal, self.director.fleet, self.director.catalog, self.director.paths, self.clock,
            epoch=self.clock, routes=lambda: self.director.network.routes,
        )  # fmt: skip
        self.capacity_bps = capacity_bps
        self.appliances = {"n1": "north", "n2": "north", "s1": "south"}
        self.silent: set[str] = set()
        self.serving: Counter[str] = Counter()
        self._ends: list[tuple[float, str, int]] = []
        self._sequence = 0
        self.log.touch()

    async def begin(self) -> None:
        """Everybody reports, and those that the director does not know yet are trusted."""
        await self.later(10)

    async def later(self, seconds: int, plays: int = 0, client: str = IN_NORTH, title: Title = FILM) -> None:
        """So many sessions begin in each second."""
        for _ in range(seconds):
            self.clock.now += 1
            if int(self.clock.now) % REPORT_EVERY_S == 0:
                self._report()
            await self.follower.look()
            for number in range(plays):
                self.play(f"{self.clock.now:.0f}-{number}", client, title)

    def play(self, session: str, client: str, title: Title = FILM) -> str:
        """The first pathway that the session is told."""
        decision = self.director.play(title.entry.title, client, session, int(self.clock.now)).decision
        line = msgspec.json.encode(decided(decision, "hls", "", self.clock.now))
        self.write(self.log.read_bytes() + line + b"\n")
        first = decision.first.name
        self.serving[first] += title.nominal_bps
        self._ends.append((self.clock.now + title.entry.duration, first, title.nominal_bps))
        return first

    def write(self, log: bytes) -> None:
        self.log.write_bytes(log)
        os.utime(self.log, (self.clock.now, self.clock.now))

    async def replay(self, change: Change | None = None, since: float = 0.0, until: float = float("inf")) -> Outcome:
        await self.follower.close()
        return compare(
            Journal(self.journal), [self.log], since, until, change or Change(), Reporter(quiet=True)
        )  # fmt: skip

    def _report(self) -> None:
        for ended in [one for one in self._ends if one[0] <= self.clock.now]:
            self._ends.remove(ended)
            self.serving[ended[1]] -= ended[2]
        self._sequence += 1
        for name, site in self.appliances.items():
            if name not in self.silent:
                self.director.take(
                    report(
                        name, site=site, sequence=self._sequence, capacity_bps=self.capacity_bps,
                        serving_bps=self.serving[name], held=holding(FILM),
                    )
                )  # fmt: skip
