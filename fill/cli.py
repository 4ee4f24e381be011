"""The `nearcast fill` commands, each loaded when it is run: an agent beside an appliance needs no planner."""

from __future__ import annotations

import click

from config.lazy import LazyGroup, Where

COMMANDS = {
    "plan": Where("fill.planner.cli:plan", "Decide what each appliance should hold."),
    "follow": Where("fill.planner.cli:follow", "The same, as long as it runs: by night, on publish, within the day."),
    "run": Where("fill.transfer.cli:run", "Carry out the plan of the appliance beside this agent."),
    "status": Where("fill.transfer.cli:status", "How far that is."),
    "preposition": Where("fill.transfer.cli:preposition", "Have files held now, out of turn."),
    "purge": Where("fill.transfer.cli:purge", "Have files dropped now."),
    "orders": Where("fill.transfer.cli:orders", "Take such orders over HTTP (RFC 8007)."),
    "ingest": Where("fill.feed.cli:ingest", "Keep what was watched, from access logs."),
    "misses": Where("fill.feed.cli:misses", "Every byte that was not served at its viewer's site, and why."),
    "report": Where("fill.feed.cli:report", "Last night: planned, done, missed; how good the forecast was."),
    "simulate": Where("fill.simulate.cli:simulate_command", "Replay demand against a fleet, and compare policies."),
    "size": Where("fill.simulate.cli:size_command", "What appliances a new site needs."),
    "bulk": Where("fill.planner.cli:bulk", "Plan thousands of clusters over millions of files."),
    "keys": Where("fill.planner.cli:keys", "Make the keys that plans are signed with."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def fill() -> None:
    """Decide what goes where, and move it."""
