"""A decision as people and programs read it: the same steps as JSON and as text."""

from __future__ import annotations

import math
from typing import Any

from steering.ranking import Candidate, Decision, Turn


def as_json(decision: Decision) -> dict[str, Any]:
    """The whole decision; `pathways` best first, with what decided each place."""
    client, content, placement = decision.client, decision.content, decision.placement
    return {
        "client": client.address,
        "session": client.session,
        "title": content.title,
        "package": content.package,
        "placement": {
            "site": placement.site,
            "by": placement.by.value,
            "prefix": placement.prefix,
            "reason": placement.reason,
        },
        "priority": list(decision.priority),
        "listed": list(decision.listed),
        "pathways": [_pathway(candidate) for candidate in decision.candidates],
    }


def as_text(explained: dict[str, Any]) -> str:
    """What `as_json` says, for a terminal."""
    lines = [
        f"{explained['title']} for {explained['client']}: ask {' > '.join(explained['priority'])}",
        f"  {explained['placement']['reason']}",
    ]
    for position, pathway in enumerate(explained["pathways"], start=1):
        mark = "" if pathway["usable"] else " (not usable)"
        lines.append(f"{position:3}  {pathway['name']}{mark}  {pathway['url']}")
        lines += [f"       {reason}" for reason in pathway["reasons"]]
    return "\n".join(lines)


def _pathway(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "url": candidate.url,
        "site": candidate.site,
        "health": candidate.health.value if candidate.health is not None else "",
        "usable": candidate.is_usable,
        "origin": candidate.turn is Turn.ORIGIN,
        "local": candidate.is_local,
        "holding": candidate.holding.name.lower(),
        # JSON has no infinity.
        "distance_km": candidate.distance_km if math.isfinite(candidate.distance_km) else None,
        "spare_bps": candidate.spare_bps,
        "reasons": list(candidate.reasons),
    }
