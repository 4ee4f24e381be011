from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steering.recent import Recent


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 10))
def test_the_last_keys_are_known_and_no_more_than_twice_as_many(keys: list[int], most: int) -> None:
    recent: Recent[int, str] = Recent(most)
    for key in keys:
        recent.put(key, f"of {key}")
        assert len(recent) <= 2 * most
    last = list(dict.fromkeys(reversed(keys)))[:most]
    assert all(recent.get(key) == f"of {key}" for key in last)
    assert recent.get(41) is None


def test_the_last_value_counts() -> None:
    recent: Recent[str, int] = Recent(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3)):
        recent.put(key, value)
    assert (recent.get("a"), recent.get("b")) == (3, 2)
