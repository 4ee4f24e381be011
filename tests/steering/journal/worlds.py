"""A small fleet that changes from look to look, and a catalog, for tests of the journal."""

from __future__ import annotations

from typing import Any

from oca.report import EVERY_FILE
from steering.catalog import Entry, Title, read_title
from steering.journal.changes import Changes, Look
from steering.journal.past import Past
from steering.journal.records import Record
from tests.steering.values import manifest, package, report


def title(name: str = "film", **changes: Any) -> Title:
    digest, data = manifest(package(name))
    fields: dict[str, Any] = {
        "title": name,
        "package": digest,
        "name": name,
        "duration": 8.0,
        "size": 1000,
        "poster": "",
        "published_at": "2026-01-01T00:00:00Z",
    }
    return read_title(Entry(**{**fields, **changes}), data)


def look(name: str = "a1", *, health: str = "healthy", share: float = 1.0, **changes: Any) -> Look:
    one = report(name, **changes)
    return Look(one, one.held or {}, one.held_version, health, share=share)


def holding(*titles: Title) -> dict[str, tuple[str, ...]]:
    return {f"{one.entry.title}/{one.entry.package}": EVERY_FILE for one in titles}


def spoken(changes: Changes, *looks: Look, now: float) -> list[Record]:
    records: list[Record] = []
    for one in looks:
        if changes.has_news(one.report, one.held, one.held_version, one.health, one.share, now):
            records += changes.appliance(one, now)
    return records + list(changes.gathered(now))


def heard(*records: Record, past: Past | None = None) -> Past:
    past = past or Past()
    for record in records:
        list(past.take(record))
    return past
