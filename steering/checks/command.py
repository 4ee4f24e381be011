"""`nearcast steering prefixes check`: what an ISP's or operator's prefixes are about to do, before they do it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO

import click
import msgspec

from config.loader import load
from config.steering import SteeringSettings
from steering.checks.lint import Finding, Heard, Route, Severity, gather, lint
from steering.checks.registry import Space, parse_registry
from steering.errors import DumpError, SitesError
from steering.placement.sites import Sites
from steering.prefixes.listed import Listing
from steering.prefixes.lists import read_lists


@click.group()
def prefixes() -> None:
    """Who belongs to which site."""


@prefixes.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--routes", type=click.File("rb"), metavar="DUMP", help="What `nearcast steering routes dump` printed.")
@click.option(
    "--registry",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Space that was given out: an RIR's delegated-extended file, route objects, or a list of prefixes.",
)
@click.option("--json", "as_json", is_flag=True, help="The findings for a program.")
def check(file: Path, routes: IO[bytes] | None, registry: Path | None, as_json: bool) -> None:
    """Check the sites and prefixes of the configuration FILE, and with --routes what is announced to them.

    Ends with 1 if anything is wrong, 0 if nothing is; warnings and notes are for people to judge.
    """
    settings = load(SteeringSettings, "steering", file=file, environ={})
    listings = read_lists(settings.sites)
    Sites(settings.sites, settings.default_site, listings)
    listings = [*(Listing(site.name, site.prefixes) for site in settings.sites), *listings]
    heard = gather(_read_dump(routes), settings.bgp) if routes is not None else None
    space = _read_registry(registry) if registry is not None else None
    findings = lint(settings.sites, settings.default_site, listings, heard, space)
    counts = _counts([site.name for site in settings.sites], listings, heard)
    click.echo(_as_json(file, counts, findings) if as_json else _as_text(file, counts, findings))
    if any(finding.severity is Severity.ERROR for finding in findings):
        sys.exit(1)


def _read_dump(lines: IO[bytes]) -> Iterator[Route]:
    """Raises DumpError that names the line."""
    decoder = msgspec.json.Decoder(Route)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DumpError(
                f"--routes, line {number}: {error}, expected what `nearcast steering routes dump` prints"
            ) from error


def _read_registry(path: Path) -> Space:
    try:
        return parse_registry(str(path), path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise SitesError(f"{path} cannot be read: {error.strerror}, expected a registry's file") from error


def _counts(sites: Sequence[str], listings: Sequence[Listing], heard: Heard | None) -> dict[str, dict[str, int]]:
    """Of each site how many prefixes it lists, and how many were announced to it and believed."""
    listed: Counter[str] = Counter()
    for listing in listings:
        listed[listing.site] += len(listing.prefixes)
    announced = heard.counts() if heard is not None else {}
    return {site: {"listed": listed[site], "announced": announced.get(site, 0)} for site in sites}


def _as_json(file: Path, counts: dict[str, dict[str, int]], findings: Sequence[Finding]) -> str:
    said = [msgspec.to_builtins(finding) | {"severity": finding.severity.name.lower()} for finding in findings]
    return json.dumps({"file": str(file), "sites": counts, "findings": said}, indent=2)


def _as_text(file: Path, counts: dict[str, dict[str, int]], findings: Sequence[Finding]) -> str:
    lines = []
    for site, own in groupby(findings, key=lambda finding: finding.site):
        count = counts.get(site)
        about = f"listed {count['listed']:,}, announced {count['announced']:,}" if count is not None else ""
        lines.append(f"{site} ({about})" if about else site or "all sites")
        lines += map(_line, own)
        lines.append("")
    tally = Counter(finding.severity for finding in findings)
    said = [_tally(tally[severity], severity) for severity in reversed(Severity) if tally[severity]]
    listed, announced = (sum(count[kind] for count in counts.values()) for kind in ("listed", "announced"))
    verdict = ", ".join(said) or "good"
    return "\n".join([*lines, f"{file}: {verdict} ({len(counts)} sites, {listed:,} listed, {announced:,} announced)"])


def _line(finding: Finding) -> str:
    examples = ", ".join(finding.examples)
    more = ", ..." if finding.prefixes > len(finding.examples) else ""
    return f"  {finding.severity.name.lower():8} {finding.text}" + (f" ({examples}{more})" if examples else "")


def _tally(count: int, severity: Severity) -> str:
    return f"{count} {severity.name.lower()}{'' if count == 1 else 's'}"
