"""What a play and a whole demo came to: values a script can read, and the table a person reads.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from config.units import show_bytes, show_duration


class Served(msgspec.Struct):
    """What one pathway sent to one player."""

    requests: int = 0
    bytes: int = 0
    pulled_bytes: int = 0  # of them, those that an appliance had to fetch first, as it says (Cache-Status, RFC 9211)


class Switch(msgspec.Struct, frozen=True):
    """A player left one pathway for another, `at_s` seconds of film into its downloads."""

    at_s: float
    source: str
    target: str
    reason: str


class Played(msgspec.Struct, kw_only=True):
    """One play of one title by one simulated player."""

    player: str
    protocol: str
    site: str  # the site that the viewer belongs to
    title: str
    duration_s: float = 0.0  # seconds of film fetched, all tracks
    segments: int = 0
    wrong_bytes: int = 0  # that differ from the package's, or are missing or too many
    served: dict[str, Served] = msgspec.field(default_factory=dict)  # by pathway
    switches: list[Switch] = msgspec.field(default_factory=list)
    stalls: int = 0
    stalled_s: float = 0.0
    steering_answers: int = 0
    failures: list[str] = msgspec.field(default_factory=list)  # requests that failed and were made up for elsewhere
    given_up: str = ""  # why the play ended early; empty if it did not

    @property
    def bytes(self) -> int:
        return sum(served.bytes for served in self.served.values())


class Check(msgspec.Struct, frozen=True):
    """One thing that must be so."""

    name: str
    passed: bool
    found: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What `nearcast demo --once` says."""

    passed: bool
    offload: float  # of all bytes that players got, the share from appliances at the viewer's own site
    plays: list[Played]
    checks: list[Check]
    seconds: float
    ledger: dict[str, int] = msgspec.field(default_factory=dict)  # bytes by where or why, as the network's logs tell it


def offload(plays: Iterable[Played], sites: Mapping[str, str]) -> float:
    """Bytes served at the viewer's own site / all bytes, 0 for none; `sites` says where each appliance stands."""
    near = total = 0
    for play in plays:
        total += play.bytes
        near += sum(served.bytes for pathway, served in play.served.items() if sites.get(pathway) == play.site)
    return near / total if total else 0.0


def tables(result: Result) -> list[Table]:
    titles = dict.fromkeys(play.title for play in result.plays)
    played = [_plays_table(title, [play for play in result.plays if play.title == title]) for title in titles]
    return [*played, _ledger_table(result.ledger), _checks_table(result.checks)]


def _plays_table(title: str, plays: Sequence[Played]) -> Table:
    table = Table(title=f"{title}: who served what")
    table.add_column("player", no_wrap=True)
    table.add_column("served by", no_wrap=True)
    for name in ("switches", "stalls", "wrong bytes"):
        table.add_column(name)
    for play in plays:
        served = "\n".join(f"{pathway}: {show_bytes(served.bytes)}" for pathway, served in play.served.items())
        switches = "\n".join(
            f"to {switch.target} at {show_duration(switch.at_s)}: {switch.reason}" for switch in play.switches
        )
        stalls = f"{play.stalls} ({show_duration(play.stalled_s)})" if play.stalls else "0"
        # Text, not str: reasons come from elsewhere, and rich would take "[...]" in them for markup.
        table.add_row(
            *(Text(cell) for cell in (play.player, served, switches or "none", stalls, str(play.wrong_bytes)))
        )
    return table


def _ledger_table(ledger: Mapping[str, int]) -> Table:
    table = Table("where, or why not", "bytes", title="Every byte, as the logs tell it (nearcast fill misses)")
    for name, size in ledger.items():
        table.add_row(name, show_bytes(size))
    return table


def _checks_table(checks: Sequence[Check]) -> Table:
    table = Table("check", "result", "found", title="Checks")
    for check in checks:
        table.add_row(Text(check.name), "[green]pass" if check.passed else "[red]FAIL", Text(check.found))
    return table
