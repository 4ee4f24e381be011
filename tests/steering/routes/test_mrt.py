from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from steering.errors import DumpError
from steering.routes.mrt import MrtPeer, Reader
from steering.routes.route import Attributes, parse_path
from tests.steering.routes import mrt_file as mrt
from tests.steering.routes.values import key

PEERS = mrt.peers(("11.0.0.1", 3356), ("2a00::1", 1299))
USUAL = mrt.attribute(1, b"\0") + mrt.as_path((2, [3356, 1299]), (1, [2914, 174]))
FULL = (
    USUAL
    + mrt.attribute(4, struct.pack("!I", 7))
    + mrt.attribute(5, struct.pack("!I", 200))
    + mrt.attribute(8, b"1234")
)
DUMP = PEERS + mrt.route("11.0.0.0/16", (0, USUAL), (1, FULL)) + mrt.route("2a00:1450::/29", (1, USUAL))


def read(text: bytes) -> list[object]:
    return list(Reader(io.BytesIO(text)).routes())


def test_a_table_dump_is_read_with_who_said_what() -> None:
    first, second = MrtPeer((4, 0x0B000001), 3356), MrtPeer((6, 0x2A00 << 112 | 1), 1299)
    path = parse_path("3356 1299 {2914 174}")
    assert read(DUMP) == [
        (key("11.0.0.0/16"), first, Attributes(path)),
        (key("11.0.0.0/16"), second, Attributes(path, 200, 0, 7)),
        (key("2a00:1450::/29"), second, Attributes(path)),
    ]


def test_a_path_of_hundreds_of_ases_is_read() -> None:
    path = mrt.as_path((2, range(1, 200)), (2, range(200, 301)))
    found = Reader(io.BytesIO(PEERS + mrt.route("11.0.0.0/8", (0, path)))).routes()
    assert [sum(len(numbers) for _, numbers in one.attributes.as_path) for one in found] == [300]


def test_a_default_route_and_a_host_are_prefixes() -> None:
    found = Reader(
        io.BytesIO(PEERS + mrt.route("0.0.0.0/0", (0, USUAL)) + mrt.route("2a00::1/128", (0, USUAL)))
    ).routes()
    assert [one.key for one in found] == [key("0.0.0.0/0"), key("2a00::1/128")]


def test_bits_beyond_the_length_mean_nothing() -> None:
    body = (
        struct.pack("!IB", 0, 12) + b"\x0b\xff" + struct.pack("!H", 1) + struct.pack("!HIH", 0, 0, len(USUAL)) + USUAL
    )
    (found,) = Reader(io.BytesIO(PEERS + mrt.record(13, 2, body))).routes()
    assert found.key == key("11.240.0.0/12")


def test_records_of_other_types_are_counted() -> None:
    reader = Reader(io.BytesIO(DUMP + mrt.record(16, 4, b"a message") + mrt.record(13, 8, b"several paths")))
    assert len(list(reader.routes())) == 3
    assert reader.skipped == {(16, 4): 1, (13, 8): 1}


def test_a_file_without_a_table_is_refused() -> None:
    for text in (b"", mrt.record(16, 4, b"a message")):
        with pytest.raises(DumpError, match="no table of routes"):
            read(text)


def test_a_dump_that_is_cut_off_is_refused_with_the_place() -> None:
    first = len(PEERS) + len(mrt.route("11.0.0.0/16", (0, USUAL), (1, FULL)))
    # Cut between two records nothing says that more was meant to come.
    assert [len(read(DUMP[:size])) for size in (len(PEERS), first)] == [0, 2]
    for size in set(range(1, len(DUMP))) - {len(PEERS), first}:
        begin = max(at for at in (0, len(PEERS), first) if at < size)
        with pytest.raises(DumpError, match=f"record at byte {begin} is cut off"):
            read(DUMP[:size])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        struct.pack("!IB", 0, 33) + b"\x0b\0\0\0\0" + struct.pack("!H", 0),
        struct.pack("!IB", 0, 8) + b"\x0b" + struct.pack("!H", 1) + struct.pack("!HIH", 9, 0, 0),
        struct.pack("!IB", 0, 8) + b"\x0b" + struct.pack("!H", 1) + struct.pack("!HIH", 0, 0, 999),
        struct.pack("!IB", 0, 8) + b"\x0b" + struct.pack("!H", 1) + struct.pack("!HIH", 0, 0, 3) + b"\x40\x02\x09",
        struct.pack("!IB", 0, 8)
        + b"\x0b"
        + struct.pack("!H", 1)
        + struct.pack("!HIH", 0, 0, 5)
        + b"\x40\x02\x02\x07\x01",
    ],
)
def test_a_damaged_record_is_refused_with_the_place(body: bytes) -> None:
    with pytest.raises(DumpError, match=f"record at byte {len(PEERS)} is damaged"):
        read(PEERS + mrt.record(13, 2, body))


def test_an_absurd_length_is_damage_and_takes_no_memory() -> None:
    with pytest.raises(DumpError, match="claims 4294967295 bytes"):
        read(struct.pack("!IHHI", 0, 13, 1, 2**32 - 1))


def test_routes_before_the_peers_are_damage() -> None:
    with pytest.raises(DumpError, match="before the table of peers"):
        read(mrt.route("11.0.0.0/16", (0, USUAL)))


@given(some.data())
def test_no_damage_does_more_than_be_refused(data: some.DataObject) -> None:
    text = bytearray(DUMP)
    for _ in range(data.draw(some.integers(1, 4))):
        text[data.draw(some.integers(0, len(text) - 1))] = data.draw(some.integers(0, 255))
    try:
        read(bytes(text))
    except DumpError as error:
        assert str(error)
