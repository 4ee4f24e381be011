from __future__ import annotations

import numpy as np
import pytest

from fill.simulate.models import Shape, synthetic
from fill.simulate.source import EVERYWHERE
from fill.simulate.thinning import thin

SHAPE = Shape(titles=50, new=0.05)


def test_regions_are_alike_but_not_the_same() -> None:
    plays = synthetic(SHAPE, 3, ["a", "b"], 1).plays
    assert set(plays) == {"a", "b", EVERYWHERE}
    assert 0.2 < np.corrcoef(plays["a"].sum(axis=0), plays["b"].sum(axis=0))[0, 1] < 0.999


def test_nothing_is_watched_before_its_release() -> None:
    model = synthetic(SHAPE, 20, ["a"], 1)
    for day in range(20):
        assert not model.plays["a"][day][model.catalogue.released > day].any()


def test_many_regions_are_made_when_asked_for_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    held = synthetic(SHAPE, 3, ["a", "b"], 1)
    monkeypatch.setattr("fill.simulate.models.MOST_AT_ONCE", 0)
    made = synthetic(SHAPE, 3, ["a", "b"], 1)
    assert (type(held.plays) is dict, type(made.plays) is dict) == (True, False)
    assert all((held.plays[region] == made.plays[region]).all() for region in held.plays)
    thinner = thin(made, 100, 0)
    assert type(thinner.plays) is dict  # type: ignore[union-attr]
    with pytest.raises(KeyError):
        made.plays["c"]
