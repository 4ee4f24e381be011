"""How delivery is for those who are served: what players say with their requests, and what TCP measured of the way.

    worker: Notes --Noted, four times a second--> parent: Experience --> players and paths of a report

Players: how many sessions asked for something within 30 s, and how many of those said that they starved. A session that
says so with its first request starved elsewhere.

Paths: round trip and rate by the client's network, which is /24 or /48 as in the logs. The round trip is the least of
the last minutes (what is beyond it are queues, most of them in the client's own link), taken at most once a second of a
connection; of a network the median of its last samples.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from statistics import median_low
from typing import Any

from oca.crowd import Crowd, number
from oca.messages import Noted, Sample
from oca.report import MeasuredPath, Players

WINDOW_S = 30.0
# What a worker notes between two hand-overs; more of it would say nothing new.
_MOST_SAMPLES = 64
_MOST_SESSIONS = 256
# A session that the parent was told of need not be named again for so long.
_TOLD_FOR_S = 10.0
_MOST_TOLD = 8192
# Networks that wait for their report, and samples of each.
_MOST_NETWORKS = 1024
_MOST_OF_A_NETWORK = 9
# Networks a report names. Nine thousand reports a second reach a large fleet's steering, and a way changes slowly.
PATHS_OF_A_REPORT = 2


class Notes:
    """Of one worker. It stands in the way of answers, so it does next to nothing."""

    def __init__(self) -> None:
        self._heard: dict[int, str] = {}
        self._starved: dict[int, str] = {}
        self._samples: list[Sample] = []
        self._told: set[int] = set()
        self._before: set[int] = set()
        self._turned_at = 0.0

    def measured(self, network: str, rtt_us: int, rate_bps: int) -> None:
        if rtt_us and len(self._samples) < _MOST_SAMPLES:
            self._samples.append(Sample(network, rtt_us, rate_bps))

    def said(self, keys: Mapping[str, Any], client: str, network: str) -> None:
        """A player's CMCD; one that names no session is told by its address."""
        session = number(f"{network} {keys.get('sid') or client}")
        is_told = session in self._told
        # `sta=r`: it rebuffers at this moment (CTA-5004-B).
        is_starved = keys.get("bs") is True or keys.get("sta") == "r"
        if is_starved and (is_told or session in self._before) and len(self._starved) < _MOST_SESSIONS:
            self._starved[session] = network
        if not is_told and len(self._told) < _MOST_TOLD and len(self._heard) < _MOST_SESSIONS:
            self._told.add(session)
            self._heard[session] = network

    def take(self, now: float) -> Noted | None:
        """What there is to hand over, None if nothing."""
        if now - self._turned_at > _TOLD_FOR_S:
            self._before, self._told, self._turned_at = self._told, set(), now
        if not (self._heard or self._starved or self._samples):
            return None
        noted = Noted(self._heard, self._starved, self._samples)
        self._heard, self._starved, self._samples = {}, {}, []
        return noted


class Experience:
    """Of the appliance, from the notes of all workers."""

    def __init__(self) -> None:
        self._sessions, self._witnesses, self._starved = Crowd(WINDOW_S), Crowd(WINDOW_S), Crowd(WINDOW_S)
        self._samples: dict[str, list[Sample]] = {}

    def add(self, noted: Noted, now: float) -> None:
        for session, network in noted.heard.items():
            self._sessions.add(session, session, now)  # as if each had a network of its own: all are counted
            self._witnesses.add(session, number(network), now)
        for session, network in noted.starved.items():
            self._starved.add(session, number(network), now)
        for sample in noted.samples:
            of_network = self._samples.get(sample.network)
            if of_network is None:
                if len(self._samples) >= _MOST_NETWORKS:
                    continue
                of_network = self._samples[sample.network] = []
            of_network.append(sample)
            del of_network[:-_MOST_OF_A_NETWORK]

    def players(self, now: float) -> Players | None:
        """None where no player says anything."""
        witnesses = self._witnesses.sessions(now)
        if not witnesses:
            return None
        starved = min(witnesses, self._starved.sessions(now))
        sessions = max(witnesses, self._sessions.sessions(now))
        return Players(sessions, witnesses, starved, self._starved.networks(now))

    def take_paths(self) -> dict[str, MeasuredPath]:
        """Those of the networks that wait longest: so each has its turn, whoever is busy."""
        next_ones = list(islice(self._samples, PATHS_OF_A_REPORT))
        return {network: _path(self._samples.pop(network)) for network in next_ones}


def _path(samples: list[Sample]) -> MeasuredPath:
    rates = [sample.rate_bps for sample in samples if sample.rate_bps]
    rtt_us = median_low(sample.rtt_us for sample in samples)
    return MeasuredPath(rtt_us, median_low(rates) if rates else 0, len(samples))
