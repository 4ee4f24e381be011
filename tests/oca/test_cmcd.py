from __future__ import annotations

import random
from decimal import Decimal
from time import process_time
from typing import Any
from urllib.parse import quote, urlencode

import http_sf
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.cmcd import LARGEST_BODY, LARGEST_SET, MOST_EVENTS, NextObject, Value, next_object, parse_cmcd, parse_events

# Examples of CTA-5004-B section 8, as svta/common-media-library collects them (libs/cmcd/test/data):
# CTA_5004_B_EXAMPLES.ts, CMCD_STRING_V1.ts, decodeCmcd.test.ts.
EX_8_1_1 = (
    'bl=(2000),br=(3000;v),cid="content-id-123",d=4000,dl=1000,mtp=(15000),nor=("next-seg.mp4"),ot=v,rtp=12000,sf=d,'
    'sid="session-id-123",st=v,sta=p,tb=(6000;v),v=2'
)
EX_8_1_1_HEADERS = {
    "cmcd-request": 'bl=(2000),dl=1000,mtp=(15000),nor=("next-seg.mp4"),sta=p',
    "cmcd-object": "br=(3000;v),d=4000,ot=v,tb=(6000;v)",
    "cmcd-status": "rtp=12000",
    "cmcd-session": 'cid="content-id-123",sf=d,sid="session-id-123",st=v,v=2',
}
EX_8_1_8 = (
    "bg,bl=(2100;v 1800;a),br=(3000;v 164;a),bs,bsa=(3;v),bsd=(1200;v 100;a),bsda=(4150;v 300;a),"
    'cid="content-id-123",cs="g48djn236sk2",d=4000,dfa=32,dl=1000,ec=("2001"),lb=(500;v 32;a),ltc=13500,msd=1700,'
    'mtp=(15000;v 6000;a),nor=("next-seg.mp4"),nr,ot=v,pb=(2000;v 164;a),pr=1.1,pt=632782,rtp=12000,sf=d,'
    'sid="session-id-123",sn=0,st=l,sta=p,su,tb=(6000;v 350;a),tbl=(2000;v 2000;a),tpb=(5000;v 164;a),v=2'
)
EX_8_2_2 = (
    'bl=(3200),br=(4200;v 256;a),bs,bsd=(720;v),cid="content-id-123",e=t,ec=("MEDIA_ERR_NETWORK"),h="example.com",'
    'pt=59188,sf=d,sid="session-id-123",sn=3,st=v,sta=p,ts=1764752460000,v=2'
)
EX_8_2_3 = (
    'cid="bbb",cmsdd="ZXRwPTEyNTAwO3J0dD0zNTttYj02MDAwO3JkPTIwMA==",e=rr,nor=("video/segment-6.m4v"),ot=v,rc=200,'
    'sid="session1",ts=1763657019723,ttfb=180,ttlb=200,url="video/segment-5.m4v",v=2'
)
CML_VERSION_1 = (
    'bl=5000,br=200,bs,cid="content-id",com.example-exists,com.example-hello="world",'
    r'com.example-quote="\"Quote\"",com.example-testing=1234,com.example-token=s,d=325,dl=10000,mtp=10000,'
    'nor="..%2Ftesting%2F3.m4v",ot=m,rtp=8000,sf=d,sid="session-id",st=v,su,tb=5000'
)
CML_EXAMPLE = 'br=(1000),com.example-hello="world",ec=("ERR001" "ERR002"),su,v=2'


def keys(text: str) -> dict[str, Value]:
    """As one header says it."""
    cmcd = parse_cmcd("", {"cmcd-request": text})
    assert cmcd is not None
    assert not cmcd.ignored
    return cmcd.keys


def test_a_set_of_version_1_is_read_by_its_types() -> None:
    cmcd = parse_cmcd("", {"cmcd-session": CML_VERSION_1})
    assert cmcd is not None
    assert cmcd.version == 1
    assert cmcd.keys == {
        "bl": 5000, "br": 200, "bs": True, "cid": "content-id", "com.example-hello": "world",
        "com.example-quote": '"Quote"', "com.example-token": "s", "d": 325, "dl": 10000, "mtp": 10000,
        "nor": "../testing/3.m4v", "ot": "m", "rtp": 8000, "sf": "d", "sid": "session-id", "st": "v", "su": True,
        "tb": 5000,
    }  # fmt: skip


