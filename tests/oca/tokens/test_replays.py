from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oca.tokens.replays import Replays


def test_a_token_is_seen_the_second_time() -> None:
    replays = Replays()
    assert not replays.seen(b"a", 10, now=0)
    assert not replays.seen(b"b", 10, now=1)
    assert replays.seen(b"a", 10, now=2)


def test_an_expired_token_is_forgotten() -> None:
    replays = Replays()
    replays.seen(b"a", 10, now=0)
    replays.seen(b"b", 20, now=10)
    assert len(replays) == 1


def test_when_full_the_first_to_expire_is_forgotten() -> None:
    replays = Replays(limit=2)
    for cti, expires_at in ((b"late", 30), (b"soon", 10), (b"later", 40)):
        assert not replays.seen(cti, expires_at, now=0)
    assert len(replays) == 2
    assert replays.seen(b"late", 30, now=0)
    assert replays.seen(b"later", 40, now=0)


@given(st.lists(st.tuples(st.binary(max_size=1), st.integers(0, 50), st.integers(0, 50)), max_size=50))
def test_it_never_holds_more_than_its_limit(asked: list[tuple[bytes, int, int]]) -> None:
    replays = Replays(limit=5)
    for cti, expires_at, now in asked:
        replays.seen(cti, expires_at, now)
        assert len(replays) <= 5
