from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from steering.errors import SessionUnknown
from steering.routes import best
from steering.routes.filters import ACCEPTED, Filters
from steering.routes.peer import Peer
from steering.routes.rib import SWEEP_AFTER_S, Rib, Seen, SessionState
from steering.routes.route import Attributes, Key, pack, unpack, version_of
from steering.routes.vrps import Vrps
from tests.steering.routes.values import attributes, key, keys, peer, prefix

SHORT, LONG = attributes("3356"), attributes("3356 1299 2914")


def north_and_south(**more: Any) -> Rib:
    peers = [peer("a", "north", **more), peer("b", "south", address="11.0.0.2", **more)]
    return Rib(peers, Filters())


def state(rib: Rib, name: str = "a") -> SessionState:
    return next(one for one in rib.sessions() if one.name == name)


def seen(rib: Rib, text: str) -> list[Seen]:
    return [one for one in rib.seen() if one.prefix == text]


def test_an_announced_prefix_is_of_its_sessions_site() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "2a00::/32"), SHORT, 1.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("north",), prefix("2a00::/32"): ("north",)}
    assert rib.changes() == {}
    assert rib.counts() == (1, 1)


def test_sites_of_one_prefix_stand_best_path_first() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), LONG, 1.0)
    rib.announce("b", keys("11.0.0.0/16"), SHORT, 1.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("south", "north")}


def test_a_new_announcement_replaces_the_one_before() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.announce("b", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.announce("a", keys("11.0.0.0/16"), LONG, 2.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("south", "north")}


def test_the_same_announcement_again_changes_nothing() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.announce("a", keys("11.0.0.0/16"), attributes("3356"), 2.0)
    assert rib.changes() == {}
    assert state(rib).announced == {4: 1, 6: 0}


def test_what_comes_and_goes_between_two_looks_is_no_change() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.withdraw("a", keys("11.0.0.0/16"), 1.0)
    assert rib.changes() == {}


def test_a_withdrawn_prefix_is_gone_or_the_next_sites() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16"), SHORT, 1.0)
    rib.announce("b", keys("11.0.0.0/16"), LONG, 1.0)
    rib.changes()
    rib.withdraw("a", keys("11.0.0.0/16", "11.1.0.0/16", "11.2.0.0/16"), 2.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("south",), prefix("11.1.0.0/16"): ()}


def test_the_appliances_of_a_cluster_are_one_site() -> None:
    rib = Rib([peer("a"), peer("b", address="11.0.0.2")], Filters())
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.announce("b", keys("11.0.0.0/16"), LONG, 1.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("north",)}
    rib.withdraw("a", keys("11.0.0.0/16"), 2.0)
    assert rib.changes() == {}


def test_a_router_id_decides_between_equal_paths_once_it_is_known() -> None:
    rib = north_and_south()
    for name in ("a", "b"):
        rib.announce(name, keys("11.0.0.0/16"), SHORT, 1.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("north", "south")}
    rib.identify("a", 9)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("south", "north")}


def test_a_session_that_goes_down_keeps_its_routes_for_a_time() -> None:
    rib = north_and_south(hold_s=3600.0)
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.down("a", 10.0, "hold timer expired")
    rib.tick(3609.0)
    assert rib.changes() == {}
    assert (state(rib).stale, state(rib).why, state(rib).is_up) == (1, "hold timer expired", False)
    assert seen(rib, "11.0.0.0/16")[0].stale
    rib.tick(3610.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}


def test_a_flap_changes_nothing() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.announce("b", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.down("a", 2.0)
    rib.up("a", 3.0)
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 3.0)
    rib.end_of_rib("a", 4, 3.0)
    assert rib.changes() == {}
    assert (state(rib).flaps, state(rib).stale) == (1, 0)


def test_what_is_not_announced_again_is_gone_at_the_end_of_its_ip_versions_table() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16", "2a00::/32"), SHORT, 1.0)
    rib.changes()
    rib.down("a", 2.0)
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 3.0)
    rib.end_of_rib("a", 4, 3.0)
    assert rib.changes() == {prefix("11.1.0.0/16"): ()}
    rib.end_of_rib("a", 6, 3.0)
    assert rib.changes() == {prefix("2a00::/32"): ()}


