"""What is counted of the sessions of an experiment, so that they can be told from the others."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.steering import ExperimentSettings, SteeringSettings
from tests.steering.conftest import Steering
from tests.steering.values import report

CMCD = {"Content-Type": "application/cmcd"}
STALL = b'e=ps,sta=r,h="a1.localhost",sid="s",ts=1764752430000,v=2'
COUNTED = (
    "nearcast_steering_decisions_total",
    "nearcast_steering_polls_total",
    "nearcast_steering_complaints_total",
    "nearcast_steering_player_throughput_bits_per_second_count",
)


@pytest.fixture
def settings(settings: SteeringSettings) -> SteeringSettings:
    return replace(settings, experiments=(ExperimentSettings(name="short", share=1.0, ttl=5),))


async def by_cohort(steering: Steering, names: tuple[str, ...] = COUNTED) -> dict[str, dict[str, float]]:
    async with await steering.get("/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        samples = [sample for family in families for sample in family.samples]
    return {name: {one.labels["cohort"]: one.value for one in samples if one.name == name} for name in names}


async def test_what_sessions_of_an_experiment_meet_is_counted_by_their_cohort(steering: Steering) -> None:
    await steering.report(report("a1"))
    async with await steering.get("/play/film/master.m3u8") as answer:
        (token,) = re.findall(r'SERVER-URI="[^"]+\?s=([^"]+)"', await answer.text())
    async with await steering.get(f"/steer/hls?s={token}&_HLS_pathway=a1&_HLS_throughput=5000000"):
        pass
    async with steering.client.post(f"/cmcd?s={token}", data=STALL, headers=CMCD):
        pass
    assert await by_cohort(steering) == {name: {"short": 1.0} for name in COUNTED}


async def test_a_complaint_of_no_session_of_ours_is_in_no_cohort_and_a_scrape_counts_nothing_twice(
    steering: Steering,
) -> None:
    await steering.report(report("a1"))
    complaints = ("nearcast_steering_complaints_total",)
    for count in (1.0, 2.0):
        async with steering.client.post("/cmcd", data=STALL, headers=CMCD):
            pass
        for _ in range(2):
            assert await by_cohort(steering, complaints) == {complaints[0]: {"?": count}}
