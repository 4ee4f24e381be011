"""The ways between clients' networks and sites, as TCP and players measured them.

Appliances tell the round trip to the networks they serve (oca.experience), and it is learned here for the network (/24,
/48) and for the wider one around it (/16, /32). Who was never measured from a network is answered by what was measured
from the wider one, and else by nothing: what is expected of a way that nobody measured is for ranking to say.

    estimate = (w * before + n * told) / (w + n)        n: samples told, 9 at most
                                                        w: samples before, 64 at most, halved with each hour

So an estimate is smooth within an hour and follows what changes within minutes of new samples. After a day without any
it is not believed any more. Nothing is believed of fewer than 3 samples, of a wider network 12: its parts differ.

The round trip is the least one, in which a full peering or lost packets do not show. They show in what TCP delivers and
players measure. The line is the same to all sites, so a site from which a network gets less than half of what it gets
from another has a bad way: `rtts` makes it as much longer, four times at most.

What is only learned from where players are sent would never find a better place. It is found all the same: a way that
nobody measured is expected to be as good as its distance allows, while one that was measured is as bad as it is. So a
site that disappoints loses its players to the next one, which is measured by them; and players that fail over, or whose
site is full, measure others all the time.

But part of each round trip is the client's own line, the same to all sites, and what is expected holds no more of it
than is usual. So clients on slow lines would try one site after another in vain. Hence `comparable`: of what the best
measured way takes longer than expected, three quarters are taken for the line.

In a world of 40 sites, where ways are 1.8 times as long as cables need to be, give or take half, the nearest site is
the best for 64 % of networks, and 1.3 ms worse than the best in the mean. Forty sessions of each network, those that
find out included, are 0.6 ms worse than the best, the last ones 0.4 ms. If the line is not taken off, it is 2.5 ms and
1.2 ms, and the first ten are worse off than with distance alone (tests/steering/test_paths.py).

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from steering.prefixes.addresses import Address, parse_address
from steering.recent import Recent

# Networks that are known at once, at least; of more, those heard of last. With two sites each they take 13 to 26 MB in
# each worker, the wider ones with eight 8 to 16 MB.
MOST_NETWORKS = 16_384
_MOST_WIDER = 4_096
# Sites that are known of one network; of more, those measured last.
MOST_SITES = 8
_LEAST_SAMPLES, _LEAST_WIDER_SAMPLES = 3, 12
_MOST_TOLD = 9
_MOST_WEIGHT = 64.0
_HALVED_AFTER_S = 3600.0
_POOR, _LONGEST = 0.5, 4.0
# What hls.js and Shaka say before they have measured anything.
_GUESSED_BPS = frozenset({500_000, 1_000_000})
_LINE_PART = 0.75
_PLAYERS_PART = 1 / 8  # of a player's throughput in the mean of many
FORGOTTEN_AFTER_S = 86400.0
# Beyond these somebody errs: no loopback is quicker, and a way over two satellites takes less than two seconds.
_LEAST_MS, _LARGEST_MS = 0.001, 2000.0
# No client's line is quicker; but a cache in the player is, and so are liars.
_LARGEST_BPS = 10e9
# Numbers of networks: these bits tell families and lengths apart.
_IPV4, _IPV6 = 1 << 48, 1 << 49
_WIDER = 1 << 50
_NOTHING: Mapping[str, float] = {}


class Way(NamedTuple):
    """What is known of one network's way to one site."""

    rtt_ms: float
    weight: float  # samples of late
    learned_at: float
    rate_bps: float  # of connections, as appliances measure it; 0: not known
    player_bps: float  # as players do; 0: not known


# A Way as it is kept. Plain tuples of numbers are no burden to the garbage collector, and made in a fifth of the time.
_Kept: TypeAlias = tuple[float, float, float, float, float]


def network_key(address: str) -> int:
    """The client's network as a number: /24 of IPv4, /48 of IPv6; 0 for what is no address."""
    parsed = parse_address(address)
    return network_of(parsed) if parsed is not None else 0


def network_of(address: Address) -> int:
    version, number = address
    return _IPV4 | number >> 8 if version == 4 else _IPV6 | number >> 80


def wider(network: int) -> int:
    """The /16 or /32 that a network is in."""
    return _WIDER | network >> (8 if network & _IPV4 else 16)