def test_a_session_that_never_ends_its_table_is_swept_after_a_time() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.down("a", 2.0)
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 3.0)
    rib.tick(3.0 + SWEEP_AFTER_S - 1)
    assert rib.changes() == {}
    rib.tick(3.0 + SWEEP_AFTER_S)
    assert rib.changes() == {prefix("11.1.0.0/16"): ()}


def test_a_session_that_flaps_for_ever_does_not_keep_old_routes_for_ever() -> None:
    rib = north_and_south(hold_s=3600.0)
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 0.0)
    rib.changes()
    for now in range(0, 3600, 300):
        rib.down("a", float(now))
        rib.up("a", now + 1.0)
        rib.tick(now + 2.0)
    assert rib.changes() == {}
    rib.tick(3600.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}


def test_a_withdrawal_of_a_stale_route_counts() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.down("a", 2.0)
    rib.withdraw("a", keys("11.0.0.0/16"), 3.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}


def test_a_filtered_route_is_kept_with_its_reason_and_changes_nothing() -> None:
    rib = north_and_south()
    rib.announce("a", keys("0.0.0.0/0", "10.0.0.0/8", "11.0.0.0/25"), SHORT, 1.0)
    assert rib.changes() == {}
    assert state(rib).filtered == {"default-route": 1, "special-purpose": 1, "too-specific": 1}
    assert seen(rib, "11.0.0.0/25")[0].reason == "11.0.0.0/25 is too specific: a /25, expected /24 or shorter"


def test_a_route_that_becomes_bad_is_withdrawn_and_back_when_it_is_good() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.announce("a", keys("11.0.0.0/16"), attributes("3356 2906"), 2.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 3.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("north",)}
    assert state(rib).filtered == {}


def test_other_filters_judge_every_route_again() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16"), SHORT, 1.0)
    rib.announce("b", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.down("b", 2.0)
    rib.changes()
    for _ in rib.judge_again(Filters(vrps=Vrps([(key("11.0.0.0/16"), 16, 1)]))):
        pass
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}
    for _ in rib.judge_again(Filters()):
        pass
    assert rib.changes() == {prefix("11.0.0.0/16"): ("north", "south")}


def test_what_is_over_the_limit_is_refused_and_counted() -> None:
    rib = north_and_south(limits={4: 2, 6: 0})
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16", "11.2.0.0/16", "11.3.0.0/16", "2a00::/32"), SHORT, 1.0)
    assert set(rib.changes()) == {prefix("11.0.0.0/16"), prefix("11.1.0.0/16")}
    assert state(rib).refused == 3
    rib.announce("a", keys("11.0.0.0/16"), LONG, 2.0)  # not a further one
    assert state(rib).refused == 3
    rib.withdraw("a", keys("11.0.0.0/16"), 3.0)
    rib.announce("a", keys("11.3.0.0/16"), SHORT, 3.0)
    assert prefix("11.3.0.0/16") in rib.changes()