def test_a_set_of_version_2_is_read_by_its_types() -> None:
    assert keys(EX_8_1_8) == {
        "bg": True, "bl": {"v": 2100, "a": 1800}, "br": {"v": 3000, "a": 164}, "bs": True, "bsa": {"v": 3},
        "bsd": {"v": [1200], "a": [100]}, "bsda": {"v": 4150, "a": 300}, "cid": "content-id-123",
        "cs": "g48djn236sk2", "d": 4000, "dfa": 32, "dl": 1000, "ec": ["2001"], "lb": {"v": 500, "a": 32},
        "ltc": 13500, "msd": 1700, "mtp": {"v": 15000, "a": 6000}, "nor": [{"url": "next-seg.mp4"}], "nr": True,
        "ot": "v", "pb": {"v": 2000, "a": 164}, "pr": 1.1, "pt": 632782, "rtp": 12000, "sf": "d",
        "sid": "session-id-123", "sn": 0, "st": "l", "sta": "p", "su": True, "tb": {"v": 6000, "a": 350},
        "tbl": {"v": 2000, "a": 2000}, "tpb": {"v": 5000, "a": 164}, "v": 2,
    }  # fmt: skip
    assert keys(CML_EXAMPLE) == {
        "br": {"any": 1000}, "com.example-hello": "world", "ec": ["ERR001", "ERR002"], "su": True, "v": 2,
    }  # fmt: skip


def test_headers_and_query_say_the_same() -> None:
    in_headers = parse_cmcd("", EX_8_1_1_HEADERS)
    assert in_headers is not None
    assert in_headers.keys["sid"] == "session-id-123"
    for text in (
        quote(EX_8_1_1, safe="!~*'()"),  # encodeURIComponent
        quote(EX_8_1_1, safe=""),
        quote(EX_8_1_1, safe="").replace("%2C", "%2c"),
        urlencode({"": EX_8_1_1})[1:],  # URLSearchParams: spaces are "+"
        EX_8_1_1,
        quote(EX_8_1_1) + ",",  # the reserved character of section 3.2
    ):
        assert parse_cmcd(f"a=1&CMCD={text}&b=2", {}) == in_headers


def test_spaces_in_a_query_come_in_two_ways() -> None:
    for space in ("%20", "+"):
        cmcd = parse_cmcd(f"CMCD=br%3D(5000%3Bv{space}320%3Ba)%2Cv%3D2", {})
        assert cmcd is not None
        assert cmcd.keys["br"] == {"v": 5000, "a": 320}


def test_headers_win_over_the_query() -> None:
    cmcd = parse_cmcd("CMCD=ot%3Da%2Cbr%3D5", {"cmcd-object": "ot=v", "host": "h"})
    assert cmcd is not None
    assert cmcd.keys == {"ot": "v"}
    empty = parse_cmcd("CMCD=ot%3Da", {"cmcd-object": ""})
    assert empty is not None
    assert empty.keys == {}


@pytest.mark.parametrize("query", ["", "a=1", "cmcd=bl%3D1", "XCMCD=bl%3D1", "x=CMCD=1"])
def test_a_request_without_cmcd_says_nothing(query: str) -> None:
    assert parse_cmcd(query, {"user-agent": "bl=1"}) is None


def test_the_order_of_members_and_headers_does_not_matter() -> None:
    members = EX_8_1_8.split(",")
    shuffled = members.copy()
    random.Random(1).shuffle(shuffled)
    assert shuffled != members
    assert keys(",".join(shuffled)) == keys(EX_8_1_8)
    split = parse_cmcd("", {"cmcd-session": ",".join(members[:9]), "cmcd-request": ",".join(members[9:])})
    assert split is not None
    assert split.keys == keys(EX_8_1_8)


@pytest.mark.parametrize("text", ["v=3", 'br=(1;v),cid="x",v=99', "v=3;x,ot=v"])
def test_a_newer_version_is_passed_over_whole_and_told(text: str) -> None:
    cmcd = parse_cmcd("", {"cmcd-object": "ot=a", "cmcd-session": text})
    assert cmcd is not None
    assert cmcd.ignored == "version"
    assert cmcd.version > 2
    assert cmcd.keys == {"v": cmcd.version}


