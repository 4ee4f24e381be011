"""What is tried on a part of the sessions, and which sessions are in it.

Each experiment draws its cohort by the session's name, so a session stays in it wherever and whenever it asks, and
experiments are independent: a session may be in several, where the one that was declared first decides what both
change. The cohort's name is in every decision and in what is counted, for the results of its sessions to be told from
those of the others.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from config.steering import ExperimentSettings
from steering.draws import salt_of, seed_of, uniform
from steering.errors import PolicyError


@dataclass(frozen=True, slots=True)
class Policy:
    """How a session is steered; `cohort` names the experiments that it is in, "" for none."""

    most: int = 3  # appliances in a manifest
    ttl_s: int = 10
    weighs_capacity: bool = False  # sessions spread by capacity and not by what is spare of it
    by_distance: bool = False  # nearness is distance, though round trips are known
    cohort: str = ""


class Cohorts:
    def __init__(self, usual: Policy, experiments: Iterable[ExperimentSettings] = ()) -> None:
        """Raises PolicyError."""
        experiments = tuple(experiments)
        for one in experiments:
            _check(one, [other.name for other in experiments])
        self._usual = usual
        self._experiments = [one for one in experiments if one.share > 0]
        self._draws = [
            (number, salt_of(f"experiment {one.name}"), one.share) for number, one in enumerate(self._experiments)
        ]
        self._policies: dict[tuple[int, ...], Policy] = {}

    def policy(self, session: str) -> Policy:
        """What a session is steered by; one whose name is not known is in no cohort."""
        if not self._draws or not session:
            return self._usual
        seed = seed_of(session)
        joined = tuple([number for number, salt, share in self._draws if uniform(seed, salt) < share])
        policy = self._policies.get(joined)
        if policy is None:
            policy = self._policies[joined] = _changed(self._usual, [self._experiments[number] for number in joined])
        return policy


def _changed(policy: Policy, experiments: Sequence[ExperimentSettings]) -> Policy:
    for one in reversed(experiments):
        policy = replace(
            policy,
            most=one.pathways or policy.most,
            ttl_s=one.ttl or policy.ttl_s,
            weighs_capacity=one.weigh == "capacity" or policy.weighs_capacity,
            by_distance=one.nearness == "distance" or policy.by_distance,
        )
    return replace(policy, cohort="+".join(one.name for one in experiments))


def _check(experiment: ExperimentSettings, names: list[str]) -> None:
    """Raises PolicyError."""
    if names.count(experiment.name) > 1:
        raise PolicyError(
            f"experiments: found {names.count(experiment.name)} of the name {experiment.name!r}, expected one"
        )
    if not 0 <= experiment.share <= 1:
        raise PolicyError(f"experiment {experiment.name!r}: found a share of {experiment.share:g}, expected 0 to 1")
