"""Distances, and the database of an operator."""

from __future__ import annotations

import ipaddress
import math
from pathlib import Path
from typing import Any

import netaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter

from steering.errors import GeographyError
from steering.geography import EARTH_RADIUS_KM, Geography, Point, distance_km

points = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))
OSLO, MUNICH = Point(59.91, 10.75), Point(48.14, 11.58)


def write(path: Path, *records: tuple[str, dict[str, Any]], ip_version: int = 4) -> Path:
    writer = MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6)
    # The writer does not sort: a shorter prefix inserted later would cover a longer one.
    for prefix, record in sorted(records, key=lambda one: int(one[0].partition("/")[2])):
        writer.insert_network(netaddr.IPSet([prefix]), record)
    writer.to_db_file(str(path))
    return path


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
        assert geography.find(ipaddress.ip_address("10.2.0.1")) == pytest.approx(OSLO)
        assert geography.find(ipaddress.ip_address("10.1.0.1")) == pytest.approx(MUNICH)
        assert geography.find(ipaddress.ip_address("192.0.2.1")) is None
        assert geography.find(ipaddress.ip_address("2001:db8::1")) is None  # the database knows IPv4 only
    finally:
        geography.close()


@pytest.mark.parametrize("record", [{}, {"location": {}}, {"location": "Oslo"}, {"location": {"latitude": 1.0}}])
def test_a_record_without_a_place_places_nobody(tmp_path: Path, record: dict[str, Any]) -> None:
    geography = Geography(write(tmp_path / "geo.mmdb", ("10.0.0.0/8", record)))
    try:
        assert geography.find(ipaddress.ip_address("10.2.0.1")) is None
    finally:
        geography.close()


def test_an_ipv6_client_is_found(tmp_path: Path) -> None:
    here = {"location": {"latitude": OSLO.latitude, "longitude": OSLO.longitude}}
    geography = Geography(write(tmp_path / "geo.mmdb", ("2001:db8::/32", here), ip_version=6))
    try:
        assert geography.find(ipaddress.ip_address("2001:db8::1")) == pytest.approx(OSLO)
    finally:
        geography.close()


def test_without_a_database_nobody_is_anywhere() -> None:
    geography = Geography(None)
    assert geography.find(ipaddress.ip_address("10.0.0.1")) is None
    geography.close()


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeographyError, match=r"no\.mmdb .* expected a MaxMind database"):
        Geography(tmp_path / "no.mmdb")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mmdb").write_text("hello")
    with pytest.raises(GeographyError, match=r"text\.mmdb .* expected a MaxMind database"):
        Geography(tmp_path / "text.mmdb")