def test_a_set_that_is_too_large_is_passed_over_whole_and_told() -> None:
    fits = f'sid="s",x-y="{"z" * 64}",nor="' + "n" * (LARGEST_SET - 90) + '",d=1'
    assert len(fits) <= LARGEST_SET
    assert keys(fits)["sid"] == "s"
    for request in (
        ("", {"cmcd-request": fits + "," * 20}),
        (f"CMCD={fits}" + "," * 20 + "d", {}),
        ("CMCD=" + "%" * 9999, {}),
    ):
        cmcd = parse_cmcd(*request)
        assert cmcd is not None
        assert (cmcd.ignored, cmcd.keys) == ("size", {})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # Unknown in this version or in requests; not of the type; not a token of the set.
        ("sta=p,ot=v", {"ot": "v"}),
        ("e=t,ts=1,h=\"x\",cdn=\"y\",v=2", {"v": 2}),
        ('br="3000",d=4000.5,bl=4O00,ot=x,st=ll,sf=e,cid=x,bs=1,pr=1.2345,mtp=(1),rtp', {}),
        ("br=3000,bl=(x),mtp=(1.5),tb=(),bsd=(1;v),ec=(x),nor=\"4.m4s\",su=?2,v=2", {"bsd": {"v": [1]}, "v": 2}),
        ("d=1234567890123456,dl=123456789012345", {"dl": 123456789012345}),
        ("v=two,br=1", {"br": 1}),
        ("v=2.0,br=1", {"br": 1}),
        # Strings that are too long.
        (f'sid="{"s" * 65}",cid="{"c" * 129}",x-y="{"z" * 65}",d=1', {"d": 1}),
        (f'sid="{"s" * 64}",x-y={"z" * 64}', {"sid": "s" * 64, "x-y": "z" * 64}),
        # Custom keys: a string or a token, nothing else.
        ("x-a=1,x-b,x-c=(a),x-d=?1,x-e=1.5,x-f=:YQ==:,x-g=tok,x-h=\"\"", {"x-g": "tok", "x-h": ""}),
        ("xa=tok,X-b=tok,-c=tok", {}),
        # Not well-formed: up to the next comma outside quotes, and no further.
        ('br=3 000,cid="a,ot=a,"x,BR=1,=5,d=,,,;,bl=(1,ot=v', {"ot": "v"}),
        ('d=1,cid="open,ot=v', {"d": 1}),
        ('d=1,cid="caf\u00e9",ot=v', {"d": 1, "ot": "v"}),
        ("d=1\n,ot=v", {"ot": "v"}),
        # Well-formed, but unusual.
        ("  d=1 ,\tot=v\t", {"d": 1, "ot": "v"}),
        ("d=1;x;y=\"a,b\",ot=v;z", {"d": 1, "ot": "v"}),
        ("d=1,d=2", {"d": 2}),
        ("bs=?0,su=?1", {"bs": False, "su": True}),
        ("pr=0,d=-1", {"pr": 0, "d": -1}),
        ("br=( 5000;v;a   320;x;tt=?1 1;c=?0 ),v=2", {"br": {"v": 5000, "a": 5000, "tt": 320, "any": 1}, "v": 2}),
        ("bsd=(1;v 2;v 3),v=2", {"bsd": {"v": [1, 2], "any": [3]}, "v": 2}),
        ('nor=("a.m4s";r="0-99" "b.m4s");p=2,v=2', {"nor": [{"url": "a.m4s", "r": "0-99"}, {"url": "b.m4s"}], "v": 2}),
        ('nor=("a.m4s";r=5),v=2', {"v": 2}),
        ('nrr="0-99"', {"nrr": "0-99"}),
        ('nrr="bytes=0-99"', {}),
    ],
)  # fmt: skip
def test_what_is_not_as_the_standard_says_is_left_out_and_the_rest_kept(text: str, left: dict[str, Value]) -> None:
    assert keys(text) == left


def test_a_quote_left_open_in_one_header_does_not_swallow_the_next() -> None:
    cmcd = parse_cmcd("", {"cmcd-request": 'cid="open', "cmcd-session": 'sid="s"'})
    assert cmcd is not None
    assert cmcd.keys == {"sid": "s"}


def test_events_are_lines_each_with_event_time_and_version() -> None:
    body = "\n".join([EX_8_2_2, f"  {EX_8_2_3}\r", "e=t,ts=1,v=2", ""]).encode()
    records, ignored = parse_events(body)
    assert ignored == 0
    assert [record["e"] for record in records] == ["t", "rr", "t"]
    assert records[0]["bsd"] == {"v": [720]}
    assert (records[1]["url"], records[1]["rc"], records[1]["ttfb"]) == ("video/segment-5.m4v", 200, 180)
    assert records[2] == {"e": "t", "ts": 1, "v": 2}


