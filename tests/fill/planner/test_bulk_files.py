from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.errors import BulkError
from fill.planner.bulk_files import (
    Appliance,
    Cluster,
    Feed,
    Fleet,
    decode_diff,
    decode_held,
    encode_diff,
    encode_held,
    read_feed,
    write_feed,
)
from fill.planner.kernels import GROUPS, LARGEST

LISTS = st.sets(st.integers(0, 2**31 - 2), max_size=50).map(lambda found: np.array(sorted(found), dtype=np.int32))


def feed_of(**change: Any) -> Feed:
    parts: dict[str, Any] = {
        "fleet": Fleet((Cluster("c", 0, (Appliance("a", 10),)),)),
        "size": np.ones(5, np.int32),
        "group": np.zeros(5, np.uint8),
        "key": np.arange(5, dtype=np.uint64),
        "density": np.zeros((1, 5), np.int16),
        "correction": np.zeros((1, GROUPS), np.int16),
    }
    return Feed(**{**parts, **change})


@given(LISTS, LISTS)
def test_lists_come_back_from_their_bytes(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> None:
    assert decode_held(encode_held(first), 2**31 - 1, "x").tolist() == first.tolist()
    fetches, drops = decode_diff(encode_diff(first, second), 2**31 - 1, "x")
    assert (fetches.tolist(), drops.tolist()) == (first.tolist(), second.tolist())


@given(st.binary(max_size=60))
def test_any_bytes_are_a_list_or_an_error(data: bytes) -> None:
    for garbage in (data, b"NCHELD1\n" + data):
        with pytest.raises(BulkError):
            decode_held(garbage, 100, "x")


def test_a_feed_comes_back_from_its_folder(tmp_path: Path) -> None:
    write_feed(tmp_path, feed_of())
    feed = read_feed(tmp_path)
    assert feed.fleet == feed_of().fleet
    assert feed.density.tolist() == [[0] * 5]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"size": np.ones(4, np.int32)}, r"group\.npy: uint8 of shape \(5,\)"),
        ({"size": -np.ones(5, np.int32)}, "a negative size"),
        ({"group": np.full(5, GROUPS, np.uint8)}, "a group that is not below"),
        ({"density": np.zeros((1, 5), np.int32)}, r"density\.npy: int32"),
        ({"correction": np.zeros((2, GROUPS), np.int16)}, r"correction\.npy: int16 of shape \(2, 64\)"),
        ({"correction": np.full((1, GROUPS), LARGEST, np.int16)}, "a correction beyond"),
        ({"fleet": Fleet((Cluster("c", 3, (Appliance("a", 1),)),))}, "cluster c has region 3"),
        ({"fleet": Fleet((Cluster("c", 0, ()),))}, "0 appliances"),
    ],
)
def test_a_feed_that_does_not_fit_together_is_refused(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    write_feed(tmp_path, feed_of(**change))
    with pytest.raises(BulkError, match=complaint):
        read_feed(tmp_path)


def test_a_feed_that_is_not_there_is_said_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(BulkError, match=r"fleet\.json"):
        read_feed(tmp_path)
    write_feed(tmp_path, feed_of())
    (tmp_path / "key.npy").write_bytes(b"garbage")
    with pytest.raises(BulkError, match=r"key\.npy"):
        read_feed(tmp_path)