def test_a_session_over_its_limit_can_be_dropped_until_it_begins_anew() -> None:
    rib = north_and_south(limits={4: 1, 6: 1}, drops_over_limit=True)
    rib.announce("a", keys("11.0.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.announce("a", keys("11.1.0.0/16", "11.2.0.0/16"), SHORT, 2.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}
    rib.announce("a", keys("11.3.0.0/16"), SHORT, 3.0)
    assert rib.changes() == {}
    assert "more than 1 IPv4 prefixes" in state(rib).why
    rib.down("a", 4.0)
    rib.announce("a", keys("11.3.0.0/16"), SHORT, 5.0)
    assert rib.changes() == {prefix("11.3.0.0/16"): ("north",)}


def test_a_path_of_more_than_a_hundred_ases_is_refused_and_not_kept() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16"), SHORT, 1.0)
    rib.announce("a", keys("11.2.0.0/16"), attributes("3356 " * 100), 1.0)
    rib.changes()
    rib.announce("a", keys("11.0.0.0/16", "11.3.0.0/16"), attributes("3356 " * 101), 2.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}  # as good as withdrawn: what it said before holds no longer
    assert state(rib).announced == {4: 2, 6: 0}
    assert (state(rib).refused, state(rib).why) == (2, "it announced AS paths of more than 100 ASes, which are refused")


def test_a_snapshot_replaces_all_that_a_session_had() -> None:
    rib = north_and_south()
    rib.announce("a", keys("11.0.0.0/16", "11.1.0.0/16"), SHORT, 1.0)
    rib.changes()
    rib.replace("a", {key("11.1.0.0/16"): SHORT, key("11.2.0.0/16"): LONG}, 2.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): (), prefix("11.2.0.0/16"): ("north",)}
    assert state(rib).is_up


def test_routes_of_before_a_restart_count_as_stale() -> None:
    rib = north_and_south(hold_s=100.0)
    rib.restore("a", [(key("11.0.0.0/16"), SHORT), (key("10.0.0.0/8"), SHORT)], stale_since=50.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ("north",)}
    assert (state(rib).stale, state(rib).is_up) == (2, False)
    rib.tick(150.0)
    assert rib.changes() == {prefix("11.0.0.0/16"): ()}


def test_equal_paths_stand_in_the_same_order_after_a_restart() -> None:
    rib = north_and_south()
    for name, router_id in (("a", 2), ("b", 1)):
        rib.identify(name, router_id)
        rib.announce(name, keys("11.0.0.0/16"), SHORT, 1.0)
    again = north_and_south()
    for name in ("a", "b"):
        again.restore(name, *rib.kept(name))
    assert again.changes() == rib.changes() == {prefix("11.0.0.0/16"): ("south", "north")}


def test_a_snapshot_that_changes_nothing_is_nothing_to_keep() -> None:
    rib = north_and_south()
    rib.replace("a", {key("11.0.0.0/16"): SHORT, key("10.0.0.0/8"): LONG}, 1.0)
    revision = rib.revision
    rib.replace("a", {key("11.0.0.0/16"): attributes("3356"), key("10.0.0.0/8"): LONG}, 2.0)
    assert rib.revision == revision


def test_a_snapshot_within_the_limit_again_is_said_no_more() -> None:
    rib = north_and_south(limits={4: 1, 6: 1})
    rib.replace("a", {key("11.0.0.0/16"): SHORT, key("11.1.0.0/16"): SHORT}, 1.0)
    assert (state(rib).refused, state(rib).why != "") == (1, True)
    rib.replace("a", {key("11.1.0.0/16"): SHORT}, 2.0)
    assert (state(rib).refused, state(rib).why) == (0, "")
    assert rib.changes() == {prefix("11.1.0.0/16"): ("north",)}


def test_a_look_up_shows_all_that_covers_the_longest_first_with_reasons() -> None:
    rib = north_and_south()
    rib.announce("a", keys("0.0.0.0/0", "11.0.0.0/16"), SHORT, 1.0)
    rib.announce("b", keys("11.0.0.0/24"), SHORT, 1.0)
    found = rib.find(prefix("11.0.0.77/32"))
    assert [(text, sites) for text, sites, _ in found] == [
        ("11.0.0.0/24", ("south",)),
        ("11.0.0.0/16", ("north",)),
        ("0.0.0.0/0", ()),
    ]
    assert "default route" in found[2][2][0].reason


def test_an_unknown_session_is_refused() -> None:
    with pytest.raises(SessionUnknown):
        north_and_south().announce("c", keys("11.0.0.0/16"), SHORT, 1.0)


@given(some.lists(some.tuples(some.integers(0, 300_000), some.integers(0, 1)), max_size=5))
def test_equal_attributes_are_kept_once(numbers: list[tuple[int, int]]) -> None:
    rib = north_and_south()
    for number, which in numbers:
        rib.announce("ab"[which], keys("11.0.0.0/16"), attributes(f"3356 {number % 60_000 + 1}"), 1.0)
    kept = [one for name in ("a", "b") for _, one in rib.kept(name)[0]]
    assert all(first is second for first in kept for second in kept if first == second)


# Against a model that is too simple to be wrong: every session's routes in a dictionary, and all computed anew.

PEERS = [
    peer("a", "north", limits={4: 3, 6: 3}, hold_s=50.0),
    peer("b", "south", address="11.0.0.2"),
    peer("c", "south", address="11.0.0.3", peer_as=2906, hold_s=20.0),
]
PREFIXES = keys("11.0.0.0/16", "11.0.0.0/17", "11.1.0.0/16", "10.0.0.0/8", "2a00::/32", "2a00::/33")
ATTRIBUTES = [SHORT, LONG, attributes("1299", med=5), attributes("3356 2906"), attributes("", local_preference=200)]
NAMES = some.sampled_from([one.name for one in PEERS])
SOME_PREFIXES = some.lists(some.sampled_from(PREFIXES), max_size=4)


class _Model:
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.fresh: dict[Key, Attributes] = {}
        self.stale: dict[Key, Attributes] = {}
        self.is_up, self.since, self.stale_since = False, 0.0, 0.0


class RibEqualsModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rib = Rib(PEERS, Filters())
        self.models = {one.name: _Model(one) for one in PEERS}
        self.now = 0.0
        self.table: dict[tuple[int, int, int], tuple[str, ...]] = {}
        self.vrps: Vrps | None = None

    def _up(self, model: _Model) -> None:
        if not model.is_up:
            model.is_up, model.since = True, self.now

    @rule(name=NAMES, keys=SOME_PREFIXES, given=some.sampled_from(ATTRIBUTES))
    def announce(self, name: str, keys: list[Key], given: Attributes) -> None:
        self.rib.announce(name, keys, given, self.now)
        model = self.models[name]
        self._up(model)
        for one in keys:
            full = (
                sum(version_of(other) == version_of(one) for other in model.fresh) >= model.peer.limits[version_of(one)]
            )
            model.stale.pop(one, None)
            if one in model.fresh or not full:
                model.fresh[one] = given

    @rule(name=NAMES, keys=SOME_PREFIXES)
    def withdraw(self, name: str, keys: list[Key]) -> None:
        self.rib.withdraw(name, keys, self.now)
        model = self.models[name]
        self._up(model)
        for one in keys:
            model.fresh.pop(one, None)
            model.stale.pop(one, None)

    @rule(name=NAMES)
    def down(self, name: str) -> None:
        self.rib.down(name, self.now)
        model = self.models[name]
        model.is_up = False
        if not model.stale:
            model.stale_since = self.now
        model.stale |= model.fresh
        model.fresh = {}

    @rule(name=NAMES, version=some.sampled_from([4, 6]))
    def end(self, name: str, version: int) -> None:
        self.rib.end_of_rib(name, version, self.now)
        model = self.models[name]
        self._up(model)
        model.stale = {one: given for one, given in model.stale.items() if version_of(one) != version}

    @rule(
        name=NAMES, routes=some.dictionaries(some.sampled_from(PREFIXES[:3]), some.sampled_from(ATTRIBUTES), max_size=3)
    )
    def replace(self, name: str, routes: dict[Key, Attributes]) -> None:
        self.rib.replace(name, routes, self.now)
        model = self.models[name]
        self._up(model)
        model.fresh, model.stale = routes, {}

    @rule(seconds=some.sampled_from([1.0, 25.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.rib.tick(self.now)
        for model in self.models.values():
            is_old = self.now - model.stale_since >= model.peer.hold_s
            if is_old or (model.is_up and self.now - model.since >= SWEEP_AFTER_S):
                model.stale = {}

    @rule(asn=some.sampled_from([0, 2914]))
    def judge_again(self, asn: int) -> None:
        self.vrps = Vrps([(PREFIXES[0], 16, asn)]) if asn else None
        for _ in self.rib.judge_again(Filters(vrps=self.vrps)):
            pass

    @invariant()
    def table_of_changes_is_what_all_routes_say(self) -> None:
        self.table.update(self.rib.changes())
        table = {one: sites for one, sites in self.table.items() if sites}
        assert table == self._expected()
        assert len(self.rib) == len(table)
        for one in self.rib.sessions():
            model = self.models[one.name]
            assert sum(one.announced.values()) == len(model.fresh) + len(model.stale)
            assert one.stale == len(model.stale)

    def _expected(self) -> dict[tuple[int, int, int], tuple[str, ...]]:
        filters = Filters(vrps=self.vrps)
        expected = {}
        for one in PREFIXES:
            paths = [
                best.Path(given, model.peer.site, model.peer.is_external, 0, model.peer.place, model.peer.name)
                for model in self.models.values()
                if (given := (model.stale | model.fresh).get(one)) is not None
                and filters.judge(model.peer, given)(one) is ACCEPTED
            ]
            if paths:
                expected[unpack(one)] = best.sites(paths)
        return expected


RibEqualsModel.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestRibEqualsModel = RibEqualsModel.TestCase


def test_a_full_table_of_one_length_is_counted_right() -> None:
    rib = north_and_south()
    rib.announce("a", [pack(4, 0x0B000000 + (number << 8), 24) for number in range(20_000)], SHORT, 1.0)
    assert len(rib.changes()) == len(rib) == 20_000
