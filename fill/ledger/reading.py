"""Reads the logs that the ledger is made of, from a moment on or as they are written, each line once.

All logs are read side by side in the order of their times, so what waits in memory is a matter of seconds however long
the logs are. A line that is out of its order holds nothing up: a log is as far as the earliest of its next lines.

A log is read once whatever it is called by then (logs.py). A line that is there again in another log (shipped twice,
cut in two, joined) is passed over if it is met among the `_REMEMBERED` lines that were read last: so where logs are
read side by side, but not in a log that comes hours later while it follows, nor in one that is read in another turn
since there are more than can be open.

What is told of the future was told by a clock that is ahead: up to a day it counts as of now, beyond that not at all.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec

from fill.errors import LogError
from fill.feed.logs import Log, find_logs, identify, longest, read_lines
from fill.feed.records import LARGEST_OFFSET_S, read_record
from fill.ledger.accounts import Accounts
from fill.ledger.join import LATENESS_S, SESSION_S, Answer, Joiner, read_answer
from steering.decisions import Decided

# Each log that is read is an open file; more than these are read after the others.
_MOST_OPEN = 256
# Lines between looks at what can be settled.
_SETTLE_EVERY = 1000
# Lines of a log that are looked at together to tell how far it is; fewer are out of their order in a row.
_TOGETHER = 16
# Lines of access logs that are known again: some 50 MB.
_REMEMBERED = 500_000

_Line = TypeVar("_Line", Decided, Answer)
_decisions = msgspec.json.Decoder(Decided)


@dataclass
class Seen:
    """What was read so far."""

    decisions: int = 0
    answers: int = 0  # to viewers, with bytes of content
    own: int = 0  # to ourselves, or without content
    repeated: int = 0  # there already
    future: int = 0
    broken: int = 0
    unreadable: dict[Path, str] = field(default_factory=dict)  # log -> why


class Ledger:
    """Accounts of what the logs say from `since` (seconds since the epoch) on."""

    def __init__(
        self,
        access_logs: Sequence[str],
        decision_logs: Sequence[str],
        since: float,
        joiner: Joiner | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self.accounts = accounts or Accounts()
        self.seen = Seen()
        self.joiner = joiner or Joiner()
        self._access_logs, self._decision_logs, self._since = access_logs, decision_logs, since
        self._read_to: dict[str, int] = {}  # mark -> bytes
        self._known = _Known(_REMEMBERED)

    def read(self, now: float) -> None:
        """Takes in what is new in the logs; what may still get a decision waits for the next time.

        A log that cannot be read is named in `seen` and passed over.
        """
        decisions = [
            _in_order(self._decided(log, now)) for log in self._logs(self._decision_logs, self._since - SESSION_S)
        ]
        answers = [_in_order(self._answered(log, now)) for log in self._logs(self._access_logs, self._since)]
        together = max(0, _MOST_OPEN - len(decisions))
        first, rest = answers[:together], answers[together:]
        groups = [rest[start : start + _MOST_OPEN] for start in range(0, len(rest), _MOST_OPEN)]
        newest = self._since
        for number, (time, line) in enumerate(chain(_merged([*decisions, *first]), *map(_merged, groups))):
            if isinstance(line, Decided):
                self.joiner.decide(line)
            else:
                self.joiner.answer(line)
            newest = max(newest, time)
            if number % _SETTLE_EVERY == 0:
                self.accounts.add(self.joiner.settle(newest - LATENESS_S))
        self.accounts.add(self.joiner.settle(now - LATENESS_S))

    def close(self) -> Accounts:
        """The accounts of all that was read: nothing more is waited for."""
        self.accounts.add(self.joiner.settle_all())
        return self.accounts

    def _logs(self, patterns: Iterable[str], since: float) -> list[Log]:
        """Those with something new. One that was last written before `since` says nothing of what was after."""
        found: list[Log] = []
        for path in find_logs(patterns):
            try:
                log = identify(path)
            except LogError as error:
                self.seen.unreadable[path] = str(error)
                continue
            if log is not None and log.written_at >= since:
                found.append(log)
        return [log for log in longest(found) if not log.is_read(self._read_to.get(log.mark, 0))]

    def _lines(self, log: Log) -> Iterator[bytes]:
        try:
            for piece in read_lines(log.path, self._read_to.get(log.mark, 0), mark=log.mark):
                self._read_to[log.mark] = piece.end
                if piece.line.strip():
                    yield piece.line
        except LogError as error:
            self.seen.unreadable[log.path] = str(error)

    def _decided(self, log: Log, now: float) -> Iterator[Decided]:
        for line in self._lines(log):
            try:
                decided = _decisions.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.seen.broken += 1
                continue
            if decided.time >= self._since - SESSION_S and not self._is_future(decided.time, now):
                self.seen.decisions += 1
                yield decided if decided.time <= now else msgspec.structs.replace(decided, time=now)

    def _answered(self, log: Log, now: float) -> Iterator[Answer]:
        for line in self._lines(log):
            answer = read_answer(line)
            if answer is None:
                is_broken = read_record(line) is None
                self.seen.broken += is_broken
                self.seen.own += not is_broken
            elif answer.time >= self._since and not self._is_future(answer.time, now):
                if self._known.add(line):
                    self.seen.answers += 1
                    yield answer if answer.time <= now else answer._replace(time=now)
                else:
                    self.seen.repeated += 1

    def _is_future(self, time: float, now: float) -> bool:
        is_future = time > now + LARGEST_OFFSET_S
        self.seen.future += is_future
        return is_future


class _Known:
    """Lines that were read, about as many as is said: the newer half of them, and the half before."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._newer: set[int] = set()
        self._older: set[int] = set()

    def add(self, line: bytes) -> bool:
        """Whether it is not known yet."""
        key = hash(line)  # 64 bits of SipHash, whose key no client knows
        if key in self._newer or key in self._older:
            return False
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, set()
        self._newer.add(key)
        return True


def _in_order(lines: Iterator[_Line]) -> Iterator[tuple[float, _Line]]:
    """Each line with the moment up to which its log is read by then: that of the earliest of it and the next ones."""
    ahead: deque[_Line] = deque()
    for line in lines:
        ahead.append(line)
        if len(ahead) == _TOGETHER:
            yield min(one.time for one in ahead), ahead.popleft()
    while ahead:
        yield min(one.time for one in ahead), ahead.popleft()


def _merged(logs: Iterable[Iterator[tuple[float, Decided | Answer]]]) -> Iterator[tuple[float, Decided | Answer]]:
    return heapq.merge(*logs, key=lambda timed: timed[0])
