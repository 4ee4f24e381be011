"""The bytes of each ISP, site and title by reason, and of each file that was missed: sums, and nothing that grows.

Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from fill.ledger.join import Entry
from fill.ledger.reasons import MISSES, Reason
from fill.names import FileName

_HOUR_S = 3600


class By(StrEnum):
    """What a table of the ledger has a row for."""

    ISP = "isp"
    SITE = "site"
    TITLE = "title"


class Account(NamedTuple):
    """The bytes that the clients of an ISP or site got, or that were sent of a title."""

    name: str
    bytes: Mapping[Reason, int]

    @property
    def total(self) -> int:
        return sum(self.bytes.values())

    @property
    def missed(self) -> int:
        return sum(self.bytes.get(reason, 0) for reason in MISSES)

    @property
    def offload(self) -> float:
        """The share that was served at the nearest site; of nothing 0."""
        return 1 - self.missed / self.total if self.total else 0.0


class _Subject(NamedTuple):
    isp: str
    site: str
    title: str


class Accounts:
    def __init__(self, since: Mapping[str, float] | None = None) -> None:
        """`since`: site -> the moment from which it is accounted for; without one, all that is added is."""
        self._since = since or {}
        self._sent: defaultdict[_Subject, Counter[Reason]] = defaultdict(Counter)
        self._files: defaultdict[str, Counter[FileName]] = defaultdict(Counter)  # site -> missed content
        self._hours: defaultdict[str, Counter[int]] = defaultdict(Counter)  # site -> missed capacity

    def add(self, entries: Iterable[Entry]) -> None:
        for answer, isp, site, reason in entries:
            if answer.time < self._since.get(site, 0.0):
                continue
            self._sent[_Subject(isp, site, answer.title)][reason] += answer.bytes
            if reason is Reason.CONTENT:
                self._files[site][FileName(answer.title, answer.file)] += answer.bytes
            elif reason is Reason.CAPACITY:
                self._hours[site][int(answer.time // _HOUR_S)] += answer.bytes

    @property
    def whole(self) -> Account:
        return Account("", sum(self._sent.values(), Counter[Reason]()))

    def table(self, by: By) -> list[Account]:
        """What was missed most first; what belongs to no known ISP or site is under ""."""
        sums: defaultdict[str, Counter[Reason]] = defaultdict(Counter)
        for subject, sent in self._sent.items():
            sums[getattr(subject, by.value)].update(sent)
        accounts = [Account(name, sent) for name, sent in sums.items()]
        return sorted(accounts, key=lambda account: (-account.missed, account.name))

    def missed_content(self, site: str) -> Mapping[FileName, int]:
        """Bytes of each file that the site had to fetch for its viewers."""
        return self._files.get(site, {})

    def missed_capacity(self, site: str) -> Mapping[int, int]:
        """Bytes that the site was too full for, by hour (since the epoch)."""
        return self._hours.get(site, {})
