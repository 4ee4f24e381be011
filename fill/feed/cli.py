"""`nearcast fill ingest`, `misses` and `report`: what was watched, what was not served where it should be, and why."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from config.errors import ConfigError, Problem
from config.fill import FillSettings
from config.options import duration_option, settings_options
from config.progress import Reporter
from config.units import show_bytes, show_duration
from fill.errors import FleetError

if TYPE_CHECKING:
    from fill.feed.ingest import Ingested
    from fill.feed.scores import Score
    from fill.ledger.accounts import Account, Accounts, By
    from fill.ledger.counterfactual import Saved
    from fill.ledger.reading import Ledger
    from fill.report import Gathered, Night

# A hundred rows are read by nobody; --json has all.
_MOST_ROWS = 50


def _results(function: Callable[..., Any]) -> Callable[..., Any]:
    """The two flags of every command that ends with a result."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output."),
        click.option("--quiet", is_flag=True, help="No progress, only the result and errors."),
    ):
        function = option(function)
    return function


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what is written, until stopped.")
@click.option(
    "--every", callback=duration_option, default="60s", show_default=True, help="With --follow: time between looks."
)
@_results
@settings_options(FillSettings, "fill")
def ingest(settings: FillSettings, follow: bool, every: float, as_json: bool, quiet: bool) -> None:
    """Take in access logs: what was watched is kept in `events`, each line once.

    A pass that is killed is completed by the next one.
    """
    from fill.feed.ingest import ingest as take_in
    from fill.feed.places import find_sites, places_of
    from fill.feed.store import Store

    _demand(settings, "events", "file:///DIRECTORY, where it is kept")
    _demand(settings, "access_logs", "the logs to take in")
    reporter = Reporter(quiet=quiet or as_json)
    store = Store(settings.events)
    stopped = _stop_signal() if follow else None
    while True:
        sites, trouble = asyncio.run(find_sites(settings, store))
        if trouble:
            reporter.say(f"{trouble}; appliances stand where they were known to ({len(sites)})")
        done = take_in(
            store,
            settings.access_logs,
            places_of(settings, sites),
            time.time,
            keep_lines_s=settings.keep_lines,
            keep_hours_s=settings.keep_hours,
            reporter=reporter,
            decision_logs=settings.decision_logs,
        )
        _say_ingested(done, as_json)
        if stopped is None or stopped.wait(every):
            break
    if done.unreadable:
        sys.exit(1)


@click.command()
@click.option("--by", type=click.Choice(["isp", "site", "title"]), default="site", show_default=True)
@click.option("--since", callback=duration_option, default="24h", show_default=True, help="How far back.")
@click.option("--follow", is_flag=True, help="Go on with what is written, until stopped.")
@click.option(
    "--every", callback=duration_option, default="10s", show_default=True, help="With --follow: time between tables."
)
@_results
@settings_options(FillSettings, "fill")
def misses(
    settings: FillSettings, by: str, since: float, follow: bool, every: float, as_json: bool, quiet: bool
) -> None:
    """Say of every byte whether it was served at its viewer's nearest site, and why not.

    Needs the access logs of appliances and origin, and steering's decision log. The last columns say what one more TB
    and one more appliance at the site would have saved.
    """
    from fill.ledger.accounts import By

    _demand(settings, "access_logs", "the logs of appliances and origin")
    reporter = Reporter(quiet=quiet or as_json)
    ledger = _ledger(settings, time.time() - since, reporter)
    stopped = _stop_signal() if follow else None
    ledger.read(time.time())
    while stopped is not None and not stopped.is_set():
        _show_misses(ledger.accounts, By(by), (), as_json)
        stopped.wait(every)
        ledger.read(time.time())
    accounts = ledger.close()
    seen = ledger.seen
    reporter.say(
        f"{seen.answers} answers to viewers and {seen.decisions} decisions of the last {show_duration(since)}"
        + "".join(
            f"; {number} {kind} lines were passed over"
            for kind, number in (("broken", seen.broken), ("repeated", seen.repeated), ("future", seen.future))
            if number
        )
    )
    for sentence in seen.unreadable.values():
        click.echo(sentence, err=True)
    saved = _saved(settings, accounts, reporter) if accounts.whole.missed else ()
    _show_misses(accounts, By(by), saved, as_json)
    if seen.unreadable:
        sys.exit(1)


