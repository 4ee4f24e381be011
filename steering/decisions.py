"""The log of decisions: one JSON object a line for each session that begins, and for each that is sent elsewhere.

Beside the appliances' access logs it tells why a byte was not served at its viewer's nearest site: whether there is
such a site, who stands there, and why none of them was named first. It is written and rotated as access logs are
(oca/access_log.py), and names no client: addresses lose their last part.

A session that stays where its manifest sent it is not logged again: players poll every few seconds with no news.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from config.structs import Flat, Named
from oca.access_log import AccessLog
from steering.choice.ranking import Decision, Holding, Turn
from steering.placement.sites import Sites
from steering.prefixes.addresses import covering, parse_address, show_address
from steering.sessions.pathways import Format

# As oca/worker.py rotates access logs.
OLDEST_S = 86400.0
# What is left of an address tells no subscriber from his neighbours.
_LOGGED_BITS = {4: 24, 6: 48}
_encode = msgspec.json.Encoder().encode

# What keeps a usable-looking site from being asked, the first that applies to one of its appliances. Whoever is full
# could have served but for the others; whoever drains could have but for an operator.
_REASONS = {Turn.USABLE: "policy", Turn.SPARED: "policy", Turn.FULL: "capacity", Turn.DRAINING: "drain"}
# Their words by number: an enum's name takes as long to find as all else of a choice.
_TURNS = tuple(turn.name.lower() for turn in Turn)
_HELD = tuple(holding.name.lower() for holding in Holding)


class Choice(Flat, frozen=True):
    """A pathway that was told, or an appliance of the nearest site that was passed over."""

    name: str
    site: str
    turn: str  # usable, spared, cdn, origin, full, stalling, draining, unhealthy or lost
    holding: str  # whole, part or nothing


class Decided(Named, frozen=True, kw_only=True):
    """A line of the log of decisions."""

    time: float  # seconds since the epoch
    kind: str  # "play": a session begins; "poll": it is sent elsewhere than its manifest says
    session: str
    client: str  # truncated to /24 or /48
    title: str
    package: str
    form: str  # hls or dash
    isp: str
    site: str  # the nearest one, "" if none
    by: str  # what says so: route, prefix, session, geography, default or nothing
    first: str  # the pathway to be asked
    first_site: str  # "" for the origin
    why: str  # why it is not of the nearest site: route, policy, capacity, drain or health; "" where it is
    holds_s: float  # for how long a poll is good; 0 of a play, which is good until the next
    choices: tuple[Choice, ...]  # best first
    cohort: str = ""  # the experiments that the session is in
    alternates: tuple[str, ...] = ()  # further sites that announced the client's prefix, best path first


def why_not_nearest(decision: Decision) -> str:
    """Why the first pathway does not stand at the client's nearest site; "" if it does.

    What an appliance there lacks is no reason: it is asked all the same, and fetches it.
    """
    if not decision.placement.site:
        return "route"
    if decision.first.is_local:
        return ""
    turns = {candidate.turn for candidate in decision.candidates if candidate.is_local}
    return next((reason for turn, reason in _REASONS.items() if turn in turns), "health")


def decided(decision: Decision, form: Format, isp: str, now: float, holds_s: float = 0.0) -> Decided:
    """What is logged of a decision; `holds_s` is 0 for a session that begins."""
    client, first, content = decision.client, decision.candidates[0], decision.content
    return Decided(
        time=round(now, 3),
        kind="poll" if holds_s else "play",
        session=client.session,
        client=truncated(client.address),
        title=content.title,
        package=content.package,
        form=form,
        isp=isp,
        site=decision.placement.site,
        by=decision.placement.by.value,
        first=first.name,
        first_site=first.site,
        why=why_not_nearest(decision),
        holds_s=holds_s,
        cohort=decision.policy.cohort,
        alternates=decision.placement.alternates,
        choices=tuple(
            [Choice(one.name, one.site, _TURNS[one.turn], _HELD[one.holding]) for one in decision.candidates]
        ),
    )


def truncated(address: str) -> str:
    """As access logs have it. What makes those (oca/access_log.py) takes ten times as long, as it may once a client."""
    parsed = parse_address(address)
    if parsed is None:
        return ""
    if parsed[0] == 4 and ":" not in address:  # IPv4 has one way to be written
        return f"{address[: address.rindex('.')]}.0"
    version, network, _ = covering(parsed, _LOGGED_BITS[parsed[0]])
    return show_address((version, network))


class DecisionLog:
    """Never in the way of an answer: what cannot be written is counted in `lost`, the reason is `trouble`."""

    def __init__(self, path: Path, *, largest_bytes: int, keep: int) -> None:
        self._log = AccessLog(path, largest_bytes=largest_bytes, oldest_s=OLDEST_S, keep=keep)

    @property
    def lost(self) -> int:
        return self._log.lost

    @property
    def trouble(self) -> str:
        return self._log.trouble

    def began(self, decision: Decision, form: Format, sites: Sites, now: float) -> None:
        self._write(decided(decision, form, sites.isp(decision.placement.site), now))

    def polled(self, decision: Decision, form: Format, sites: Sites, now: float, ttl_s: float) -> None:
        """A poll is written only if it sends the session elsewhere than its manifest does."""
        listed = decision.client.listed
        if listed and decision.first.name != listed[0]:
            # A player that was told so acts on it until its next poll, and that one may come late.
            self._write(decided(decision, form, sites.isp(decision.placement.site), now, holds_s=2 * ttl_s))

    def flush(self) -> None:
        self._log.flush()

    def close(self) -> None:
        self._log.close()

    def _write(self, line: Decided) -> None:
        self._log.write_line(_encode(line))
