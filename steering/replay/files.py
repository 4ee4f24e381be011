"""The files that decide beside the journal: routes, geography, lists of prefixes. The journal has only their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.steering import SiteSettings, SteeringSettings
from steering.journal.moments import show_moment


def only_present(settings: SteeringSettings) -> tuple[SteeringSettings, list[str]]:
    """The settings without the files that are not here, and a sentence for each of those."""
    missing = [path for path in _named(settings) if not path.is_file()]
    changes: dict[str, Any] = {"token_keys": None}  # nobody gets a token
    changes |= {key: None for key in ("geo", "routes") if getattr(settings, key) in missing}
    if missing:
        changes["sites"] = tuple(_without(site, missing) for site in settings.sites)
    remarks = [f"{path} is not here, and places nobody" for path in missing]
    return dataclasses.replace(settings, **changes), remarks


def changed_since(settings: SteeringSettings, at: float) -> list[str]:
    """A sentence for each file that was another one at that time."""
    paths = (path for path in _named(settings) if path != settings.routes)  # of those their generation tells
    return [
        f"{path} was changed after {show_moment(at)}, and says what it says now"
        for path in paths
        if path.is_file() and path.stat().st_mtime > at
    ]


def _named(settings: SteeringSettings) -> Iterator[Path]:
    for path in (settings.routes, settings.geo):
        if path is not None:
            yield path
    for site in settings.sites:
        yield from site.prefix_files
        if site.geofeed is not None:
            yield site.geofeed


def _without(site: SiteSettings, missing: list[Path]) -> SiteSettings:
    return dataclasses.replace(
        site,
        prefix_files=tuple(path for path in site.prefix_files if path not in missing),
        geofeed=None if site.geofeed in missing else site.geofeed,
    )
