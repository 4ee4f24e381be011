"""Made-up files of the two formats, so that the command runs where there is no real data: its numbers mean little.

Daily lists: videos are published all day, are watched by a heavy tail of audiences that differ by country, and fade.
Half-years: titles with a tail of hours, seasons of shows, and releases in each half.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

LISTS_HEADER = (
    "date", "country", "video_id", "published_at", "category_id", "is_live", "duration", "definition", "views", "likes",
)  # fmt: skip
HALVES_HEADER = (
    "report", "kind", "title", "available_globally", "release_date", "hours_viewed", "runtime_min", "views",
)  # fmt: skip
_START = date(2026, 1, 1)
_LISTED = 50
_PER_DAY = 400
_LIVES_DAYS = 12


def lists(
    seed: int = 1, *, days: int = 60, countries: Sequence[str] = ("AA", "BB", "CC", "DD", "EE", "FF")
) -> list[list[str]]:
    """Rows as of a file of daily lists, without its header."""
    random = np.random.default_rng(seed)
    count = (days + _LIVES_DAYS) * _PER_DAY
    born = np.sort(random.random(count) * (days + _LIVES_DAYS)) - _LIVES_DAYS
    audience = random.pareto(1.1, count) * 1e4
    half_life = random.lognormal(0.2, 0.6, count)
    home = random.integers(0, len(countries), count)
    away = random.random((count, len(countries))) ** 4 * 0.5
    away[np.arange(count), home] = 1.0
    category, length = random.choice([1, 10, 20, 24], count), random.integers(30, 3000, count)
    rows = []
    for day in range(days):
        age = day - born
        alive = np.flatnonzero((age > 0) & (age < _LIVES_DAYS))
        views = audience[alive] * (1 - 0.5 ** (age[alive] / half_life[alive]))
        rate = audience[alive] * 0.5 ** (age[alive] / half_life[alive]) / half_life[alive]
        when = _START + timedelta(days=day)
        for number, country in enumerate(countries):
            appeal = rate * away[alive, number] * random.lognormal(0, 0.4, len(alive))
            for place in np.argsort(-appeal)[:_LISTED]:
                video = alive[place]
                published = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=float(born[video]))
                rows.append([
                    when.isoformat(), country, f"v{video:06d}", published.isoformat(sep=" ", timespec="seconds"),
                    str(category[video]), "False", str(length[video]), "hd", str(int(views[place])),
                    str(int(views[place] * 0.05)),
                ])  # fmt: skip
    return rows


def halves(seed: int = 1, *, titles: int = 3000) -> list[list[str]]:
    """Rows as of a file of half-years, three of them, without its header."""
    random = np.random.default_rng(seed)
    rows = []
    reports = (("2025Jan-Jun", date(2025, 1, 1)), ("2025Jul-Dec", date(2025, 7, 1)), ("2026Jan-Jun", date(2026, 1, 1)))
    released = random.integers(-1500, 540, titles)
    appeal = random.pareto(1.0, titles // 4 + 1) * 2e6 + 1e5
    minutes = random.integers(60, 600, titles)
    for name, start in reports:
        opened = (start - reports[0][1]).days
        for title in range(titles):
            days = min(181, opened + 181 - released[title])
            if days <= 0:
                continue
            age = max(0, opened - released[title])
            hours = appeal[title // 4] * 0.6 ** (title % 4) * 0.5 ** (age / 300) * (days / 181) ** 0.5
            hours *= random.lognormal(0, 0.3)
            is_show = title % 4 != 3
            label = f"Show {title // 4}: Season {title % 4 + 1}" if is_show else f"Film {title // 4}"
            when = (reports[0][1] + timedelta(days=int(released[title]))).isoformat()
            rows.append([
                name, "show" if is_show else "film", label, "Yes" if title % 3 else "No", when if title % 2 else "",
                str(int(hours)), str(minutes[title]), str(int(hours * 60 / minutes[title])),
            ])  # fmt: skip
    return rows
