"""Experiments, and which sessions are in them."""

from __future__ import annotations

import pytest

from config.steering import ExperimentSettings
from steering.choice.cohorts import Cohorts, Policy
from steering.errors import PolicyError

LONG = ExperimentSettings(name="long", share=0.5, pathways=5, ttl=30)
WEIGHED = ExperimentSettings(name="weighed", share=0.5, ttl=20, weigh="capacity", nearness="distance")
SESSIONS = [f"s{number}" for number in range(4000)]


def test_without_experiments_all_are_steered_as_usual() -> None:
    assert Cohorts(Policy()).policy("s") == Policy()


def test_an_experiment_has_its_share_of_the_sessions() -> None:
    cohorts = Cohorts(Policy(), [ExperimentSettings(name="few", share=0.1, ttl=30)])
    share = sum(cohorts.policy(session).cohort == "few" for session in SESSIONS) / len(SESSIONS)
    assert share == pytest.approx(0.1, abs=0.02)


def test_a_session_stays_in_its_cohort() -> None:
    one, other = (Cohorts(Policy(), [LONG, WEIGHED]) for _ in range(2))
    assert [one.policy(session) for session in SESSIONS] == [other.policy(session) for session in SESSIONS]


def test_experiments_are_independent() -> None:
    cohorts = Cohorts(Policy(), [LONG, WEIGHED])
    counted = [cohorts.policy(session).cohort for session in SESSIONS]
    for cohort in ("", "long", "weighed", "long+weighed"):
        assert counted.count(cohort) / len(SESSIONS) == pytest.approx(0.25, abs=0.04)


def test_of_two_experiments_the_first_decides_what_both_change() -> None:
    cohorts = Cohorts(Policy(3, 10), [LONG, WEIGHED])
    policies = {policy.cohort: policy for policy in map(cohorts.policy, SESSIONS)}
    assert policies["long+weighed"] == Policy(5, 30, weighs_capacity=True, by_distance=True, cohort="long+weighed")
    assert policies["weighed"] == Policy(3, 20, weighs_capacity=True, by_distance=True, cohort="weighed")


def test_a_session_without_a_name_is_in_no_cohort() -> None:
    assert Cohorts(Policy(), [ExperimentSettings(name="all", share=1.0)]).policy("") == Policy()


@pytest.mark.parametrize(
    ("experiments", "found"),
    [([LONG, LONG], "found 2 of the name 'long'"), ([ExperimentSettings(name="x", share=1.5)], "found a share of 1.5")],
)
def test_experiments_that_make_no_sense_are_refused(experiments: list[ExperimentSettings], found: str) -> None:
    with pytest.raises(PolicyError, match=found):
        Cohorts(Policy(), experiments)
