"""What is changed in a replay.

Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.steering import ExperimentSettings, SiteSettings, SteeringSettings
from steering.errors import ReplayError

# An experiment's own settings; what is left of it is what sets its cohort apart.
_OF_EXPERIMENTS = tuple(one for one in dataclasses.fields(ExperimentSettings) if one.name not in ("name", "share"))


@dataclass(frozen=True)
class Change:
    """Nothing, by default."""

    sites_down: frozenset[str] = frozenset()
    appliances_down: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)
    experiment: Mapping[str, Any] = field(default_factory=dict)  # what everybody gets that an experiment may change
    sites: tuple[SiteSettings, ...] | None = None
    default_site: str = ""
    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.words)

    def apply(self, settings: SteeringSettings) -> SteeringSettings:
        changes = dict(self.settings)
        if self.experiment:
            changes["experiments"] = (ExperimentSettings(name="changed", share=1.0, **self.experiment),)
        if self.sites is not None:
            changes |= {"sites": self.sites, "default_site": self.default_site}
        return dataclasses.replace(settings, **changes) if changes else settings

    def is_down(self, appliance: str, site: str) -> bool:
        return site in self.sites_down or appliance in self.appliances_down

    def check(self, appliances: Collection[str], sites: Collection[str]) -> None:
        """Raises ReplayError where what should be down was never there."""
        for what, down, known in (
            ("site", self.sites_down, sites),
            ("appliance", self.appliances_down, appliances),
        ):
            for name in sorted(down - set(known)):
                raise ReplayError(
                    f"--{what}-down {name}: found no such {what} in the journal, expected one of {_some(known)}"
                )


def read_policy(texts: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of steering and of experiments from KEY=VALUE, as in the configuration. Raises ReplayError."""
    fields = {one.name: one for one in dataclasses.fields(SteeringSettings) if one.metadata["of"] is None}
    of_experiments = {one.name: one for one in _OF_EXPERIMENTS if one.name not in fields}
    settings: dict[str, Any] = {}
    experiment: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        found = fields.get(key) or of_experiments.get(key)
        if found is None:
            raise ReplayError(
                f"--policy {text}: found the key {key!r}, expected one of {_some([*fields, *of_experiments])}"
            )
        kind = found.metadata["kind"]
        try:
            (settings if key in fields else experiment)[key] = kind.parse(value)
        except ValueError:
            raise ReplayError(f"--policy {text}: found {value!r}, expected {kind.expected}") from None
    return settings, experiment


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:20]) + (f" and {len(ordered) - 20} more" if len(ordered) > 20 else "") or "(none)"
