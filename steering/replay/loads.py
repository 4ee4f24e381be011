"""What appliances and sites had to serve over a time: on average, at most, and for how long appliances were full.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Load(NamedTuple):
    mean_bps: float
    peak_bps: int
    full_s: float  # took no new sessions; of a site 0


class _Account:
    """One appliance's or site's load: what it is now, and the sums up to `at`."""

    __slots__ = ("at", "bits", "bps", "capacity_bps", "full_s", "is_full", "peak_bps")

    def __init__(self, at: float) -> None:
        self.at = at
        self.bps = self.capacity_bps = self.peak_bps = 0
        self.bits = self.full_s = 0.0
        self.is_full = False

    def pass_time(self, now: float) -> None:
        took = now - self.at
        if took > 0:
            self.bits += self.bps * took
            self.full_s += took if self.is_full else 0.0
            # A load that lasted for no time was none.
            self.peak_bps = max(self.peak_bps, self.bps)
            self.at = now


class Loads:
    def __init__(self, since: float) -> None:
        self._since = since
        self._appliances: dict[str, _Account] = {}
        self._sites: dict[str, _Account] = {}
        self._site_of: dict[str, str] = {}

    def set(self, appliance: str, site: str, bps: int, capacity_bps: int, now: float, *, is_full: bool = False) -> None:
        """The appliance serves so much from now on."""
        account = self._appliances.get(appliance)
        if account is None:
            account = self._appliances[appliance] = _Account(max(now, self._since))
        before = self._site_of.get(appliance, site)
        if before != site:
            self._shift(before, -account.bps, -account.capacity_bps, now)
            self._shift(site, account.bps, account.capacity_bps, now)
        self._site_of[appliance] = site
        self._shift(site, bps - account.bps, capacity_bps - account.capacity_bps, now)
        account.pass_time(now)
        account.bps, account.capacity_bps, account.is_full = bps, capacity_bps, is_full

    def fill(self, appliance: str, now: float) -> None:
        """From now on it is full, until `set` says otherwise: by sessions that it does not serve yet."""
        account = self._appliances.get(appliance)
        if account is not None and not account.is_full:
            account.pass_time(now)
            account.is_full = True

    def end(self, now: float) -> None:
        for account in (*self._appliances.values(), *self._sites.values()):
            account.pass_time(now)

    @property
    def served_bits(self) -> float:
        """Up to the last `end`."""
        return sum(account.bits for account in self._appliances.values())

    def of_appliances(self) -> Mapping[str, Load]:
        return dict(self._loads(self._appliances))

    def of_sites(self) -> Mapping[str, Load]:
        return dict(self._loads(self._sites))

    def site_of(self, appliance: str) -> str:
        return self._site_of[appliance]

    def capacity_bps(self, appliance: str) -> int:
        return self._appliances[appliance].capacity_bps

    def site_capacity_bps(self, site: str) -> int:
        return self._sites[site].capacity_bps

    def _shift(self, site: str, bps: int, capacity_bps: int, now: float) -> None:
        account = self._sites.get(site)
        if account is None:
            account = self._sites[site] = _Account(max(now, self._since))
        account.pass_time(now)
        account.bps += bps
        account.capacity_bps += capacity_bps

    def _loads(self, accounts: Mapping[str, _Account]) -> Iterable[tuple[str, Load]]:
        for name, account in accounts.items():
            took = account.at - self._since
            yield name, Load(account.bits / took if took > 0 else 0.0, account.peak_bps, account.full_s)
