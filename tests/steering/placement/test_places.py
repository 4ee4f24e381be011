"""Places read out of databases as their library reads them, and out of what is damaged without harm."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.errors import GeographyError
from steering.placement.geography import Geography
from steering.placement.places import Damaged, Places, Point
from steering.prefixes.addresses import BITS, parse_address, show_address
from tests.steering.databases import write

# Records as MaxMind's City databases have them, with much that is none of our business.
RECORDS: list[dict[str, Any]] = [
    {
        "city": {"geoname_id": 2**31, "names": {"de": "München", "en": "Munich", "ja": "ミュンヘン"}},
        "continent": {"code": "EU"},
        "is_anonymous": True,
        "subdivisions": [{"iso_code": "BY", "confidence": 99}, {"iso_code": "X" * 300}],
        "location": {"accuracy_radius": 20, "latitude": 48.0 + number / 10, "longitude": 11.5, "time_zone": "X" * 40},
        "big": "X" * 70_000 if number == 1 else 2**100,
    }
    for number in range(4)
]
PREFIXES = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.0.2.128/25"]


@pytest.fixture(scope="module", params=[4, 6])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = list(zip(PREFIXES, RECORDS, strict=True))
    if request.param == 6:
        records += [("2001:db8::/32", RECORDS[0]), ("2001:db8:1::/48", RECORDS[1]), ("2001:db8:1:2::/127", RECORDS[2])]
    return write(tmp_path_factory.mktemp("geo") / "geo.mmdb", *records, ip_version=request.param)


def test_every_address_is_where_the_library_says(database: Path) -> None:
    draw = random.Random(1)
    stems = ["10.0.0.0", "10.1.0.0", "10.1.2.0", "192.0.2.0", "2001:db8::", "2001:db8:1::", "2001:db8:1:2::", "::"]
    geography = Geography(database)
    with maxminddb.open_database(database, maxminddb.MODE_MMAP) as reader:
        for stem in stems * 100:
            address = parse_address(stem)
            assert address is not None
            version, number = address
            address = version, number ^ draw.getrandbits(draw.randint(1, BITS[version] - 1))
            if version > reader.metadata().ip_version:
                assert geography.find(address) is None
                continue
            record: Any = reader.get(show_address(address))
            location = record["location"] if record is not None else None
            expected = Point(location["latitude"], location["longitude"]) if location is not None else None
            assert geography.find(address) == expected
    geography.close()


@settings(max_examples=25)  # to open one takes a tenth of a second
@given(st.data())
def test_whatever_is_damaged_is_said_and_never_places_anybody_off_the_globe(
    database: Path, data: st.DataObject
) -> None:
    with maxminddb.open_database(database, maxminddb.MODE_MMAP) as reader:
        about = reader.metadata()
    damaged = bytearray(database.read_bytes())
    for _ in range(data.draw(st.integers(1, 40))):
        damaged[data.draw(st.integers(0, min(5000, len(damaged)) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged)[: data.draw(st.integers(0, len(damaged)))]
    for image in (bytes(damaged), cut):
        places = Places(
            image, nodes=about.node_count, record_bits=about.record_size, ip_version=about.ip_version
        )  # fmt: skip
        for text in ("10.0.0.1", "10.1.0.1", "10.1.2.1", "192.0.2.200", "2001:db8::1", "2001:db8:1:2::1", "::1"):
            address = parse_address(text)
            assert address is not None
            try:
                point = places.find(address)
            except Damaged:
                continue
            assert point is None or (-90 <= point.latitude <= 90 and -180 <= point.longitude <= 180)


@pytest.mark.parametrize("record_bits", [24, 28, 32])
def test_trees_of_every_width_are_walked(record_bits: int) -> None:
    nodes = 1  # 0.0.0.0/1 has no record, 128.0.0.0/1 has that at the beginning of the data
    low, high = nodes, nodes + 16
    if record_bits == 28:
        tree = (low << 32 | high).to_bytes(7)
    else:
        tree = low.to_bytes(record_bits // 8) + high.to_bytes(record_bits // 8)
    location = b"\xe2\x48latitude\x68@H\0\0\0\0\0\0\x49longitude\x68@'\0\0\0\0\0\0"
    places = Places(tree + bytes(16) + b"\xe1\x48location" + location, nodes=1, record_bits=record_bits, ip_version=4)
    assert places.find((4, 0)) is None
    assert places.find((4, 2**31)) == places.find((4, 2**32 - 1)) == Point(48.0, 11.5)


def test_a_tree_and_a_record_without_end_are_damaged() -> None:
    forever = Places(bytes(3 * 2) + bytes(16), nodes=1, record_bits=24, ip_version=4)
    with pytest.raises(Damaged, match="its tree has no end"):
        forever.find((4, 0))
    many = b"\xff\xff\xff\xff" + b"\x40" * 100_000  # a map of 16 million empty texts
    endless = Places((17).to_bytes(3) * 2 + bytes(16) + many, nodes=1, record_bits=24, ip_version=4)
    with pytest.raises(Damaged, match="a record has no end"):
        endless.find((4, 0))
    nested = Places((17).to_bytes(3) * 2 + bytes(16) + b"\xe1\x41a" * 100, nodes=1, record_bits=24, ip_version=4)
    with pytest.raises(Damaged, match="nested without end"):
        nested.find((4, 0))


def test_a_database_of_random_bytes_is_refused(tmp_path: Path) -> None:
    draw = random.Random(2)
    marker = b"\xab\xcd\xefMaxMind.com"
    for number in range(50):
        path = tmp_path / str(number)
        path.write_bytes(draw.randbytes(200) + marker + draw.randbytes(number))
        with pytest.raises(GeographyError):
            Geography(path)
