from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from fill.forecast.expected import Expected, Forecast
from fill.names import FileName, Offer
from fill.planner.placing import Candidate, Placing
from fill.planner.plan import Plan, plan
from tests.fill.catalogs import MIB, NOW, make_offer, make_seen, package_key
from tests.fill.planner.fleets import make

AUDIO = "audio-en.mp4"


def ladder(count: int) -> tuple[list[Offer], Forecast]:
    """Titles by Zipf's law, whose renditions are watched very unlike each other: the audio most, the top rung least."""
    sizes = {"v240": 2 * MIB, "v480": 5 * MIB, "v1080": 20 * MIB}
    offers = [make_offer(f"t{number:03d}x", video=sizes) for number in range(count)]
    shares = {AUDIO: 1.0, "v240.mp4": 0.3, "v480.mp4": 0.5, "v1080.mp4": 0.2}
    expected = {
        FileName(offer.package.title, file): Expected(1e3 / rank * share, "a test")
        for rank, offer in enumerate(offers, 1)
        for file, share in shares.items()
    }
    return offers, Forecast("default", NOW, "test", expected, np.full(24, 1 / 24))


def media(plans: Iterable[Plan]) -> dict[str, dict[str, set[str]]]:
    """By title and appliance: the video and audio that is there when all is done."""
    found: dict[str, dict[str, set[str]]] = {}
    for made in plans:
        for line in (*made.keeps, *made.fetches):
            if line.file.endswith(".mp4"):
                found.setdefault(line.title, {}).setdefault(made.appliance, set()).add(line.file)
    return found


def test_a_title_is_whole_on_one_appliance_and_audio_is_nowhere_without_video() -> None:
    offers, forecast = ladder(200)
    disk = sum(offer.package.size for offer in offers) * 3 // 10 // 12
    seen = [make_seen(f"x{number:02d}", disk=disk) for number in range(12)]
    placed = media(plan(offers, {"default": forecast}, seen, now=NOW, copies=2).values())
    whole = [title for title, by_name in placed.items() if set().union(*by_name.values()) in by_name.values()]
    assert len(whole) > 0.97 * len(placed)
    assert not [title for title, by_name in placed.items() if {AUDIO} in by_name.values()]


def test_what_is_held_of_a_package_is_completed_where_it_is() -> None:
    offer = make_offer("film")
    for holder in "xyz":
        has = {package_key(offer): ("v720.mp4", AUDIO)}
        seen = [make_seen(name, held=has if name == holder else None) for name in "xyz"]
        others = [make_offer(f"t{number}") for number in range(8)]
        plays = {"film": 1.0, **{f"t{number}": 10.0 for number in range(8)}}
        plans = make([offer, *others], plays, *seen)
        assert {name for name, made in plans.items() if any(line.title == "film" for line in made.fetches)} == {holder}


def test_a_file_that_lies_far_from_its_home_is_not_moved() -> None:
    offers = [make_offer(f"t{number}", video={"v": MIB}) for number in range(60)]
    plays = {offer.package.title: 1.0 for offer in offers}
    held = {package_key(offer): ("*",) for offer in offers}
    seen = [make_seen(name, held=held if name == "x" else None) for name in "wxyz"]
    plans = make(offers, plays, *seen)
    # But for the head of the load, which goes where it is drawn.
    assert sum(len(made.fetches) for made in plans.values()) < 0.5 * sum(len(one.package.files) for one in offers)
    assert plans["x"].drops == ()


def test_full_disks_are_not_asked_for_room_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    offers, forecast = ladder(300)
    disk = sum(offer.package.size for offer in offers) // 5 // 40
    asked = 0
    place = Placing._place

    def counted(self: Placing, one: Candidate, position: int) -> bool:
        nonlocal asked
        asked += 1
        return place(self, one, position)

    monkeypatch.setattr(Placing, "_place", counted)
    plan(offers, {"default": forecast}, [make_seen(f"x{number:02d}", disk=disk) for number in range(40)], now=NOW)
    assert asked < 3 * len(forecast.expected)
