"""Joins what was sent to viewers with the decisions that sent them there, so that each byte has one place and reason.

A decision is found by the session, where the player gives steering's session as its CMCD `sid`; else by the client's
network (/24 or /48) and the title; else by the network alone, which still tells its nearest site. Among several it is
the newest that was made before the answer and names the appliance that gave it. A poll that sent a session elsewhere
is good for as long as it says, and then the session's beginning counts again.

Lines come late and in any order, from as many logs as there are appliances. So an answer waits until all decisions
before it are likely to be known (`settle`), and is then settled once and for all: with the decision, or as unknown.
What waits and what is remembered is bounded; beyond that the oldest answers are settled early, and the oldest decisions
forgotten. No answer is ever dropped.

An answer that the nearest site's appliance had to fetch something for counts as missed content with all its bytes,
though a part of it may have been there: the log does not say. But appliances fetch once what many ask for at once, so
only the first such answer to a piece counts within the time that such a fetch may take.

Pure.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import NamedTuple

from fill.feed.records import OWN_AGENT, is_content, is_sent, read_record
from fill.ledger.reasons import Reason
from steering.appliances.fleet import ORIGIN
from steering.decisions import Decided

# Longer than a film with its pauses; a session that goes on is found by its network all the same.
SESSION_S = 4 * 3600.0
# Logs are flushed each second, clocks agree within some more, and the ledger is to be right within a minute.
LATENESS_S = 30.0
# An appliance's clock may be behind steering's by so much: its first answer then seems to come before the decision.
CLOCK_SLACK_S = 5.0
# A fetch for several viewers at once takes no longer; a block that is fetched again later was not held.
SHARED_FETCH_S = 60.0
MOST_WAITING = 200_000
MOST_KNOWN = 500_000
# Of one session, or of one network and title, so many decisions are compared.
_MOST_COMPARED = 32


class Answer(NamedTuple):
    """Bytes of a file that were sent to a client, as an access log tells."""

    time: float  # seconds since the epoch
    appliance: str
    client: str
    title: str
    package: str
    file: str
    part: str
    bytes: int
    is_hit: bool
    session: str  # as the player said, "" if it said nothing


class Entry(NamedTuple):
    """What the ledger says of an answer: all its bytes, at one site, for one reason."""

    answer: Answer
    isp: str
    site: str  # the client's nearest, "" where none is known
    reason: Reason


def read_answer(line: bytes) -> Answer | None:
    """An access log's line as far as the ledger reads it; None if nobody but ourselves got a byte of content.

    What an appliance says instead of content (404, 503) has bytes as well, and is neither offload nor missed.
    """
    record = read_record(line)
    if record is None or not is_content(record) or not is_sent(record) or record.agent.startswith(OWN_AGENT):
        return None
    return Answer(
        record.time,
        record.appliance,
        record.client,
        record.title,
        record.package,
        record.file,
        record.part,
        record.bytes,
        record.hit,
        record.cmcd.sid if record.cmcd is not None else "",
    )


class Joiner:
    def __init__(
        self,
        sites: Mapping[str, str] | None = None,
        *,
        may_hold: Callable[[str, str], bool] = lambda title, site: True,
        most_waiting: int = MOST_WAITING,
        most_known: int = MOST_KNOWN,
    ) -> None:
        """`sites` (appliance -> site) are learnt from decisions as well. `may_hold` (title, site) is the policy."""
        self._sites = dict(sites or {})
        self._may_hold = may_hold
        self._most_waiting, self._most_known = most_waiting, most_known
        self._waiting: list[tuple[float, int, Answer]] = []  # a heap, oldest first
        self._number = count()  # two answers of one moment must not be compared further
        self._known: OrderedDict[tuple[str, ...], list[tuple[float, int, Decided]]] = OrderedDict()
        self._fetched: OrderedDict[tuple[str, str, str, str], float] = OrderedDict()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def known(self) -> int:
        """Sessions, networks and titles of which decisions are remembered."""
        return len(self._known)

    def decide(self, decided: Decided) -> None:
        for choice in decided.choices:
            self._sites[choice.name] = choice.site
        self._remember(("session", decided.session), decided)
        self._remember(("title", decided.client, decided.title), decided)
        self._remember(("network", decided.client), decided)

    def answer(self, answer: Answer) -> None:
        heapq.heappush(self._waiting, (answer.time, next(self._number), answer))

    def settle(self, until: float) -> Iterator[Entry]:
        """What is known of the answers up to this moment, and of older ones that came late."""
        while self._waiting and (self._waiting[0][0] <= until or len(self._waiting) > self._most_waiting):
            _, _, answer = heapq.heappop(self._waiting)
            yield self._entry(answer)

    def settle_all(self) -> Iterator[Entry]:
        return self.settle(float("inf"))

    def _remember(self, key: tuple[str, ...], decided: Decided) -> None:
        decisions = self._known.setdefault(key, [])
        insort(decisions, (decided.time, next(self._number), decided))
        del decisions[:-_MOST_COMPARED]
        self._known.move_to_end(key)
        if len(self._known) > self._most_known:
            self._known.popitem(last=False)

    def _entry(self, answer: Answer) -> Entry:
        decided = self._find(answer)
        if decided is None:
            return Entry(answer, "", "", Reason.UNKNOWN)
        return Entry(answer, decided.isp, decided.site, self._reason(answer, decided))

    def _find(self, answer: Answer) -> Decided | None:
        keys = (
            ("session", answer.session),
            ("title", answer.client, answer.title),
            ("network", answer.client),
        )
        for key in keys:
            good = [decided for _, _, decided in self._known.get(key, ()) if _is_good(decided, answer)]
            if good and key[-1]:
                return max(good, key=lambda decided: (_told(decided, answer.appliance), decided.time))
        return None

    def _reason(self, answer: Answer, decided: Decided) -> Reason:
        if not decided.site:
            return Reason.ROUTE
        if answer.appliance != ORIGIN and answer.appliance not in self._sites:
            return Reason.UNKNOWN
        if self._sites.get(answer.appliance, "") == decided.site:
            if answer.is_hit or self._is_shared(answer):
                return Reason.LOCAL
            return Reason.CONTENT if self._may_hold(answer.title, decided.site) else Reason.POLICY
        if decided.why:
            return Reason(decided.why) if decided.why in _WHYS else Reason.UNKNOWN
        # Steering named the nearest site first, and the player went elsewhere: it did not answer as it should.
        return Reason.HEALTH

    def _is_shared(self, answer: Answer) -> bool:
        """Whether this is a piece that the appliance was fetching already when it was asked for it."""
        key = answer.appliance, answer.package, answer.file, answer.part
        began = self._fetched.get(key)
        if began is not None and answer.time - began < SHARED_FETCH_S:
            return True
        self._fetched[key] = answer.time
        self._fetched.move_to_end(key)
        if len(self._fetched) > self._most_known:
            self._fetched.popitem(last=False)
        return False


def _is_good(decided: Decided, answer: Answer) -> bool:
    age = answer.time - decided.time
    return -CLOCK_SLACK_S <= age <= (decided.holds_s or SESSION_S)


def _told(decided: Decided, appliance: str) -> int:
    """How well a decision explains that this appliance was asked."""
    if decided.first == appliance:
        return 2
    return int(any(choice.name == appliance for choice in decided.choices))


_WHYS = {str(reason) for reason in Reason}
