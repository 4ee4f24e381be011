"""Other CDNs, and what a session draws among them."""

from __future__ import annotations

from collections import Counter

import pytest

from config.steering import CdnSettings
from steering.choice.cdns import Cdns
from steering.draws import seed_of
from steering.errors import PolicyError


def cdn(name: str, price: float = 0.0, weight: float = 1.0) -> CdnSettings:
    return CdnSettings(name=name, url=f"https://{name}.example/", price=price, weight=weight)


def test_the_cheapest_is_asked_first_by_every_session() -> None:
    cdns = Cdns([cdn("dear", 3, 100), cdn("cheap", 1)])
    assert {tuple(one.name for one in cdns.order(seed_of(f"s{n}"))) for n in range(99)} == {("cheap", "dear")}


def test_sessions_draw_among_those_of_a_price_by_weight_and_keep_what_they_drew() -> None:
    cdns = Cdns([cdn("a", weight=0.1), cdn("b", weight=0.3)])
    firsts = Counter(cdns.order(seed_of(f"s{n}"))[0].name for n in range(4000))
    assert firsts["b"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert cdns.order(0.7) == cdns.order(0.7)


def test_a_cdn_without_weight_is_off() -> None:
    cdns = Cdns([cdn("off", weight=0)], most=2)
    assert (cdns.order(0.1), cdns.most) == ([], 0)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ([cdn("origin")], "found the name 'origin'"),
        ([cdn("a"), cdn("a")], "found the name 'a'"),
        ([CdnSettings(name="a", url="")], "found no url"),
        ([cdn("a", weight=-1)], "found a weight of -1, expected 0 or more"),
    ],
)
def test_cdns_that_make_no_sense_are_refused(declared: list[CdnSettings], found: str) -> None:
    with pytest.raises(PolicyError, match=found) as refusal:
        Cdns(declared)
    assert refusal.value.exit_code == 2
