"""A decision in words."""

from __future__ import annotations

import json

from config.steering import CdnSettings
from steering.appliances.roll import Health
from steering.choice.cdns import Cdns
from steering.choice.cohorts import Policy
from steering.choice.explain import as_json, as_text
from steering.choice.ranking import Beyond
from tests.steering.choice.test_ranking import FILM, decided
from tests.steering.values import appliance


def test_a_decision_is_json_without_infinities() -> None:
    explained = as_json(decided(appliance("n", holds=FILM), appliance("x", "unheard-of")))
    assert json.loads(json.dumps(explained, allow_nan=False)) == explained
    assert [pathway["name"] for pathway in explained["pathways"]] == ["n", "x", "origin"]
    assert explained["pathways"][1]["distance_km"] is None


def test_the_text_says_whom_to_ask_and_why() -> None:
    lost = appliance("gone", health=Health.LOST, cause="silent for more than 6.0s")
    text = as_text(as_json(decided(appliance("n", holds=FILM), lost)))
    assert text.splitlines()[0] == "film for 127.0.0.1: ask n > origin"
    assert "in 127.0.0.0/9" in text
    assert "gone (not usable)" in text
    assert "lost: silent for more than 6.0s" in text


def test_a_cdn_is_compared_where_manifests_list_cdns_or_the_session_knows_it() -> None:
    elsewhere = [CdnSettings(name="elsewhere", url="https://cdn.example")]
    for most, listed, compared in ((1, (), True), (0, (), False), (0, ("elsewhere",), True)):
        beyond = Beyond("http://origin.localhost:8070", Cdns(elsewhere, most))
        explained = decided(beyond=beyond, listed=listed)
        assert ("elsewhere" in explained.decision.priority) == compared
        assert ("elsewhere" in [step.candidate.name for step in explained.steps]) == compared


def test_the_cohort_is_named() -> None:
    explained = as_json(decided(appliance("n"), policy=Policy(cohort="by-capacity")))
    assert explained["cohort"] == "by-capacity"
    assert as_text(explained).startswith("film for 127.0.0.1, in cohort by-capacity: ask n > origin")
