"""Distances, and the database of an operator."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.errors import GeographyError
from steering.placement.geography import EARTH_RADIUS_KM, Geography, Point, distance_km
from steering.prefixes.addresses import Address, parse_address
from tests.steering.databases import write

points = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))
OSLO, MUNICH = Point(59.91, 10.75), Point(48.14, 11.58)


def at(text: str) -> Address:
    address = parse_address(text)
    assert address is not None
    return address


def test_distance_of_two_cities() -> None:
    assert distance_km(OSLO, MUNICH) == pytest.approx(1310, abs=5)


@given(points, points)
def test_distance_is_symmetric_and_at_most_half_way_round(one: Point, other: Point) -> None:
    distance = distance_km(one, other)
    assert distance == pytest.approx(distance_km(other, one))
    assert 0 <= distance <= math.pi * EARTH_RADIUS_KM


@given(points)
def test_distance_to_itself_is_nothing(point: Point) -> None:
    assert distance_km(point, point) == 0


def test_a_client_is_where_the_longest_network_says(tmp_path: Path) -> None:
    here = {"location": {"latitude": OSLO.latitude, "longitude": OSLO.longitude}}
    there = {"location": {"latitude": MUNICH.latitude, "longitude": MUNICH.longitude}}
    geography = Geography(write(tmp_path / "geo.mmdb", ("10.1.0.0/16", there), ("10.0.0.0/8", here)))
    try:
        assert geography.find(at("10.2.0.1")) == pytest.approx(OSLO)
        assert geography.find(at("10.1.0.1")) == pytest.approx(MUNICH)
        assert geography.find(at("192.0.2.1")) is None
        assert geography.find(at("2001:db8::1")) is None  # the database knows IPv4 only
    finally:
        geography.close()


@pytest.mark.parametrize(
    "record",
    [
        {}, {"location": {}}, {"location": "Oslo"}, {"location": {"latitude": 1.0}},
        {"location": {"latitude": 91.0, "longitude": 0.0}}, {"location": {"latitude": 0.0, "longitude": float("nan")}},
    ],
)  # fmt: skip
def test_a_record_without_a_place_places_nobody(tmp_path: Path, record: dict[str, Any]) -> None:
    geography = Geography(write(tmp_path / "geo.mmdb", ("10.0.0.0/8", record)))
    try:
        assert geography.find(at("10.2.0.1")) is None
    finally:
        geography.close()


def test_an_ipv6_client_is_found(tmp_path: Path) -> None:
    here = {"location": {"latitude": OSLO.latitude, "longitude": OSLO.longitude}}
    geography = Geography(write(tmp_path / "geo.mmdb", ("2001:db8::/32", here), ip_version=6))
    try:
        assert geography.find(at("2001:db8::1")) == pytest.approx(OSLO)
    finally:
        geography.close()


def test_without_a_database_nobody_is_anywhere() -> None:
    geography = Geography(None)
    assert geography.find(at("10.0.0.1")) is None
    geography.close()


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeographyError, match=r"no\.mmdb .* expected a MaxMind database"):
        Geography(tmp_path / "no.mmdb")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mmdb").write_text("hello")
    with pytest.raises(GeographyError, match=r"text\.mmdb .* expected a MaxMind database"):
        Geography(tmp_path / "text.mmdb")


def test_a_database_that_is_replaced_while_it_is_opened_is_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "geo.mmdb", ("10.0.0.0/8", {"location": {"latitude": 1.0, "longitude": 2.0}}))
    networks = [(f"10.{n}.0.0/16", {"location": {"latitude": 3.0, "longitude": float(n)}}) for n in range(64)]
    new = write(tmp_path / "new.mmdb", *networks, ip_version=6)
    read = maxminddb.open_database

    def replace_and_read(*given: Any) -> maxminddb.Reader:
        new.rename(path)
        return read(*given)

    monkeypatch.setattr(maxminddb, "open_database", replace_and_read)
    geography = Geography(path)
    assert geography.find(at("10.2.0.1")) == (1.0, 2.0)
    assert not geography.trouble
    geography.close()


@pytest.mark.parametrize("cut", [100, 1000, 2000])
def test_a_database_that_was_cut_short_is_named(tmp_path: Path, cut: int) -> None:
    networks = [(f"10.{n}.0.0/16", {"location": {"latitude": 1.0, "longitude": float(n)}}) for n in range(64)]
    data = write(tmp_path / "geo.mmdb", *networks).read_bytes()
    (tmp_path / "short.mmdb").write_bytes(data[:-cut])
    with pytest.raises(GeographyError, match=r"short\.mmdb .* expected a MaxMind database"):
        Geography(tmp_path / "short.mmdb").close()


def test_a_database_that_cannot_be_read_any_more_fails_no_request_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = {"location": {"latitude": OSLO.latitude, "longitude": OSLO.longitude}}
    there = {"location": {"latitude": MUNICH.latitude, "longitude": MUNICH.longitude}}
    path = write(tmp_path / "geo.mmdb", ("10.0.0.0/8", here), ("192.0.2.0/24", there))
    data = path.read_bytes()
    damaged = tmp_path / "damaged.mmdb"
    record = data.index(b"\xe2\x20\x09")  # a map of two, whose first key is at byte 9: let it be at 2,047
    damaged.write_bytes(data[:record] + b"\xe2\x27\xff" + data[record + 3 :])
    geography = Geography(damaged)
    for _ in range(2):
        assert geography.find(at("10.0.0.1")) is None
    assert "damaged.mmdb is damaged: a record goes on at byte" in geography.trouble
    assert len(caplog.records) == 1
    assert geography.find(at("192.0.2.1")) == pytest.approx(MUNICH)
    assert not geography.trouble
    geography.close()


@pytest.mark.parametrize("ip_version", [4, 6])
def test_networks_that_the_database_cuts_finer_are_told_apart(tmp_path: Path, ip_version: int) -> None:
    def place(latitude: float) -> dict[str, Any]:
        return {"location": {"latitude": latitude, "longitude": 0.0}}

    path = write(
        tmp_path / "geo.mmdb",
        ("10.0.0.0/24", place(1.0)), ("10.0.0.128/25", place(2.0)), ("10.0.1.0/24", place(3.0)),
        ip_version=ip_version,
    )  # fmt: skip
    geography = Geography(path)
    expected = {
        "10.0.0.1": 1.0,
        "10.0.0.129": 2.0,
        "10.0.0.127": 1.0,
        "10.0.1.7": 3.0,
        "10.0.1.8": 3.0,
        "10.0.2.1": None,
    }
    for _ in range(2):
        for text, latitude in expected.items():
            point = geography.find(at(text))
            assert (point.latitude if point is not None else None) == latitude
    geography.close()


def test_a_database_older_than_a_year_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "geo.mmdb", ("10.0.0.0/8", {}))
    Geography(path).close()
    assert not caplog.records
    geography = Geography(path, epoch=lambda: time.time() + 400 * 86400)
    assert geography.age_s == pytest.approx(400 * 86400, abs=3600)
    assert caplog.records[0].getMessage() == "the geographic database is old"
    geography.close()
