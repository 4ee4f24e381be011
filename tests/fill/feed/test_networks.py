from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.errors import FeedError
from fill.feed import networks as learning
from fill.feed.networks import learn, read_networks, write_networks
from fill.feed.store import Store
from tests.fill.ledger.values import decided


def learnt(*lines: bytes) -> dict[str, str]:
    networks: dict[str, str] = {}
    for line in lines:
        learn(networks, line)
    return networks


def told(client: str, site: str, by: str = "prefix") -> bytes:
    return msgspec.json.encode(decided(client=client, site=site, by=by))


def test_the_last_that_was_said_of_a_network_counts() -> None:
    assert learnt(told("a", "north"), told("b", "south"), told("a", "south", "geography")) == {
        "a": "south",
        "b": "south",
    }


def test_a_default_says_nothing_of_where_a_client_is() -> None:
    assert learnt(told("a", "north", "default"), told("b", "", "nothing"), told("", "north")) == {}


def test_only_another_site_than_was_known_is_news() -> None:
    networks: dict[str, str] = {}
    said = [told("a", "north"), told("a", "north"), told("a", "south"), told("a", "north", "default"), b"nonsense"]
    assert [learn(networks, line) for line in said] == [True, False, True, False, False]


@given(st.binary(max_size=80))
def test_nothing_makes_it_raise(line: bytes) -> None:
    learn({}, line)


def test_the_networks_that_were_seen_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MOST_NETWORKS", 2)
    assert list(learnt(told("a", "x"), told("b", "x"), told("a", "x"), told("c", "x"))) == ["a", "c"]


def test_what_was_learnt_is_kept_and_damage_said(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/events")
    assert read_networks(store) == {}
    write_networks(store, {"a": "north"})
    assert read_networks(store) == {"a": "north"}
    store.networks.write_text("[]")
    with pytest.raises(FeedError, match=r"networks\.json is damaged: .*; delete it, and it is learnt anew"):
        read_networks(store)
