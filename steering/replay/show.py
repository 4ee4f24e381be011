"""What a replay found, as people read it.

Pure: tables are made, not printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from config.units import show_bytes, show_duration
from steering.journal.moments import show_moment
from steering.replay.loads import Load
from steering.replay.outcome import Agreement, Mover, Outcome, Sending, Served

# More are read by nobody; --json has all.
_MOST_ROWS = 10
# What differs by less is rounding.
_LEAST_BPS = 1000
_UNITS = (("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6))
_NO_SITE = "(no appliance)"
_SITES, _APPLIANCES = "what sites serve", "what appliances serve"


def show(outcome: Outcome) -> Group:
    return Group(*_parts(outcome))


def _parts(outcome: Outcome) -> Iterator[RenderableType]:
    took = show_duration(outcome.ends_at - outcome.begins_at)
    span = f"from {show_moment(outcome.begins_at)} to {show_moment(outcome.ends_at)} ({took})"
    yield Text(f"{outcome.was.sessions} sessions {span}")
    yield from _agreement(outcome.agreement)
    yield Text("")
    if outcome.change:
        yield Text(f"changed: {'; '.join(outcome.change)}", style="bold")
        moved = outcome.moved / outcome.was.sessions
        yield Text(f"{outcome.moved} sessions ({moved:.1%}) are sent to another appliance first")
    yield _sendings([outcome.was] + ([outcome.becomes] if outcome.becomes is not None else []))
    if outcome.movers:
        yield _movers(outcome.movers)
    has_change = bool(outcome.change)
    for title, served in ((_SITES, outcome.sites), (_APPLIANCES, outcome.appliances)):
        shown = [one for one in served if _differs(one)] if has_change else served
        if shown:
            yield _served(title, shown, has_change=has_change)
    yield from _full(outcome.appliances) if has_change else ()
    yield Text(f"a session is taken to last {outcome.watched:.0%} of its title at the nominal bitrate")
    yield from (Text(f"note: {remark}") for remark in outcome.remarks)


def _agreement(agreement: Agreement) -> Iterator[Text]:
    yield Text(
        f"replayed as it was, {agreement.agree} of {agreement.sessions} ({agreement.agree / agreement.sessions:.1%}) "
        "are decided as they are logged"
    )
    for why, count in agreement.others.items():
        yield Text(f"  {count} ({count / agreement.sessions:.1%}): {why}")


def _sendings(sendings: Sequence[Sending]) -> Table:
    table = _table("", *("was", "becomes")[: len(sendings)])
    rows = [
        ("offload", [f"{one.offload:.2%}" for one in sendings]),
        *((f"  away: {why}", [f"{one.away.get(why, 0.0):.2%}" for one in sendings]) for why in _reasons(sendings)),
        *((f"sessions to {name}", [str(one.no_appliance.get(name, 0)) for one in sendings]) for name in _far(sendings)),
        ("distance, mean km", [f"{one.way.mean_km:.0f}" for one in sendings]),
        ("  50, 90, 99 %", [f"{one.way.p50_km}, {one.way.p90_km}, {one.way.p99_km}" for one in sendings]),
        ("round trip, mean ms", [f"{one.way.mean_ms:.1f}" for one in sendings]),
        ("  50, 90, 99 %", [f"{one.way.p50_ms:.1f}, {one.way.p90_ms:.1f}, {one.way.p99_ms:.1f}" for one in sendings]),
    ]
    if any(one.unknown_way for one in sendings):
        rows.append(("sessions of an unknown way", [str(one.unknown_way) for one in sendings]))
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _reasons(sendings: Iterable[Sending]) -> list[str]:
    return list(dict.fromkeys(why for one in sendings for why in one.away))


def _far(sendings: Iterable[Sending]) -> list[str]:
    return list(dict.fromkeys(name for one in sendings for name in one.no_appliance))


def _movers(movers: Sequence[Mover]) -> Table:
    table = _table("from site", "to site", "sessions", "bytes", title="who moves")
    for one in movers[:_MOST_ROWS]:
        table.add_row(one.was or _NO_SITE, one.becomes or _NO_SITE, str(one.sessions), show_bytes(one.bits / 8))
    return _with_rest(table, len(movers))


def _served(title: str, served: Sequence[Served], *, has_change: bool) -> Table:
    """Those that the change touches, or else those that served most."""
    of_appliances = title == _APPLIANCES
    unit, size = _unit(one.capacity_bps for one in served)
    pairs = ("", "becomes") if has_change else ("",)
    names = ("mean", "peak", *(("full",) if of_appliances else ()))
    columns = [again or name for name in names for again in pairs]
    table = _table("", "capacity", *columns, title=f"{title}, in {unit}")
    for one in served[:_MOST_ROWS]:
        loads = (one.was, one.becomes) if has_change else (one.was,)
        cells = [_cells(load, size) for load in loads]
        row = [cell for column in list(zip(*cells, strict=True))[: len(names)] for cell in column]
        table.add_row(one.name, f"{one.capacity_bps / size:.3g}", *row)
    return _with_rest(table, len(served))


def _cells(load: Load, size: float) -> tuple[str, str, str]:
    return f"{load.mean_bps / size:.3g}", f"{load.peak_bps / size:.3g}", _full_for(load.full_s)


def _unit(rates_bps: Iterable[int]) -> tuple[str, float]:
    """One for a whole table: what most of it is large in."""
    largest = max(rates_bps, default=0)
    return next(((unit, size) for unit, size in _UNITS if largest >= size), _UNITS[-1])


def _full(appliances: Iterable[Served]) -> Iterator[Text]:
    """Who becomes full that was not."""
    full = [one for one in appliances if one.becomes.full_s and not one.was.full_s]
    if full:
        named = ", ".join(f"{one.name} ({_full_for(one.becomes.full_s)})" for one in full[:_MOST_ROWS])
        more = f" and {len(full) - _MOST_ROWS} more" if len(full) > _MOST_ROWS else ""
        yield Text(f"becomes full: {named}{more}")


def _differs(served: Served) -> bool:
    was, becomes = served.was, served.becomes
    return abs(was.mean_bps - becomes.mean_bps) >= _LEAST_BPS or was.full_s != becomes.full_s


def _full_for(seconds: float) -> str:
    return show_duration(seconds) if seconds else "-"


def _table(first: str, *columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _with_rest(table: Table, count: int) -> Table:
    if count > _MOST_ROWS:
        table.caption = f"and {count - _MOST_ROWS} more"
    return table
