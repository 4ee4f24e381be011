"""What a simulation found, as tables for people: numbers alone, their units in the headings, 80 columns at most.

Pure: tables are made, not printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from config.units import show_rate
from fill.simulate.outcome import Outcome, Result
from fill.simulate.sizing import TB, Option, Sizing

OURS = "ours"
# What knows tomorrow is no other policy that one could have, and parts of ours are none either.
_NOT_OTHERS = ("ours", "ours-by-night", "oracle-by-night", "clairvoyant")
# Sites that are listed at most: those whose upstream link is busiest.
_MOST_SITES = 10
_LONGEST_NAME = 24

_BYTES = (("PiB", 2**50), ("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))
_RATES = (("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1))


class _Column(NamedTuple):
    heading: str
    cells: list[str]


def each_day(result: Result) -> Group:
    days = result.days
    columns = [
        _Column("day", [str(day.day + 1) for day in days]),
        _amounts("served", [day.served for day in days], _BYTES),
        _shares("offload %", [day.offload for day in days]),
        _shares("after fill %", [day.offload_after_fill for day in days]),
        _amounts("fill", [day.fill for day in days], _BYTES),
        _shares("churn %", [result.churn(day) for day in days]),
        _amounts("upstream at peak", [day.peak_bps for day in days], _RATES),
        _amounts("fill in window", [day.fill_bps for day in days], _RATES),
    ]
    if any(day.put_off for day in days):
        columns.append(_amounts("put off", [day.put_off for day in days], _BYTES))
    return _table(f"{result.policy}, day by day", columns)


def totals(outcome: Outcome) -> Group:
    results = outcome.results
    sums = [result.total for result in results]
    days = max(1, len(results[0].days))
    columns = [
        _Column("policy", [result.policy for result in results]),
        _shares("offload %", [total.offload for total in sums]),
        _shares("after fill %", [total.offload_after_fill for total in sums]),
        _amounts("fill a day", [total.fill / days for total in sums], _BYTES),
        _shares("churn a day %", [result.mean_churn for result in results]),
        _amounts("upstream at peak", [total.peak_bps for total in sums], _RATES),
        _amounts("fill in window", [total.fill_bps for total in sums], _RATES),
    ]
    if any(total.put_off for total in sums):
        columns.append(_amounts("put off a day", [total.put_off / days for total in sums], _BYTES))
    return _table(f"{outcome.name}: {days} days together", columns)


def by_day(outcome: Outcome) -> Group:
    # Without fill all of it is 0.
    results = [result for result in outcome.results if result.policy != "no-fill"] or outcome.results
    days = range(len(results[0].days))
    columns = [_Column("day", [str(number + 1) for number in days])]
    for result in results:
        heading = result.policy if result.policy == "s3-fifo" else result.policy.replace("-", " ")
        columns.append(_shares(heading, [result.days[number].offload_after_fill for number in days]))
    return _table(f"{outcome.name}: offload after fill by day, %", columns)


def differences(base: Outcome, variant: Outcome) -> Group:
    """Of our policy and of the best other; of what was asked for, if that is one alone."""
    columns: list[_Column] = []
    # Policies in one unit each line.
    largest = [
        max(values)
        for values in zip(*(_sums(o.of(policy)) for policy in _compared(base) for o in (base, variant)), strict=True)
    ]
    for policy in _compared(base):
        before, after = base.of(policy), variant.of(policy)
        lines = [*_shared(before, after), *_summed(before, after, largest)]
        if not columns:
            columns.append(_Column("", [line[0] for line in lines]))
        columns += [
            _Column(f"{policy} before", [line[1] for line in lines]),
            _Column("after", [line[2] for line in lines]),
            _Column("change", [line[3] for line in lines]),
        ]
    return _table(f"what if {variant.name}", columns)


def _compared(base: Outcome) -> list[str]:
    found = {result.policy: result.total.offload_after_fill for result in base.results}
    others = {policy: share for policy, share in found.items() if policy not in _NOT_OTHERS}
    best = [max(others, key=lambda policy: others[policy])] if others else []
    ours = [OURS] if OURS in found else []
    return [*ours, *best] or list(found)[:1]


_Line = tuple[str, str, str, str]


def _shared(before: Result, after: Result) -> list[_Line]:
    one, two = before.total, after.total
    shares = {
        "offload %": (one.offload, two.offload),
        "after fill %": (one.offload_after_fill, two.offload_after_fill),
        "served elsewhere %": (
            one.elsewhere / one.served if one.served else 0.0,
            two.elsewhere / two.served if two.served else 0.0,
        ),
        "churn a day %": (before.mean_churn, after.mean_churn),
    }
    return [
        (name, f"{100 * was:.1f}", f"{100 * now:.1f}", f"{100 * (now - was):+.2f}")
        for name, (was, now) in shares.items()
    ]


_SUMS = (("served a day", _BYTES), ("fill a day", _BYTES), ("put off a day", _BYTES), ("upstream at peak", _RATES))


def _sums(result: Result) -> tuple[float, ...]:
    total, days = result.total, max(1, len(result.days))
    return total.served / days, total.fill / days, total.put_off / days, total.peak_bps


def _summed(before: Result, after: Result, largest: Sequence[float]) -> Iterator[_Line]:
    for (name, units), was, now, most in zip(_SUMS, _sums(before), _sums(after), largest, strict=True):
        if most or not name.startswith("put off"):
            unit, divisor = _unit([most], units)
            yield f"{name} {unit}", _number(was / divisor), _number(now / divisor), _signed((now - was) / divisor)


def busiest(outcome: Outcome, policy: str) -> Group:
    """The sites with most left on their upstream links."""
    sites = sorted(outcome.of(policy).sites, key=lambda site: -site.peak_upstream_bps)[:_MOST_SITES]
    rates = [rate for site in sites for rate in (site.peak_demand_bps, site.capacity_bps)]
    columns = [
        _Column("site", [f"{site.name} x{site.count}" if site.count > 1 else site.name for site in sites]),
        _shares("offload %", [site.offload for site in sites]),
        _amounts("asked for at peak", [site.peak_demand_bps for site in sites], _RATES, rates),
        _amounts("can serve", [site.capacity_bps for site in sites], _RATES, rates),
        _amounts("upstream at peak", [site.peak_upstream_bps for site in sites], _RATES, rates),
        _amounts("fill a day", [site.fill_a_day for site in sites], _BYTES),
    ]
    return _table(f"{outcome.name}: sites with the busiest upstream links, {policy}", columns)


def overwhelmed(outcome: Outcome) -> list[str]:
    """Sites of which more is asked than they can serve, a sentence each; of many the worst."""
    sites = [site for site in outcome.results[0].sites if site.capacity_bps]
    over = sorted(
        (site for site in sites if site.peak_demand_bps > site.capacity_bps),
        key=lambda site: site.capacity_bps - site.peak_demand_bps,
    )
    said = [
        f"{site.name}: {show_rate(site.peak_demand_bps)} are asked for in the busiest hour of all days, and it can "
        f"serve {show_rate(site.capacity_bps)}: the rest comes from upstream"
        for site in over[:_MOST_SITES]
    ]
    return said + ([f"and so at {len(over) - len(said)} sites more"] if len(over) > len(said) else [])


def sizes(sizing: Sizing) -> Group:
    """Of sizes that differ in what an appliance can serve alone, the least of which as few are enough."""
    first: dict[tuple[int, int], Option] = {}
    for option in sizing.options:
        first.setdefault((option.appliances, option.disk), option)
    options = list(first.values())
    columns = [
        _Column("", ["*" if option == sizing.recommended else "" for option in options]),
        _Column("number", [str(option.appliances) for option in options]),
        _Column("disk TB", [f"{option.disk / TB:.0f}" for option in options]),
        _Column("can serve Gbit/s", [f"{option.capacity / 1e9:.0f}" for option in options]),
        _shares("offload %", [option.offload for option in options]),
        _shares("after fill %", [option.offload_after_fill for option in options]),
        _amounts("peak upstr.", [option.peak_upstream_bps for option in options], _RATES),
        _amounts("fill a night", [option.fill_night for option in options], _BYTES),
        _Column("hours", [_number(option.fill_hours) if option.fill_hours else "-" for option in options]),
        _Column(
            "first fill nights",
            [f"{option.first_fill_nights:.1f}" if option.first_fill_nights else "-" for option in options],
        ),
        _amounts("next TB", [option.next_tb_bps for option in options], _RATES),
    ]
    return _table("what each size serves and costs; * is recommended", columns)


def _shares(heading: str, shares: Iterable[float]) -> _Column:
    return _Column(heading, [f"{100 * share:.1f}" for share in shares])


def _amounts(
    heading: str, values: Sequence[float], units: Sequence[tuple[str, float]], scale: Sequence[float] = ()
) -> _Column:
    """In one unit, that of the largest (or of the largest of `scale`)."""
    unit, divisor = _unit(scale or values, units)
    return _Column(f"{heading} {unit}", [_number(value / divisor) for value in values])


def _unit(values: Sequence[float], units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    largest = max(values, default=0.0)
    return next(((unit, size) for unit, size in units if largest >= size), units[-1])


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _signed(value: float) -> str:
    text = _number(value) if abs(value) >= 10 else f"{value:.2f}"
    return text if text.startswith("-") else f"+{text}"


def _table(title: str, columns: Sequence[_Column]) -> Group:
    """As wide as the longest word of each heading and the longest cell: nothing is cut where there is room for that."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        words = column.heading.split() or [""]
        width = max(len(text) for text in [*words, *column.cells, " "])
        # Names are left, and the only ones that may be broken.
        table.add_column(
            column.heading,
            justify="left" if number == 0 else "right",
            vertical="bottom",
            overflow="fold",
            width=min(width, _LONGEST_NAME),
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return Group(Text(title, style="bold"), table)
