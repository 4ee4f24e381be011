from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

from steering.errors import DumpError
from steering.routes.dumps import read_dump
from tests.steering.routes import mrt_file as mrt
from tests.steering.routes.test_bird_text import TEXT
from tests.steering.routes.values import key, peer

PEERS = {"isp1": peer("isp1"), "isp2": peer("isp2", "south", address="2a00::1")}
USUAL = mrt.attribute(1, b"\0") + mrt.as_path((2, [3356, 1299]))
NEIGHBOURS = mrt.peers(("11.0.0.1", 3356), ("11.0.0.9", 174), ("2a00::1", 1299))
DUMP = NEIGHBOURS + mrt.route("11.0.0.0/16", (0, USUAL), (1, USUAL)) + mrt.route("2a00:1450::/29", (2, USUAL))


def write(folder: Path, content: bytes) -> Path:
    (folder / "dump").write_bytes(content)
    return folder / "dump"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_an_mrt_dump_is_of_the_sessions_that_it_names(tmp_path: Path, pack: type[bytes]) -> None:
    dump = read_dump(write(tmp_path, pack(DUMP)), PEERS)
    assert {name: set(routes) for name, routes in dump.routes.items()} == {
        "isp1": {key("11.0.0.0/16")},
        "isp2": {key("2a00:1450::/29")},
    }
    assert dump.notes == ["1 routes of neighbours that are no session's are passed over"]


def test_an_mrt_dump_can_be_of_one_session(tmp_path: Path) -> None:
    path = write(tmp_path, DUMP)
    assert set(read_dump(path, PEERS, "isp2").routes) == {"isp2"}
    only = write(tmp_path, mrt.peers(("11.9.9.9", 174)) + mrt.route("11.0.0.0/16", (0, USUAL)))
    assert set(read_dump(only, PEERS, "isp1").routes["isp1"]) == {key("11.0.0.0/16")}


def test_a_dump_of_strangers_is_refused(tmp_path: Path) -> None:
    strangers = mrt.peers(("11.9.9.8", 174), ("11.9.9.9", 2914))
    path = write(tmp_path, strangers + mrt.route("11.0.0.0/16", (0, USUAL), (1, USUAL)))
    with pytest.raises(DumpError, match=r"AS 174, AS 2914.* expected --session"):
        read_dump(path, PEERS)
    with pytest.raises(DumpError, match="routes of 2 neighbours"):
        read_dump(path, PEERS, "isp1")


@pytest.mark.parametrize("pack", [lambda text: text, gzip.compress, bz2.compress])
def test_birds_text_is_of_one_session(tmp_path: Path, pack: type[bytes]) -> None:
    path = write(tmp_path, pack("\n".join(TEXT).encode()))
    assert len(read_dump(path, PEERS, "isp1").routes["isp1"]) == 3
    with pytest.raises(DumpError, match="expected --session"):
        read_dump(path, PEERS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Table master4:\n",
        b"<html>not found</html>",
        gzip.compress(DUMP)[:-20],
        bz2.compress(DUMP)[:-20],
        gzip.compress(DUMP)[:30] + b"\xff" * 20 + gzip.compress(DUMP)[50:],
        b"\x1f\x8bnonsense",
        bytes(100),
    ],
)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DumpError) as caught:
        read_dump(write(tmp_path, content), PEERS, "isp1")
    assert len(str(caught.value)) > 20


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="cannot be read"):
        read_dump(tmp_path / "none", PEERS, "isp1")
