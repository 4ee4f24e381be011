"""Makes a night's plans: gathers, forecasts, plans, publishes, and says what came of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

import click
import msgspec
from rich.console import Console
from rich.table import Table

from config.fill import FillSettings
from config.progress import Reporter
from config.units import show_bytes, show_rate
from fill.errors import NoPlan, PlanError
from fill.fleet import FleetClient
from fill.forecast.expected import Forecast
from fill.history import History
from fill.names import FileName
from fill.planner.explain import changes, doubts, explain, show_changes
from fill.planner.inputs import Inputs, forecasts_of, gather, night_of, read_histories
from fill.planner.keys import read_private
from fill.planner.plan import Plan, plan
from fill.planner.shrunk import lost_titles
from fill.planner.store import Published, publish, read_published
from origin.storage import Storage, open_storage


async def make_plans(
    settings: FillSettings,
    dry_run: bool,
    explained: str | None,
    is_diff: bool,
    accepts_drops: bool,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Raises ConfigError, FillError, StorageError."""
    key = read_private(settings.plan_key)
    now = time.time()
    plans_in = open_storage(settings.plans, s3_endpoint=settings.s3_endpoint)
    async with plans_in as storage, FleetClient(settings.steering, settings.origin) as client:
        inputs = await gather(settings, storage, client, now)
        regions = sorted({settings.region, *inputs.regions})
        histories, logs = await asyncio.to_thread(read_histories, settings, inputs.appliances, regions, now)
        _say_inputs(inputs, histories, logs, settings, reporter)
        for why in inputs.unreadable.values():
            reporter.say(f"left alone: {why}")
        lost = lost_titles(*inputs.held_and_offered)
        if lost and not (dry_run or accepts_drops):
            some = ", ".join(sorted(lost)[:3])
            raise PlanError(
                f"{len(lost)} titles that appliances hold are not in the catalog any more ({some}), and would be "
                "dropped everywhere: expected the origin to be well; --accept-drops if they were withdrawn"
            )
        forecasts = await asyncio.to_thread(forecasts_of, inputs, histories, now, regions, learns=True)
        appliances = inputs.readable(inputs.appliances)
        plans = plan(inputs.offers, forecasts, appliances, inputs.policy, inputs.sites, now, settings.copies)
        plans = {
            name: msgspec.structs.replace(made, night=night_of(inputs.windows[made.site], now, settings.plan_ahead))
            for name, made in plans.items()
        }
        before = await _before(storage, plans) if is_diff else None
        for doubt in doubts(plans, forecasts, inputs.offers, inputs.sites, inputs.rates):
            reporter.say(f"look at this: {doubt}")
        if explained is not None:
            title, _, file = explained.partition("/")
            lines = explain(FileName(title, file), inputs.offers, forecasts, plans, inputs.policy, inputs.sites, now)
            click.echo(json.dumps(lines, indent=2) if as_json else "\n".join(lines))
            return
        published = [] if dry_run else await publish(storage, plans, key)
    if not dry_run:
        keep_forecasts(settings, forecasts, inputs, plans)
        if key is None:
            reporter.say("the plans are not signed: no plan_key is set (`nearcast fill keys` makes one)")
    if as_json:
        click.echo(json.dumps(_as_json(plans, before, published), indent=2))
        return
    _print_table(plans)
    if before is not None:
        click.echo("\n".join(show_changes(changes(before, plans))))


async def _before(storage: Storage, plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The plans that were published last, of those that there are."""
    before = {}
    for name in plans:
        try:
            before[name] = await read_published(storage, name)
        except NoPlan:
            continue
        except PlanError as error:
            raise PlanError(
                f"{error}; --diff needs the plan before, without it a new one is made all the same"
            ) from error
    return before


def keep_forecasts(
    settings: FillSettings, forecasts: Mapping[str, Forecast], inputs: Inputs, plans: Mapping[str, Plan]
) -> None:
    """For `nearcast fill report`, which scores them against what came."""
    if not settings.events:
        return
    from fill.feed.scores import keep

    for region, forecast in forecasts.items():
        held: dict[str, int] = {}
        for made in plans.values():
            terms = inputs.sites.get(made.site)
            if terms is not None and terms.region == region:
                held[made.site] = held.get(made.site, 0) + made.held_bytes
        keep(settings.events, forecast, inputs.sizes, sum(held.values()) // max(1, len(held)))


def _say_inputs(
    inputs: Inputs, histories: Mapping[str, History], logs: int, settings: FillSettings, reporter: Reporter
) -> None:
    where = f"{logs} access logs" if logs or not settings.events else "the events kept"
    for region, history in sorted(histories.items()):
        reporter.say(
            f"{len(inputs.offers)} titles, {len(inputs.appliances)} appliances, {history.records} answers to viewers "
            f"in {where} of region {region} ({show_bytes(history.bytes_per_day)} a day)"
        )
        if history.refused:
            said = ", ".join(f"{count} {reason}" for reason, count in sorted(history.refused.items()))
            reporter.say(f"not counted: {said}")
    if settings.access_logs and not logs and not any(history.records for history in histories.values()):
        reporter.say(f"no file matches {', '.join(settings.access_logs)}: every title counts as not watched yet")


def _as_json(
    plans: Mapping[str, Plan], before: Mapping[str, Plan] | None, published: list[Published]
) -> dict[str, object]:
    made: dict[str, object] = {"plans": msgspec.to_builtins(list(plans.values()))}
    if published:
        made["published"] = msgspec.to_builtins(published)
    if before is not None:
        made["changes"] = [msgspec.to_builtins(change._asdict()) for change in changes(before, plans)]
    return made


def _print_table(plans: Mapping[str, Plan]) -> None:
    """What a terminal of 80 columns has room for; --json has all."""
    has_budget = any(made.budget_bytes for made in plans.values())
    budget = ("budget",) if has_budget else ()
    table = Table("appliance", "site", "holds", "fetches", "left", "drops", *budget, "peak", "gap")
    for name, made in sorted(plans.items()):
        row = [
            name,
            made.site,
            show_bytes(made.held_bytes),
            f"{len(made.fetches)} ({show_bytes(made.fetch_bytes)})" if made.fetches else "-",
            f"{made.left_files} ({show_bytes(made.left_bytes)})" if made.left_files else "-",
            str(len(made.drops)) if made.drops else "-",
            *([show_bytes(made.budget_bytes) if made.budget_bytes else "-"] if has_budget else []),
            show_rate(made.peak_bps),
            f"{made.gap:.2g}",
        ]
        table.add_row(*row)
    Console().print(table if plans else "Steering knows no appliance yet.", markup=False)
