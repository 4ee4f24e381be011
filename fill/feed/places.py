"""Where appliances stand, as steering says; while it does not answer, as it last said."""

from __future__ import annotations

from collections.abc import Mapping

from config.fill import FillSettings
from fill.errors import FleetError
from fill.feed.lines import Places
from fill.feed.store import Store, appear_json, read_json
from fill.fleet import FleetClient


def places_of(settings: FillSettings, sites: Mapping[str, str]) -> Places:
    """`sites`: appliance -> site; which region a site is of is configured."""
    regions = {site.name: site.region for site in settings.sites if site.region}
    return Places(sites, regions, settings.region)


async def ask_sites(settings: FillSettings) -> dict[str, str]:
    """The site of each appliance that steering knows. Raises FleetError."""
    async with FleetClient(settings.steering, settings.origin) as client:
        return {seen.report.name: seen.report.site for seen in await client.fleet()}


async def find_sites(settings: FillSettings, store: Store) -> tuple[dict[str, str], str]:
    """The site of each appliance that ever was, and why steering could not be asked ("" where it could).

    An appliance that is gone is kept in mind: its logs may still come. Raises FeedError.
    """
    known = _kept(store)
    try:
        known |= await ask_sites(settings)
    except FleetError as error:
        return known, str(error)
    appear_json(store.places, known)
    return known, ""


def _kept(store: Store) -> dict[str, str]:
    return read_json(store.places, dict[str, str], "delete it, and steering is asked again") or {}
