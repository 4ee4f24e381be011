"""What a simulation found, as tables for people.

Pure: tables are made, not printed.
"""

from __future__ import annotations

from rich.table import Table

from config.units import show_bytes, show_duration, show_rate
from fill.simulate.outcome import Outcome, Result
from fill.simulate.sizing import TB, Sizing

# Sites that are listed at most: those whose upstream link is busiest.
_MOST_SITES = 10


def each_day(result: Result) -> Table:
    table = Table("day", title=f"{result.policy}, day by day")
    for name in ("served", "offload", "after fill", "fill", "churn", "peak upstream", "fill in window", "put off"):
        table.add_column(name, justify="right")
    for day in result.days:
        table.add_row(
            str(day.day + 1),
            show_bytes(day.served),
            f"{day.offload:.1%}",
            f"{day.offload_after_fill:.1%}",
            show_bytes(day.fill),
            f"{result.churn(day):.1%}",
            show_rate(day.peak_bps),
            show_rate(day.fill_bps),
            show_bytes(day.put_off),
        )
    return table


def totals(outcome: Outcome) -> Table:
    table = Table("policy", title=f"{outcome.name}: all days")
    for name in ("offload", "after fill", "fill a day", "churn a day", "peak upstream", "fill in window", "put off"):
        table.add_column(name, justify="right")
    for result in outcome.results:
        table.add_row(result.policy, *_cells(result))
    return table


def _cells(result: Result) -> list[str]:
    total, days = result.total, max(1, len(result.days))
    return [
        f"{total.offload:.1%}",
        f"{total.offload_after_fill:.1%}",
        show_bytes(total.fill / days),
        f"{result.mean_churn:.1%}",
        show_rate(total.peak_bps),
        show_rate(total.fill_bps),
        show_bytes(total.put_off / days),
    ]


def by_day(outcome: Outcome) -> Table:
    table = Table("day", title=f"{outcome.name}: offload after fill, by day")
    for result in outcome.results:
        table.add_column(result.policy, justify="right")
    for number in range(len(outcome.results[0].days)):
        days = [result.days[number] for result in outcome.results]
        table.add_row(str(number + 1), *(f"{day.offload_after_fill:.1%}" for day in days))
    return table


def differences(base: Outcome, variant: Outcome) -> Table:
    table = Table("policy", title=f"what if {variant.name}")
    for name in ("offload", "after fill", "served elsewhere", "fill a day", "churn a day", "peak upstream"):
        table.add_column(name, justify="right")
    for before, after in zip(base.results, variant.results, strict=True):
        table.add_row(after.policy, *_compared(before, after))
    return table


def _compared(before: Result, after: Result) -> list[str]:
    one, two, days = before.total, after.total, max(1, len(after.days))
    return [
        f"{one.offload:.1%} -> {two.offload:.1%} ({two.offload - one.offload:+.1%})",
        f"{one.offload_after_fill:.1%} -> {two.offload_after_fill:.1%} "
        f"({two.offload_after_fill - one.offload_after_fill:+.1%})",
        f"{two.elsewhere / two.served if two.served else 0.0:.1%}",
        f"{show_bytes(one.fill / days)} -> {show_bytes(two.fill / days)}",
        f"{before.mean_churn:.1%} -> {after.mean_churn:.1%}",
        f"{show_rate(one.peak_bps)} -> {show_rate(two.peak_bps)}",
    ]


def busiest(outcome: Outcome, policy: str) -> Table:
    """The sites with most left on their upstream links."""
    table = Table("site", title=f"{outcome.name}: sites with the busiest upstream links ({policy})")
    for name in ("offload", "asked at peak", "can serve", "upstream at peak", "fill a day"):
        table.add_column(name, justify="right")
    sites = sorted(outcome.of(policy).sites, key=lambda site: -site.peak_upstream_bps)[:_MOST_SITES]
    for site in sites:
        table.add_row(
            f"{site.name} x{site.count}" if site.count > 1 else site.name,
            f"{site.offload:.1%}",
            show_rate(site.peak_demand_bps),
            show_rate(site.capacity_bps),
            show_rate(site.peak_upstream_bps),
            show_bytes(site.fill_a_day),
        )
    return table


def overwhelmed(outcome: Outcome) -> list[str]:
    """Sites of which more is asked than they can serve, a sentence each."""
    return [
        f"{site.name}: {show_rate(site.peak_demand_bps)} are asked for at peak, and it can serve "
        f"{show_rate(site.capacity_bps)}: the rest comes from upstream"
        for site in outcome.results[0].sites
        if site.capacity_bps and site.peak_demand_bps > site.capacity_bps
    ]


def sizes(sizing: Sizing) -> Table:
    table = Table("appliances", title="what each size serves and costs")
    for name in ("disks", "offload", "after fill", "peak upstream", "fill a night", "in the window", "first fill"):
        table.add_column(name, justify="right")
    table.add_column("fill a month", justify="right")
    table.add_column("one TB more", justify="right")
    for option in sizing.options:
        mark = " *" if option == sizing.recommended else ""
        table.add_row(
            f"{option.appliances} x {option.disk / TB:.0f} TB, {show_rate(option.capacity)}{mark}",
            f"{option.disks / TB:.0f} TB",
            f"{option.offload:.1%}",
            f"{option.offload_after_fill:.1%}",
            show_rate(option.peak_upstream_bps),
            show_bytes(option.fill_night),
            show_duration(option.fill_hours * 3600) if option.fill_hours else "-",
            f"{option.first_fill_nights:.1f} nights" if option.first_fill_nights else "-",
            show_bytes(option.fill_month),
            show_rate(option.next_tb_bps),
        )
    return table