@pytest.mark.parametrize(
    "line", [b"ts=1,v=2", b"e=t,v=2", b"e=t,ts=1", b"e=x,ts=1,v=2", b"e=t,ts=1,v=3", b"nonsense", b"\xff\xfe", b"{}"]
)
def test_a_line_that_is_no_event_is_counted_and_the_others_kept(line: bytes) -> None:
    assert parse_events(b"e=t,ts=1,v=2\n" + line + b"\ne=t,ts=2,v=2") == (
        [{"e": "t", "ts": 1, "v": 2}, {"e": "t", "ts": 2, "v": 2}],
        1,
    )


def test_a_body_beyond_the_limits_is_read_up_to_them() -> None:
    many = parse_events(b"\n".join([b"e=t,ts=1,v=2"] * (MOST_EVENTS + 5)))
    assert (len(many.records), many.ignored) == (MOST_EVENTS, 5)
    line = b'e=t,ts=1,v=2,cid="' + b"c" * 100 + b'"'
    large = parse_events(b"\n".join([line] * 700))
    assert len(large.records) == LARGEST_BODY // (len(line) + 1)
    assert len(large.records) + large.ignored == 700


@pytest.mark.parametrize(
    ("part", "said", "expected"),
    [
        ("v720/3.m4s", 'nor="4.m4s"', ("v720/4.m4s", 0, None)),
        ("v720/3.m4s", 'nor="./4.m4s"', ("v720/4.m4s", 0, None)),
        ("v720/3.m4s", 'nor="..%2Fv1080%2F4.m4s"', ("v1080/4.m4s", 0, None)),
        ("v720/3.m4s", 'nor=("../v1080/4.m4s"),v=2', ("v1080/4.m4s", 0, None)),
        ("v720/3.m4s", 'nor=("/x" "4.m4s" "5.m4s"),v=2', ("v720/4.m4s", 0, None)),
        ("v720/3.m4s", 'nor="4.m4s?token=s3cr3t"', ("v720/4.m4s", 0, None)),
        ("v720/3.m4s", 'nor="../v720.m3u8"', ("v720.m3u8", 0, None)),
        ("v720.mp4", 'nor="v720.mp4",nrr="1000-1999"', ("v720.mp4", 1000, 2000)),
        ("v720.mp4", 'nrr="1000-"', ("v720.mp4", 1000, None)),
        ("v720.mp4", 'nor=("v1080.mp4";r="0-99"),v=2', ("v1080.mp4", 0, 100)),
        ("master.m3u8", 'nor="v720/init.mp4"', ("v720/init.mp4", 0, None)),
    ],
)
def test_the_next_object_is_a_part_of_the_same_package(
    part: str, said: str, expected: tuple[str, int, int | None]
) -> None:
    cmcd = parse_cmcd("", {"cmcd-request": said})
    assert cmcd is not None
    assert next_object(cmcd, part) == NextObject(*expected)


@pytest.mark.parametrize(
    "said",
    [
        'nor=""', 'nor="."', 'nor=".."', 'nor="/v1/t/p/4.m4s"', 'nor="//host/4.m4s"', 'nor="http://host/4.m4s"',
        'nor="../../4.m4s"', 'nor="../../../etc/passwd"', 'nor="a/../../../4.m4s"', 'nor="a/b/4.m4s"',
        'nor="..%2F..%2F4"', 'nor="a/.."',
        'nor="%252e%252e/4.m4s"', 'nor="4.m4s/"', 'nor="a%5Cb"', 'nor="%00"',
        'nor="4%0d%0a.m4s"', 'nor=".hidden"', f'nor="{"n" * 129}"', 'nor="4.m4s",nrr="-500"', 'nor="4.m4s",nrr="9-5"',
        'nor=(".." "//x"),v=2', 'nor=("..%2Fv720%2F4.m4s"),v=2', 'nrr="-5"', "d=1",
    ],
)  # fmt: skip
def test_what_is_no_part_of_the_package_is_nobodys_next_object(said: str) -> None:
    cmcd = parse_cmcd("", {"cmcd-request": said})
    assert cmcd is not None
    assert next_object(cmcd, "v720/3.m4s") is None