class Paths:
    def __init__(self, most_networks: int = MOST_NETWORKS) -> None:
        self._networks: Recent[int, dict[str, _Kept]] = Recent(most_networks)
        self._wider: Recent[int, dict[str, _Kept]] = Recent(min(most_networks, _MOST_WIDER))
        self._now = 0.0  # of the last that was learned: where nothing is learned, nothing grows old

    def learn(self, network: int, site: str, rtt_ms: float, rate_bps: float, samples: int, now: float) -> None:
        """An appliance of the site measured the way to this network."""
        if not (network and _LEAST_MS <= rtt_ms <= _LARGEST_MS and samples > 0):
            return
        if not 0 <= rate_bps <= _LARGEST_BPS:
            rate_bps = 0.0
        self._now = now
        told = float(min(samples, _MOST_TOLD))
        for known, key in ((self._networks, network), (self._wider, wider(network))):
            ways = known.get(key) or {}
            if len(ways) >= MOST_SITES and site not in ways:
                del ways[min(ways.items(), key=_learned_at)[0]]
            ways[site] = _joined(ways.get(site), rtt_ms, rate_bps, told, now)
            known.put(key, ways)

    def learn_throughput(self, network: int, site: str, rate_bps: float) -> None:
        """A player measured it, on a way that appliances know."""
        if rate_bps in _GUESSED_BPS or not 0 < rate_bps <= _LARGEST_BPS:
            return
        ways = self._networks.get(network)
        way = ways.get(site) if ways is not None else None
        if ways is not None and way is not None:
            ways[site] = (*way[:4], _mixed(way[4], rate_bps, _PLAYERS_PART))

    def rtt_ms(self, network: int, site: str) -> float | None:
        """Round trip between the network and the site; None where it was not measured."""
        ways = self._networks.get(network)
        way = ways.get(site) if ways is not None else None
        if way is not None and way[1] >= _LEAST_SAMPLES and self._now - way[2] < FORGOTTEN_AFTER_S:
            return way[0]
        ways = self._wider.get(wider(network))
        way = ways.get(site) if ways is not None else None
        if way is not None and way[1] >= _LEAST_WIDER_SAMPLES and self._now - way[2] < FORGOTTEN_AFTER_S:
            return way[0]
        return None

    def rtts(self, network: int) -> Mapping[str, float]:
        """What is to be compared of all sites that were measured: the round trip in ms, longer where little comes."""
        wide, narrow = self._wider.get(wider(network)), self._networks.get(network)
        if wide is None and narrow is None:
            return _NOTHING
        rtts: dict[str, float] = {}
        oldest = self._now - FORGOTTEN_AFTER_S
        for ways, least in ((wide, _LEAST_WIDER_SAMPLES), (narrow, _LEAST_SAMPLES)):
            if ways is not None:
                for site, way in ways.items():
                    if way[1] >= least and way[2] > oldest:
                        rtts[site] = way[0]
        if narrow is not None and len(narrow) > 1:
            _lengthen(rtts, narrow)
        return rtts

    def ways(self, network: int) -> dict[str, Way]:
        """All that is known of the network itself, by site, whatever it is worth."""
        return {site: Way(*way) for site, way in (self._networks.get(network) or {}).items()}

    def __len__(self) -> int:
        """Networks that something is known of."""
        return len(self._networks)


def comparable(rtts: Mapping[str, float], expected_ms: Callable[[str], float | None]) -> Mapping[str, float]:
    """Measured round trips less what of them is the client's own line, to be compared with expected ones."""
    beyond_ms = math.inf  # of the way that takes least longer than expected
    for site, rtt_ms in rtts.items():
        least_ms = expected_ms(site)
        if least_ms is not None and rtt_ms - least_ms < beyond_ms:
            beyond_ms = rtt_ms - least_ms
    if beyond_ms <= 0 or beyond_ms == math.inf:
        return rtts
    line_ms = _LINE_PART * beyond_ms
    return {site: rtt_ms - line_ms for site, rtt_ms in rtts.items()}


def _lengthen(rtts: dict[str, float], ways: Mapping[str, _Kept]) -> None:
    """Makes the ways longer that carry much less than others to the same network."""
    most = max(way[3] for way in ways.values()), max(way[4] for way in ways.values())
    for site, (_, _, _, rate_bps, player_bps) in ways.items():
        least_part = min(rate_bps / most[0] if rate_bps else 1.0, player_bps / most[1] if player_bps else 1.0)
        if least_part < _POOR and site in rtts:
            rtts[site] *= min(_LONGEST, _POOR / least_part)


def _learned_at(kept: tuple[str, _Kept]) -> float:
    return kept[1][2]


def _joined(before: _Kept | None, rtt_ms: float, rate_bps: float, samples: float, now: float) -> _Kept:
    if before is None:
        return rtt_ms, samples, now, rate_bps, 0.0
    rtt_before, weight, learned_at, rate_before, player_bps = before
    if now > learned_at:
        weight *= 0.5 ** ((now - learned_at) / _HALVED_AFTER_S)
    part = samples / (weight + samples)
    rtt_ms = rtt_before + (rtt_ms - rtt_before) * part
    return rtt_ms, min(_MOST_WEIGHT, weight + samples), now, _mixed(rate_before, rate_bps, part), player_bps


def _mixed(before: float, told: float, part: float) -> float:
    """Of two rates, where 0 is not known."""
    return before + (told - before) * part if before and told else before or told