@click.command()
@click.option("--since", callback=duration_option, default="24h", show_default=True, help="How far back.")
@_results
@settings_options(FillSettings, "fill")
def report(settings: FillSettings, since: float, as_json: bool, quiet: bool) -> None:
    """Last night, for each appliance: what was planned, done and missed and why; offload since, and forecast error.

    What came since within the day has lines of its own.
    """
    from fill.ledger.accounts import Accounts, By
    from fill.planner.keys import read_public
    from fill.report import gather, nights_end
    from origin.storage import open_storage

    keys = read_public(settings.plan_keys)
    now = time.time()

    async def read() -> Gathered:
        async with open_storage(settings.plans, s3_endpoint=settings.s3_endpoint) as storage:
            return await gather(storage, now - since, keys)

    gathered = asyncio.run(read())
    reporter = Reporter(quiet=quiet or as_json)
    for sentence in gathered.unreadable:
        reporter.say(sentence)
    offload: dict[str, Account] = {}
    if settings.access_logs and settings.decision_logs:
        ends = nights_end(gathered.nights)
        sites = {night.site for night in gathered.nights}
        first = min((ends.get(site, now - since) for site in sites), default=now - since)
        # A site without a night is accounted for since it could have had one.
        of_sites = dict.fromkeys(sites, now - since) | ends
        ledger = _ledger(settings, first, reporter, Accounts(of_sites))
        ledger.read(now)
        offload = {account.name: account for account in ledger.close().table(By.SITE)}
    scores = _scores(settings, now)
    if as_json:
        click.echo(json.dumps(_report_json(gathered, offload, scores), indent=2))
    else:
        _print_report(gathered, offload, scores)


