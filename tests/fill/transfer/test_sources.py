from __future__ import annotations

from fill.appliances import Seen
from fill.transfer.sources import MOST_APPLIANCES, rank
from tests.fill.catalogs import make_seen

HELD = {"film/pack": ("v720.mp4",)}
ORIGIN = "http://origin.example"


def names(
    *fleet: Seen, failed: frozenset[str] = frozenset(), origin: str = ORIGIN, file: str = "v720.mp4"
) -> list[str]:
    ranked = rank(
        "film",
        "pack",
        file,
        appliance="me",
        site="site-a",
        fleet=fleet,
        origin=origin,
        failed=failed,
    )
    return [source.name for source in ranked]


def test_peers_come_before_other_sites_and_these_before_the_origin() -> None:
    far, peer = make_seen("far", site="site-b", held=HELD), make_seen("peer", held=HELD)
    assert names(far, peer) == ["peer", "far", "origin"]


def test_only_who_holds_the_file_is_asked_and_never_the_appliance_itself() -> None:
    whole = make_seen("whole", held={"film/pack": ("*",)})
    fleet = [make_seen("me", held=HELD), make_seen("empty"), make_seen("other", held={"film/old": ("*",)}), whole]
    assert names(*fleet, file="v480.mp4") == ["whole", "origin"]


def test_lost_and_unhealthy_appliances_are_not_asked() -> None:
    fleet = [make_seen(health, held=HELD, health=health) for health in ("lost", "unhealthy", "draining", "full")]
    assert names(*fleet) == ["full", "draining", "origin"]


def test_who_failed_comes_last_the_origin_too() -> None:
    fleet = [make_seen("a", held=HELD), make_seen("b", held=HELD)]
    first, second, _ = names(*fleet)
    assert names(*fleet, failed=frozenset({first})) == [second, "origin", first]
    assert names(*fleet, failed=frozenset({"origin"}))[-1] == "origin"


def test_few_appliances_are_asked_for_one_file() -> None:
    fleet = [make_seen(f"peer-{number}", held=HELD) for number in range(10)]
    assert len(names(*fleet)) == MOST_APPLIANCES + 1


def test_files_are_spread_over_peers() -> None:
    held = {"film/pack": ("*",)}
    fleet = [make_seen(name, held=held) for name in ("a", "b", "c")]
    assert {names(*fleet, file=f"v{number}.mp4")[0] for number in range(40)} == {"a", "b", "c"}


def test_without_an_origin_there_is_none_in_the_list() -> None:
    assert names(make_seen("peer", held=HELD), origin="") == ["peer"]