def test_a_request_that_is_not_for_content_has_no_next_object() -> None:
    cmcd = parse_cmcd("", {"cmcd-request": 'nrr="0-5"'})
    assert cmcd is not None
    assert next_object(cmcd, "") is None


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://oca/t/s3cr3t/v1/t/p/3.m4s?CMCD=s3cr3t", "https://oca/v1/t/p/3.m4s"),
        ("/t/s3cr3t/v1/film/p/3.m4s#s3cr3t", "/v1/film/p/3.m4s"),
        ("../../../../t/s3cr3t/v1/film", "../../../../v1/film"),
        ("t/s3cr3t", ""),
        ("//T/s3cr3t/x", "//x"),
        ("https://oca/%74/s3cr3t/v1/film", "https://oca/v1/film"),
        ("video/segment-5.m4v", "video/segment-5.m4v"),
    ],
)
def test_no_access_token_is_in_what_is_read(url: str, kept: str) -> None:
    record = parse_events(f'e=rr,ts=1,url="{url}",nor=("{url}"),v=2'.encode()).records[0]
    assert record["nor"] == [{"url": kept}]
    assert record.get("url", "") == kept
    assert keys(f'nor="{quote(url)}"') == {"nor": kept}


# An oracle: the parser of RFC 8941/9651 that its editor keeps, and the types as svta/common-media-library lists them
# (libs/cmcd/src/CMCD_KEY_SPECS.ts).
INTEGERS = {1: "bl br d dl mtp rtp tb v", 2: "d dfa dl ltc msd pt rtp sn v"}
BOOLEANS = {1: "bs su", 2: "bg bs nr su"}
LISTS = {1: "", 2: "ab bl br bsa bsda lab lb mtp pb tab tb tbl tpb"}
STRINGS = {1: {"cid": 128, "sid": 64}, 2: {"cid": 128, "sid": 64, "cs": 2048}}
TYPES = "m a v av i c tt k o"
TOKENS = {
    1: {"ot": TYPES, "sf": "d h s o", "st": "v l"},
    2: {"ot": TYPES, "sf": "d h e s o", "st": "v l ll", "sta": "s p k r a w e f q d"},
}


def oracle(text: str) -> dict[str, Any] | None:
    """What keys() should say of a well-formed dictionary (`nor` and `nrr` aside); None if it is not well-formed."""
    try:
        parsed: Any = http_sf.parse(text.encode("latin-1"), tltype="dictionary")
    except http_sf.StructuredFieldError:
        return None
    told = parsed.get("v", (1, {}))[0]
    version = told if type(told) is int and told == 2 else 1
    found = {key: expected(key, value, version) for key, (value, _) in parsed.items()}
    return {key: value for key, value in found.items() if value is not None}


def expected(key: str, value: Any, version: int) -> Any:
    if key in INTEGERS[version].split():
        return value if type(value) is int else None
    if key in BOOLEANS[version].split():
        return value if type(value) is bool else None
    if key == "pr":
        return float(value) if type(value) in (int, Decimal) else None
    if key in STRINGS[version]:
        return value if type(value) is str and len(value) <= STRINGS[version][key] else None
    if key in TOKENS[version]:
        is_known = isinstance(value, http_sf.Token) and str(value) in TOKENS[version][key].split()
        return str(value) if is_known else None
    if version == 2 and isinstance(value, list):
        return in_a_list(key, value)
    if "-" in key and isinstance(value, (str, http_sf.Token)):
        return str(value) if len(str(value)) <= 64 else None
    return None


def in_a_list(key: str, items: list[Any]) -> Any:
    if key == "ec" and all(type(item) is str for item, _ in items):
        return [item for item, _ in items] or None
    if key not in (*LISTS[2].split(), "bsd") or not all(type(item) is int for item, _ in items):
        return None
    typed = [
        (kind, item)
        for item, parameters in items
        for kind in [name for name in parameters if name in TYPES.split() and parameters[name] is True] or ["any"]
    ]
    if key == "bsd":
        return {kind: [item for other, item in typed if other == kind] for kind, _ in typed} or None
    return dict(typed) or None


PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
BARE_ITEMS = st.one_of(
    st.integers(-20_000, 10**16).map(str),
    st.decimals(-5, 5, places=2, allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["v", "l", "ll", "d", "h", "e", "p", "av", "*t", "a/b:c", "?0", "?1", ":YQ==:", "@12", "x" * 65]),
    st.text(PRINTABLE, max_size=70).map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'),
)
PARAMETERS = st.lists(
    st.tuples(st.sampled_from(["v", "a", "av", "tt", "x", "p-q"]), st.none() | BARE_ITEMS), max_size=3
).map(lambda pairs: "".join(f";{name}" if value is None else f"; {name}={value}" for name, value in pairs))
ITEMS = st.tuples(BARE_ITEMS, PARAMETERS).map("".join)
NUMBERS = st.tuples(st.integers(0, 99_999).map(str), PARAMETERS).map("".join)
INNER = st.one_of(st.lists(NUMBERS, max_size=4), st.lists(ITEMS, max_size=3))
INNER_LISTS = st.tuples(INNER, st.sampled_from([" ", "   "]), PARAMETERS).map(
    lambda parts: "(" + parts[1].join(parts[0]) + ")" + parts[2]
)
KNOWN = [
    *("ab", "bg", "bl", "br", "bs", "bsa", "bsd", "bsda", "cid", "cs", "d", "dl", "ec", "ot", "pr", "sf", "sid", "st"),
    *("sta", "su", "tb", "v", "nope", "x-y", "com.example-k"),
]
MEMBERS = st.tuples(st.sampled_from(KNOWN), st.one_of(PARAMETERS, (ITEMS | INNER_LISTS).map(lambda text: "=" + text)))
VERSIONS = st.sampled_from([[], ["v=1"], ["v=2"], ["v=2"], ["v=2"]])
DICTIONARIES = st.tuples(
    st.lists(MEMBERS.map("".join), max_size=8), VERSIONS, st.sampled_from([",", ", ", " ,\t"])
).map(lambda parts: parts[2].join(parts[0] + parts[1]))


@given(DICTIONARIES)
def test_well_formed_dictionaries_are_read_as_a_parser_of_structured_fields_reads_them(text: str) -> None:
    cmcd = parse_cmcd("", {"cmcd-request": text})
    assert cmcd is not None
    should = oracle(text)
    if should is not None and not cmcd.ignored:
        assert cmcd.keys == should


@given(st.text(), st.text(), st.binary())
def test_nothing_that_comes_raises_or_cannot_be_logged(query: str, header: str, body: bytes) -> None:
    for cmcd in (parse_cmcd(f"CMCD={query}", {}), parse_cmcd(query, {"cmcd-status": header})):
        assert cmcd is not None
        msgspec.json.encode(cmcd.keys)
        next_object(cmcd, "v720/3.m4s")
    msgspec.json.encode(parse_events(body).records)


def test_fifty_thousand_damaged_sets_do_no_harm() -> None:
    damage = random.Random(5004)
    seeds = [
        EX_8_1_1,
        EX_8_1_8,
        EX_8_2_2,
        EX_8_2_3,
        CML_VERSION_1,
        CML_EXAMPLE,
        'nor=("a.m4s";r="0-99" "../b");p=2,v=2',
    ]
    pieces = [
        ",",
        '"',
        "\\",
        "(",
        ")",
        ";",
        "=",
        " ",
        "\n",
        "%",
        "%25",
        "%2",
        "v=2",
        "v=3",
        "\0",
        "\xff",
        "-",
        "9" * 20,
    ]
    for _ in range(50_000):
        text = damage.choice(seeds)
        for _ in range(damage.randrange(1, 5)):
            start = damage.randrange(len(text) + 1)
            text = text[:start] + damage.choice(pieces) + text[start + damage.randrange(4) :]
        cmcd = parse_cmcd(f"CMCD={quote(text, safe='%()')}", {}), parse_cmcd("", {"cmcd-request": text})
        for one in cmcd:
            assert one is not None
            next_object(one, "v720/3.m4s")
        assert msgspec.json.encode((cmcd, parse_events(text.encode("latin-1"))))


@pytest.mark.parametrize(
    "piece", ['"', 'a="', "a=(", 'a=("', "(((", "\\", 'a="\\', "a;b=c", ";;;", "a=(1 ", " ", ",", 'nor=("a" ', "x-y=t,"]
)
def test_time_grows_with_length_and_no_faster(piece: str) -> None:
    body = (piece * LARGEST_BODY)[:LARGEST_BODY].encode()
    before = process_time()
    parse_events(body)
    parse_events(b"br=(" + body + b")")
    # A few milliseconds; were the time to grow with the square of the length, it would be minutes.
    assert process_time() - before < 2