def _stop_signal() -> threading.Event:
    """Set at SIGTERM or SIGINT, and what is under way then is done to its end."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _demand(settings: FillSettings, key: str, expected: str) -> None:
    if not getattr(settings, key):
        raise ConfigError([Problem("settings", key, "nothing", expected)])


def _say_ingested(done: Ingested, as_json: bool) -> None:
    if as_json:
        fields = {
            "logs": done.logs,
            "lines": done.lines,
            "hours": done.hours,
            "forgotten": done.forgotten,
            "refused": dict(done.refused),
            "unreadable": done.unreadable,
        }
        click.echo(json.dumps(fields))
        return
    refused = ", ".join(f"{number} {reason}" for reason, number in done.refused.most_common())
    click.echo(
        f"{done.lines} lines of {done.logs} logs; hours counted: {done.hours}"
        + (f"; in them do not count: {refused}" if refused else "")
    )
    for sentence in done.unreadable:
        click.echo(sentence, err=True)


def _ledger(settings: FillSettings, since: float, reporter: Reporter, accounts: Accounts | None = None) -> Ledger:
    from fill.feed.places import ask_sites, places_of
    from fill.ledger.join import Joiner
    from fill.ledger.reading import Ledger
    from fill.policy import NO_POLICY, decode_policy

    if not settings.decision_logs:
        reporter.say("decision_logs: found nothing, so nobody knows whose nearest site is where: all is unknown")
    try:
        sites = asyncio.run(ask_sites(settings))
    except FleetError as error:
        reporter.say(f"{error}; appliances stand where decisions say")
        sites = {}
    policy = decode_policy(str(settings.policy), _text_of(settings)) if settings.policy else NO_POLICY
    places = places_of(settings, sites)

    def may_hold(title: str, site: str) -> bool:
        return policy.may_hold(title, places.regions.get(site) or places.default, since)

    joiner = Joiner(sites, may_hold=may_hold)
    return Ledger(settings.access_logs, settings.decision_logs, since, joiner, accounts)


def _text_of(settings: FillSettings) -> str:
    assert settings.policy is not None
    try:
        return settings.policy.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(settings.policy), "file", str(error), "a readable TOML file")]) from error


def _saved(settings: FillSettings, accounts: Accounts, reporter: Reporter) -> tuple[Saved, ...]:
    """What more storage and another appliance would have saved at each site; nothing where nobody can be asked."""
    from fill.fleet import FleetClient
    from fill.ledger.accounts import By
    from fill.ledger.counterfactual import Appliance, saved_at
    from fill.names import FileName

    async def ask() -> tuple[Any, Any]:
        async with FleetClient(settings.steering, settings.origin) as client:
            return await asyncio.gather(client.fleet(), client.offers())

    try:
        fleet, offers = asyncio.run(ask())
    except FleetError as error:
        reporter.say(f"{error}: nobody says how large files are, nor what one more appliance would be")
        return ()
    sizes = {FileName(offer.package.title, file.name): file.size for offer in offers for file in offer.package.files}
    at_site = {seen.report.site: Appliance(seen.report.disk_bytes, seen.report.capacity_bps) for seen in fleet}
    return tuple(
        saved_at(row.name, accounts, sizes, at_site[row.name]) for row in accounts.table(By.SITE) if row.name in at_site
    )


def _show_misses(accounts: Accounts, by: By, saved: tuple[Saved, ...], as_json: bool) -> None:
    from fill.ledger.reasons import MISSES

    rows = accounts.table(by)
    whole = accounts.whole
    if as_json:
        value = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "bytes": whole.total,
            "missed": whole.missed,
            "offload": whole.offload,
            "by": by.value,
            "rows": [_account_json(row) for row in rows],
            "counterfactual": [one._asdict() for one in saved],
        }
        click.echo(json.dumps(value))
        return
    shown = [reason for reason in MISSES if whole.bytes.get(reason)]
    of_site = {one.site: one for one in saved} if by.value == "site" else {}
    counterfactual = ("1 TB more", "1 appliance more") if of_site else ()
    table = Table(by.value, "bytes", "offload", *(str(reason) for reason in shown), *counterfactual)
    for row in [*rows[:_MOST_ROWS], whole._replace(name="(all)")]:
        one = of_site.get(row.name)
        gains = (show_bytes(one.by_storage), show_bytes(one.by_appliance)) if one else ("",) * len(counterfactual)
        missed = (show_bytes(row.bytes[reason]) if row.bytes.get(reason) else "" for reason in shown)
        table.add_row(row.name or "(unknown)", show_bytes(row.total), f"{row.offload:.1%}", *missed, *gains)
    Console().print(table if rows else "Nothing was served.", markup=False)
    if len(rows) > _MOST_ROWS:
        click.echo(f"{len(rows) - _MOST_ROWS} more rows; --json has all.")


def _account_json(account: Account) -> dict[str, Any]:
    sent = {str(reason): size for reason, size in account.bytes.items() if size}
    return {"name": account.name, "bytes": account.total, "offload": account.offload, **sent}


def _scores(settings: FillSettings, now: float) -> dict[str, list[Score]]:
    """Of each region, oldest first."""
    if not settings.events:
        return {}
    from fill.feed.scores import score

    regions = {settings.region, *(site.region for site in settings.sites if site.region)}
    found = {region: score(settings.events, region, now) for region in sorted(regions)}
    return {region: scores for region, scores in found.items() if scores}


def _report_json(
    gathered: Gathered, offload: Mapping[str, Account], scores: Mapping[str, list[Score]]
) -> dict[str, Any]:
    return {
        "appliances": [
            {**msgspec.to_builtins(night), "fetched_bytes": night.fetched_bytes, "done": night.is_done}
            for night in gathered.nights
        ],
        "offload": [_account_json(account) for account in offload.values()],
        "forecasts": {region: msgspec.to_builtins(rows) for region, rows in scores.items()},
        "unreadable": list(gathered.unreadable),
    }


def _print_report(gathered: Gathered, offload: Mapping[str, Account], scores: Mapping[str, list[Score]]) -> None:
    from fill.feed.scores import running
    from fill.report import by_source

    table = Table("appliance", "site", "plan", "planned", "fetched", "took", "missed", "ended", "offload")
    for night in gathered.nights:
        table.add_row(*_night_row(night, None if night.at_once else offload.get(night.site)))
    console = Console()
    console.print(table if gathered.nights else "There are no plans yet.", markup=False)
    sources = ", ".join(f"{show_bytes(size)} from {source}" for source, size in by_source(gathered.nights).items())
    if sources:
        click.echo(f"fetched: {sources}")
    for night in gathered.nights:
        for failure in night.failed:
            click.echo(f"failed: {night.appliance}: {failure.title}/{failure.file}: {failure.reason}")
    if not scores:
        return
    forecasts = Table("region", "made", "model", "came", "error", "bias", "share of best", "within 1, 2 errors")
    for region, rows in scores.items():
        for row in rows[-7:]:
            forecasts.add_row(region, _moment(row.made_at), *_score_row(row))
        mean = running(rows)
        if mean is not None:
            forecasts.add_row(region, f"{len(rows)} days", *_score_row(mean))
    console.print(forecasts, markup=False)


def _night_row(night: Night, account: Account | None) -> tuple[str, ...]:
    return (
        night.appliance,
        night.site,
        "by day" if night.at_once else "night",
        show_bytes(night.planned_bytes),
        show_bytes(night.fetched_bytes),
        show_duration(night.ended - night.started) if night.passes else "",
        f"{night.failures} failed, {show_bytes(night.left_bytes)} left" if night.failures or night.left_files else "",
        night.why,
        f"{account.offload:.1%}" if account is not None else "",
    )


def _score_row(score: Score) -> tuple[str, ...]:
    return (
        score.model,
        show_bytes(score.came_bytes),
        f"{score.error:.0%}",
        f"{score.bias:+.0%}",
        f"{score.share:.1%}",
        f"{score.within_one:.0%}, {score.within_two:.0%}",
    )


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")
