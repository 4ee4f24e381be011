from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.tokens.carriage import Carried, Carrier, find_token


@pytest.mark.parametrize("target", ["/t/abc-_9/v1/film/p/1.m4s?a=1", b"/t/abc-_9/v1/film/p/1.m4s?a=1"])
def test_the_prefix_of_the_path(target: str | bytes) -> None:
    assert find_token(target, {}) == Carried("abc-_9", Carrier.PATH, "/v1/film/p/1.m4s", "a=1")


@pytest.mark.parametrize(
    "target",
    [
        "/v1/t/abc/v1/x", "/v1/t/p/1.m4s", "/t", "/t/", "/t/abc", "/t/abc/", "/t/abc/v2/x", "/t/abc/v1", "/t//v1/x",
        "/t/a.b/v1/x", "/t/%61/v1/x", "/tt/abc/v1/x", "/T/abc/v1/x", "//t/abc/v1/x", "/v1/x?t=/t/abc/v1/", "*", "",
        "/v1/x?concat=1", "/v1/x?cat", "/v1/x?cat=",
    ],
)  # fmt: skip
def test_other_paths_carry_none(target: str) -> None:
    assert find_token(target, {}) is None


def test_the_header() -> None:
    found = find_token("/v1/x", {"cta-common-access-token": " abc "})
    assert found == Carried("abc", Carrier.HEADER, "/v1/x", "")


@pytest.mark.parametrize(
    "cookie",
    [
        "CTA-Common-Access-Token=abc",
        "a=b; cta-common-access-token=abc; c=d",
        'a; CTA-Common-Access-Token="abc"',
        "CTA-Common-Access-Token=; CTA-Common-Access-Token=abc",
    ],
)
def test_the_cookie(cookie: str) -> None:
    assert find_token("/v1/x", {"cookie": cookie}) == Carried("abc", Carrier.COOKIE, "/v1/x", "")


def test_a_padded_cookie_keeps_its_padding() -> None:
    found = find_token("/v1/x", {"cookie": "CTA-Common-Access-Token=YQ=="})
    assert found is not None
    assert found.token == "YQ=="


@pytest.mark.parametrize(
    ("query", "token", "rest"),
    [("cat=abc", "abc", ""), ("a=1&cat=abc&b", "abc", "a=1&b"), ("cat=YQ%3D%3D", "YQ==", ""), ("cat=&cat=a", "a", "")],
)
def test_the_query(query: str, token: str, rest: str) -> None:
    assert find_token(f"/v1/x?{query}", {}) == Carried(token, Carrier.QUERY, "/v1/x", rest)


def test_path_before_header_before_cookie_before_query() -> None:
    headers = {"cta-common-access-token": "header", "cookie": "CTA-Common-Access-Token=cookie"}
    order = []
    for target in ("/t/path/v1/x?cat=query", "/v1/x?cat=query"):
        found = find_token(target, headers)
        assert found is not None
        order.append(found.token)
        assert found.query == ""
    del headers["cta-common-access-token"]
    cookie, query = find_token("/v1/x?cat=query", headers), find_token("/v1/x?cat=query", {})
    assert cookie is not None
    assert query is not None
    assert [*order, cookie.token, query.token] == ["path", "header", "cookie", "query"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_request_is_looked_through(target: str, cookie: str) -> None:
    found = find_token(target, {"cookie": cookie})
    assert found is None or found.token
