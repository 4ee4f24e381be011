from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.cmcd import LARGEST_BODY
from steering.appliances.complaints import MOST_RECORDS, Said, read

START = 'ts=1764752430000,v=2,sid="s"'


def said(record: str) -> Said:
    """What a record says that begins as all do."""
    (one,) = read(f"{record},{START}".encode())
    return one


@pytest.mark.parametrize(
    "record",
    [
        "e=ps,sta=r",
        "bs,e=t,sta=p",
        "bsd=(1200;v),e=bc",
        "e=rr,rc=503",
        "e=rr,rc=404",
        "e=rr,rc=0",
        "e=rr,rc=200,ttfb=4500",
        "e=e",
        'e=e,ec=("fragLoadTimeOut")',
        'e=e,ec=("bufferStalledError")',
        'e=e,ec=("1002")',
        'e=ps,sta=f,ec=("1003")',
    ],
)
def test_what_players_say_when_they_wait_in_vain_is_a_complaint(record: str) -> None:
    assert said(record) == Said("", "s", is_complaint=True)


@pytest.mark.parametrize(
    "record",
    [
        "e=ps,sta=p",
        "e=ps,sta=k",  # seeking
        "bs=?0,e=t",
        "e=rr,rc=200,ttfb=20,ttlb=21",
        "e=rr,rc=206,ttfb=1795197923717",  # dash.js: what time it is
        "e=rr,rc=401",
        "e=rr,rc=403",
        "e=rr,rc=416",
        'e=e,ec=("bufferAppendNoProgress")',  # hls.js, at each segment that is fetched in another quality
        'e=e,ec=("3016")',  # Shaka: a decoder
        "e=t,mtp=(900)",
    ],
)
def test_what_is_no_fault_of_who_serves_is_none(record: str) -> None:
    assert said(record) == Said("", "s", is_complaint=False)


def test_the_host_is_that_of_the_object_else_of_whom_the_player_is_at() -> None:
    assert said('e=rr,h="b",rc=503,url="http://127.0.1.1:8080/t/secret/v1/film/p/1.m4s"').host == "127.0.1.1:8080"
    assert said('e=rr,h="OCA-2.example",rc=503,url="1.m4s"').host == "oca-2.example"


def test_a_stall_between_responses_is_about_whom_the_last_came_from() -> None:
    lines = [f"e=t,sta=p,{START}", f"e=ps,sta=r,{START}"]
    lines += [f'e=rr,rc=200,{START},url="http://127.0.1.1:80/1.m4s"', f'e=rr,rc=200,{START},url="http://B:80/2.m4s"']
    lines += [f"e=ps,sta=r,{START}", f'e=rr,h="c",rc=503,{START}']
    hosts = [one.host for one in read("\n".join(lines).encode())]
    assert hosts == ["127.0.1.1:80", "127.0.1.1:80", "b:80", "c"]


def test_of_records_that_complain_of_nothing_one_is_enough() -> None:
    lines = [f"e=rr,rc=200,ttfb=20,{START}", f"bs,e=t,{START}", f"e=t,sta=p,{START}", "nonsense", ""]
    assert [one.is_complaint for one in read("\n".join(lines).encode())] == [False, True]
    assert [one.is_complaint for one in read("\n".join(lines[1:]).encode())] == [True, False]


def test_a_flood_is_read_no_further_than_a_player_would_write() -> None:
    flood = f"bs,e=t,{START}\n".encode() * 2000
    assert len(list(read(flood))) <= MOST_RECORDS
    assert len(list(read(flood[: 20 * len(f"bs,e=t,{START}\n")]))) == 20


@given(
    st.binary(max_size=2 * LARGEST_BODY)
    | st.lists(st.sampled_from([b"bs", b"e=rr", b",", b"rc=5", b"\n"])).map(b"".join)
)
def test_no_bytes_break_it(body: bytes) -> None:
    assert len(list(read(body))) <= MOST_RECORDS
