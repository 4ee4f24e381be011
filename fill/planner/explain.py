"""Why a file is where it will be, what changes since the plans before, and what is doubtful about a night's plans.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from config.units import show_bytes, show_duration, show_rate
from fill.errors import PlanError
from fill.forecast.expected import Expected, Forecast
from fill.names import FileName, Offer
from fill.planner.form import Line, Plan
from fill.planner.terms import NO_TERMS, SiteTerms
from fill.policy import Policy

# A plan that leaves more than this of the demand it could serve is worth a word.
_LITTLE = 0.01
_SHOWN = 20


class Change(NamedTuple):
    """How an appliance's plan differs from the one before, in files."""

    appliance: str
    comes: tuple[Line, ...]  # was not planned to be held
    goes: tuple[Line, ...]  # was, and is not any more
    stays: int
    churn: float  # bytes that come, as a share of what was planned to be held


def explain(
    name: FileName,
    offers: Sequence[Offer],
    forecasts: Mapping[str, Forecast],
    plans: Mapping[str, Plan],
    policy: Policy,
    sites: Mapping[str, SiteTerms],
    now: float,
) -> list[str]:
    """Why a file is where it will be: what each region is expected to watch of it, and each appliance's line for it.

    Raises PlanError if the catalog has no such file.
    """
    sizes = {
        file.name: file.size for offer in offers if offer.package.title == name.title for file in offer.package.files
    }
    if name.file not in sizes:
        raise PlanError(f"the catalog has no file {name.title}/{name.file}")
    what = f"{name.title}/{name.file} ({show_bytes(sizes[name.file])})"
    lines = []
    for region, forecast in sorted(forecasts.items()):
        where = f" in {region}" if len(forecasts) > 1 else ""
        lines.append(f"{what} {_watched(forecast.expected.get(name))}{where}{_because(forecast.expected.get(name))}")
    release = policy.release(name.title)
    if release.at > now:
        lines.append(f"  not served before its release, in {show_duration(release.at - now)}")
    for appliance, made in sorted(plans.items()):
        region = sites.get(made.site, NO_TERMS).region
        said = _said(made, name) or _absent(policy, name.title, region, now, forecasts.get(region), name, made)
        lines.append(f"  {appliance} ({made.site}): {said}")
    return lines


def _watched(amount: Expected | None) -> str:
    if amount is None:
        return "is neither video nor audio"
    error = f" (give or take {amount.error:.2g})" if amount.error else ""
    return f"is expected to have {amount.plays:.3g} plays a day{error}"


def _because(amount: Expected | None) -> str:
    return f": {amount.reason}" if amount else ""


def _said(plan: Plan, name: FileName) -> str:
    for word, lines in (("fetch", plan.fetches), ("keep", plan.keeps), ("drop", plan.drops)):
        for position, line in enumerate(lines):
            if (line.title, line.file) == name:
                place = f", {position + 1}. of {len(lines)}" if word == "fetch" else ""
                master = ", from outside the site" if line.master else ""
                return f"{word}{place}{master}: {line.reason}"
    return ""


def _absent(
    policy: Policy, title: str, region: str, now: float, forecast: Forecast | None, name: FileName, plan: Plan
) -> str:
    if not policy.may_hold(title, region, now):
        return f"not here: it may not be held in region {region}"
    if forecast is None or name not in forecast.expected:
        return "not here: nothing is expected of it"
    if plan.left_files:
        return f"not here tonight: elsewhere, or among the {plan.left_files} files left for later nights"
    return "not here: its copies are elsewhere, or are not worth the room"


def changes(before: Mapping[str, Plan], after: Mapping[str, Plan]) -> list[Change]:
    """What each appliance will hold, against what it was to hold by the plan before."""
    found = []
    for name, made in sorted(after.items()):
        old = {line.key: line for line in _held(before.get(name))}
        new = {line.key: line for line in _held(made)}
        comes = tuple(line for key, line in new.items() if key not in old)
        goes = tuple(line for key, line in old.items() if key not in new)
        held = sum(line.size for line in old.values())
        churn = sum(line.size for line in comes) / held if held else 1.0 if comes else 0.0
        found.append(Change(name, comes, goes, len(new) - len(comes), churn))
    return found


def show_changes(found: Sequence[Change]) -> list[str]:
    lines = []
    for change in found:
        lines.append(
            f"{change.appliance}: {len(change.comes)} files come ({_size(change.comes)}, {change.churn:.2%} of what "
            f"was planned), {len(change.goes)} go ({_size(change.goes)}), {change.stays} stay"
        )
        for sign, moved in (("+", change.comes), ("-", change.goes)):
            lines += [f"  {sign} {line.title}/{line.file} ({show_bytes(line.size)})" for line in moved[:_SHOWN]]
            if len(moved) > _SHOWN:
                lines.append(f"  {sign} and {len(moved) - _SHOWN} more")
    return lines


def _held(plan: Plan | None) -> tuple[Line, ...]:
    return (*plan.keeps, *plan.fetches) if plan else ()


def _size(lines: Sequence[Line]) -> str:
    return show_bytes(sum(line.size for line in lines))


def doubts(
    plans: Mapping[str, Plan],
    forecasts: Mapping[str, Forecast],
    offers: Sequence[Offer],
    sites: Mapping[str, SiteTerms],
    rates: Mapping[str, int],
) -> list[str]:
    """Sentences on what an operator should look at before he trusts the plans; `rates` are serving rates, bit/s."""
    found = []
    if not offers:
        found.append("the catalog offers nothing: everything that is held will be dropped")
    for region in sorted({sites.get(made.site, NO_TERMS).region for made in plans.values()}):
        forecast = forecasts.get(region)
        if forecast is None or not any(amount.plays > 0 for amount in forecast.expected.values()):
            found.append(f"region {region}: nothing is expected to be watched, so nothing is fetched there")
    for site in sorted({made.site for made in plans.values()}):
        cluster = [made for made in plans.values() if made.site == site]
        held, share = sum(made.held_bytes for made in cluster), sum(made.share for made in cluster)
        if offers and not held:
            found.append(f"site {site}: its plans hold nothing at all")
        elif 0 < share < _LITTLE:
            found.append(f"site {site}: its disks have room for {share:.2%} of the expected demand only")
    for name, made in sorted(plans.items()):
        if made.peak_bps > (rate := rates.get(name, 0)) > 0:
            found.append(
                f"{name}: {show_rate(made.peak_bps)} expected in the busiest hour, it serves {show_rate(rate)}"
            )
    return found
