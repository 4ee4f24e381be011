"""The appliances as they stand: by name, by site, and in columns for whoever has to choose among them.

A session looks at some eight appliances of some three sites. As objects of their own they would be a hundred cache
lines, none of them in any cache at the size of a fleet. So what ranking compares is kept in columns by the appliances'
numbers, which those of one site have next to each other: of a cluster each column is one line, and who of it takes
sessions is one byte.

Pure.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from config.units import show_rate
from oca.report import Held
from steering.appliances.holdings import BLOCK, Holdings
from steering.draws import LEAST_WEIGHT, salt_of

# Sites that had nobody healthy and have again: so many are remembered for those who passed them over.
MOST_REVIVED = 64
# The places of the bits that are set in a byte.
OFFSETS = tuple(tuple(offset for offset in range(BLOCK) if byte >> offset & 1) for byte in range(1 << BLOCK))
_NOTHING_HELD: Held = {}


class Health(StrEnum):
    HEALTHY = "healthy"
    FULL = "full"  # takes no new sessions, keeps those it has
    STALLING = "stalling"  # its players wait
    DRAINING = "draining"  # is being emptied
    UNHEALTHY = "unhealthy"  # names problems of its own
    LOST = "lost"  # is silent


@dataclass(slots=True)
class Appliance:
    """An appliance as steering sees it now. It changes with every report and admission, and only the fleet changes it.

    `salt` is its own number in draws, `number` its place in the roll's columns.
    """

    name: str
    site: str
    url: str
    health: Health
    load_bps: int  # what it serves, and what was sent there since
    capacity_bps: int
    held: Held
    cause: str = ""  # why this health, where it is not the load
    share: float = 1.0  # the part of the sessions that it may be sent to
    share_cause: str = ""
    stale: str = ""  # why it is believed though it is silent
    remark: str = ""  # what else is not as it says
    salt: float = field(init=False)
    number: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self.salt = salt_of(self.name)

    @property
    def spare_bps(self) -> int:
        return max(0, self.capacity_bps - self.load_bps)

    @property
    def reason(self) -> str:
        """Why this health, in words."""
        words = self.cause or f"serves {show_rate(self.load_bps)} of {show_rate(self.capacity_bps)}"
        if self.health is Health.FULL:
            words += ", takes no new sessions"
        remarks = "; ".join(remark for remark in (self.stale, self.remark) if remark)
        return f"{words} ({remarks})" if remarks else words


class Cluster:
    """The appliances of one site. `blocks` are those that their numbers are of; hardly any site has a second one."""

    __slots__ = ("blocks", "by_name", "is_whole", "site")

    def __init__(self, site: str) -> None:
        self.site = site
        self.by_name: dict[str, Appliance] = {}
        self.blocks: list[int] = []
        self.is_whole = True  # nobody of it is not healthy


class Roll:
    """Who changes an appliance says so: with `refresh` for its health and share, `weigh` for its load, `hold`."""

    def __init__(self, appliances: Iterable[Appliance] = ()) -> None:
        self.by_name: dict[str, Appliance] = {}
        self._clusters: dict[str, Cluster] = {}  # of every site that was ever asked for: whoever has one may keep it
        self.appeared: list[str] = []  # every site that an appliance ever stood at, in the order that they were seen
        # Sites that nobody was healthy at, and now somebody is: how often, and the last of them. Who passed them over
        # looks at them anew.
        self.revivals = 0
        self.revived: deque[str] = deque(maxlen=MOST_REVIVED)
        self.holdings = Holdings()
        # By block: a bit of each appliance that takes sessions, and of those a bit of each that takes a part only.
        self.healthy, self.partly = bytearray(), bytearray()
        # By number.
        self.appliances: list[Appliance | None] = []
        self.salts, self.spare_bps, self.capacity_bps = array("d"), array("d"), array("d")
        self._held: list[Held] = []  # as the holdings have it
        self._occupied_sites = 0
        for one in appliances:
            self.add(one)

    @property
    def has_several_sites(self) -> bool:
        return self._occupied_sites > 1

    def cluster(self, site: str) -> Cluster:
        """The site's, empty perhaps; always the same one."""
        cluster = self._clusters.get(site)
        if cluster is None:
            cluster = self._clusters[site] = Cluster(site)
        return cluster

    def at(self, site: str) -> Mapping[str, Appliance]:
        return self.cluster(site).by_name

    def is_healthy(self, cluster: Cluster) -> bool:
        """Whether somebody of it takes sessions."""
        return any(self.healthy[block] for block in cluster.blocks)

    def healthy_at(self, site: str) -> tuple[Appliance, ...]:
        return tuple(one for one in self.at(site).values() if one.health is Health.HEALTHY)

    def add(self, appliance: Appliance) -> None:
        self.by_name[appliance.name] = appliance
        cluster = self.cluster(appliance.site)
        if not cluster.blocks:
            self.appeared.append(appliance.site)
        self._occupied_sites += not cluster.by_name
        cluster.by_name[appliance.name] = appliance
        appliance.number = number = self._free_number(cluster)
        self.appliances[number] = appliance
        self.salts[number] = appliance.salt
        self.weigh(appliance)
        self.hold(appliance)
        self.refresh(appliance.site)

    def remove(self, appliance: Appliance) -> None:
        del self.by_name[appliance.name]
        cluster, number = self.cluster(appliance.site), appliance.number
        del cluster.by_name[appliance.name]
        self._occupied_sites -= not cluster.by_name
        self.holdings.change(number, self._held[number], _NOTHING_HELD)
        self.appliances[number], self._held[number], appliance.number = None, _NOTHING_HELD, -1
        self.refresh(appliance.site)

    def weigh(self, appliance: Appliance) -> None:
        """Its load or its capacity changed."""
        number, capacity_bps = appliance.number, appliance.capacity_bps
        self.spare_bps[number] = max(LEAST_WEIGHT, capacity_bps - appliance.load_bps)
        self.capacity_bps[number] = max(LEAST_WEIGHT, capacity_bps)

    def hold(self, appliance: Appliance) -> None:
        """What it holds changed."""
        number = appliance.number
        self.holdings.change(number, self._held[number], appliance.held)
        self._held[number] = appliance.held

    def refresh(self, site: str) -> None:
        """Looks again who of the site is healthy, and who takes a part of the sessions only."""
        cluster, healthy, partly = self.cluster(site), self.healthy, self.partly
        was_healthy = self.is_healthy(cluster)
        for block in cluster.blocks:
            healthy[block] = partly[block] = 0
        cluster.is_whole = True
        for one in cluster.by_name.values():
            if one.health is not Health.HEALTHY:
                cluster.is_whole = False
                continue
            block, bit = one.number // BLOCK, 1 << one.number % BLOCK
            healthy[block] |= bit
            if one.share < 1:
                partly[block] |= bit
        if not was_healthy and self.is_healthy(cluster):
            self.revivals += 1
            self.revived.append(site)

    def _free_number(self, cluster: Cluster) -> int:
        for block in cluster.blocks:
            for number in range(block * BLOCK, (block + 1) * BLOCK):
                if self.appliances[number] is None:
                    return number
        block = len(self.healthy)
        cluster.blocks.append(block)
        self.healthy.append(0)
        self.partly.append(0)
        self.appliances += [None] * BLOCK
        self._held += [_NOTHING_HELD] * BLOCK
        for column in (self.salts, self.spare_bps, self.capacity_bps):
            column.extend([0.0] * BLOCK)
        self.holdings.make_room(block + 1)
        return block * BLOCK
