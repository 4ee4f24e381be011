"""Documents of a changing start and a shared end: what other gunzips read is what was meant."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.packages.gzipped import SharedEnd


@given(st.binary(max_size=2000), st.binary(max_size=5000))
def test_a_gzipped_document_is_the_plain_one(start: bytes, end: bytes) -> None:
    shared = SharedEnd(end)
    assert shared.plain(start) == start + end
    assert gzip.decompress(shared.gzipped(start)) == start + end  # checks CRC and size


def test_the_largest_start_and_one_byte_more() -> None:
    shared = SharedEnd(b"end" * 10_000)
    start = b"s" * 0xFFFF
    assert gzip.decompress(shared.gzipped(start)) == shared.plain(start)
    with pytest.raises(ValueError, match="65535 at most"):
        shared.gzipped(start + b"s")


def test_a_decoder_that_streams_reads_it_byte_by_byte() -> None:
    """As browsers read it off the network."""
    shared, reader = SharedEnd(b"<S t='0' d='96'/>" * 2000), zlib.decompressobj(16 + zlib.MAX_WBITS)
    data = shared.gzipped(b"<MPD>")
    read = b"".join(reader.decompress(data[at : at + 1]) for at in range(len(data)))
    assert read == shared.plain(b"<MPD>")
    assert reader.eof
    assert not reader.unused_data


@pytest.mark.skipif(shutil.which("gzip") is None, reason="needs the program gzip")
def test_the_program_gzip_finds_nothing_wrong() -> None:
    data = SharedEnd(b"end" * 10_000).gzipped(b"start")
    assert (
        subprocess.run(["gzip", "-dc"], input=data, capture_output=True, check=True).stdout
        == b"start" + b"end" * 10_000
    )
