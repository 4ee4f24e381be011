from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import MessageError
from oca.report import EVERY_FILE, FORMAT, MeasuredPath, Players, Report, decode_report, held_version

GOOD: dict[str, Any] = {
    "format": FORMAT, "name": "oca-1", "instance": "i", "sequence": 1, "site": "north", "url": "http://127.0.1.1:80",
    "state": "serving", "problems": [], "capacity_bps": 10, "serving_bps": 1, "connections": 0, "disk_bytes": 5,
    "disk_used_bytes": 4, "held_version": held_version({"title/package": EVERY_FILE}), "held": {"title/package": ["*"]},
}  # fmt: skip


OPTIONAL = ["held", "notes", "players", "paths"]


def test_a_report_survives_the_wire() -> None:
    report = decode_report(msgspec.json.encode(GOOD))
    assert decode_report(msgspec.json.encode(report)) == report
    assert report.held == {"title/package": ("*",)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 2}, "format 2, expected 1"),
        ({"name": "../etc"}, "name '../etc', expected letters"),
        ({"site": ""}, "site '', expected"),
        ({"url": "ftp://a"}, "url 'ftp://a', expected http"),
        ({"url": "http://a/"}, "url 'http://a/'"),
        ({"state": "happy"}, r"state"),
        ({"url": 'http://a"\n#EXTINF'}, "url .*, expected http"),
        ({"url": "http://a b"}, "url 'http://a b'"),
        ({"url": "https://"}, "url 'https://'"),
        ({"capacity_bps": -1}, "a negative amount"),
        ({"disk_used_bytes": -1}, "a negative amount"),
        ({"connections": "many"}, "connections"),
        ({"held": {"title/package": "all"}}, "held"),
        (
            {"held": {f"{number}/p": ["*"] for number in range(200_001)}},
            "200001 packages held, expected at most 200000",
        ),
        ({"players": {"sessions": 1}}, "witnesses"),
        ({"players": {"sessions": 1, "witnesses": 1, "starved": -1, "starved_networks": 1}}, "starved"),
        ({"paths": {"192.0.2.0": [1, 2]}}, "paths"),
        ({"paths": {"192.0.2.0": [-1, 2, 3]}}, "paths"),
        ({"paths": {"192.0.2.0": [1, -2, 3]}}, "paths"),
        ({"paths": {"192.0.2.0": [1, 2, -3]}}, "paths"),
        ({"players": {"sessions": 2**63, "witnesses": 1, "starved": 1, "starved_networks": 1}}, "sessions"),
        ({"paths": {f"192.0.{number}.0": [1, 2, 3] for number in range(65)}}, "65 paths, expected at most 64"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MessageError, match=complaint) as caught:
        decode_report(msgspec.json.encode({**GOOD, **change}))
    assert caught.value.status == 400


@pytest.mark.parametrize("huge", ["9" * 20, "9" * 400])
@pytest.mark.parametrize("key", ["capacity_bps", "serving_bps", "connections", "sequence", "disk_used_bytes"])
def test_an_amount_of_more_than_64_bits_is_refused(key: str, huge: str) -> None:
    data = msgspec.json.encode({**GOOD, key: 7654321}).replace(b"7654321", huge.encode())
    with pytest.raises(MessageError, match=r"amount of more than 9223372036854775807|Integer value out of range"):
        decode_report(data)


def test_held_files_of_another_version_than_they_say_are_refused() -> None:
    with pytest.raises(
        MessageError, match="held_version 'v' is not the version of its held files, expected '"
    ) as caught:
        decode_report(msgspec.json.encode({**GOOD, "held_version": "v"}))
    assert caught.value.status == 400


def test_appliances_that_hold_the_same_share_its_names() -> None:
    one, other = (decode_report(msgspec.json.encode({**GOOD, "name": name})).held or {} for name in ("a1", "a2"))
    assert next(iter(one)) is next(iter(other))
    assert one["title/package"] is other["title/package"] is EVERY_FILE


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode_report(data)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(MessageError, match="instance"):
        decode_report(msgspec.json.encode({key: value for key, value in GOOD.items() if key != "instance"}))


@given(st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3).map(tuple), max_size=4))
def test_the_version_of_what_is_held_does_not_depend_on_order(held: dict[str, tuple[str, ...]]) -> None:
    shuffled = dict(reversed(held.items()))
    assert held_version(held) == held_version(shuffled)
    assert held_version(held) != held_version({**held, "another/package": ("*",)})


def test_a_report_type_has_no_defaults_but_what_may_be_left_out() -> None:
    assert [field.name for field in msgspec.structs.fields(Report) if not field.required] == OPTIONAL


def test_a_report_without_what_is_new_is_a_report() -> None:
    report = decode_report(msgspec.json.encode(GOOD))
    assert (report.players, report.paths) == (None, {})


def test_players_and_paths_survive_the_wire() -> None:
    said = {
        "players": {"sessions": 9, "witnesses": 7, "starved": 2, "starved_networks": 1},
        "paths": {"192.0.2.0": [8000, 10**7, 5]},
    }
    report = decode_report(msgspec.json.encode({**GOOD, **said}))
    assert report.players == Players(9, 7, 2, 1)
    assert report.paths == {"192.0.2.0": MeasuredPath(8000, 10**7, 5)}
    assert decode_report(msgspec.json.encode(report)) == report


def test_a_damaged_report_is_refused_or_a_report_and_nothing_else() -> None:
    """Cut, with a byte changed, with a piece twice: 20,000 of them."""
    chance, good = Random(5), msgspec.json.encode(GOOD)
    for _ in range(20_000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    del data[at:]
                case 1:
                    data[at] = chance.randrange(256)
                case 2:
                    data[at:at] = data[chance.randrange(len(data)) :][:40]
            if not data:
                break
        with suppress(MessageError):
            decode_report(bytes(data))


def test_a_report_nested_without_end_is_no_report() -> None:
    with pytest.raises(MessageError, match="not a report"):
        decode_report(b'{"format":' + b"[" * 100_000)
