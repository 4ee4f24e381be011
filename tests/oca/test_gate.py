"""Access tokens at the door of a real appliance, and what the gate remembers of them."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cbor2 import CBORTag

from oca.tokens.grants import AUD, CATR, CATREPLAY, CTI, EXP, ISS, NBF
from tests.media import make_package
from tests.oca.clients import Answer, Client, free_port, metric
from tests.oca.running import Running
from tests.oca.tokens.keyring import ED25519, MAC, P384, SIGNER, token
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CATNIP, CATU, CATM, CATH = 311, 312, 313, 315
NAME = "CTA-Common-Access-Token"
PLAYLIST = b"#EXTM3U\n# of chance bytes\n"


class Guarded:
    """A running appliance that wants tokens of one issuer, signed with one of two keys."""

    def __init__(self, running: Running, base: str, admin_port: int) -> None:
        self.running, self.base, self.admin_port = running, base, admin_port
        self.path = f"{base}/v360.m3u8"

    def client(self) -> Client:
        return Client(self.running.connect())

    def ask(self, path: str, *headers: str, method: str = "GET") -> Answer:
        with self.client() as client:
            return client.ask(path, *headers, method=method)


def claims(more: dict[Any, Any] | None = None, *, lives_s: float = 300) -> dict[Any, Any]:
    return {ISS: "issuer", EXP: int(time.time() + lives_s), **(more or {})}


def denied(answer: Answer) -> tuple[int, str]:
    """Status, and the claim that failed."""
    text = answer.headers["nearcast-token"]
    assert text.startswith('denied; claim="')
    return answer.status, text.removeprefix('denied; claim="').removesuffix('"')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    directory = tmp_path_factory.mktemp("gate")
    folder = make_package(directory / "source")
    keys = directory / "keys.json"
    keys.write_text(json.dumps({"keys": [MAC, {name: value for name, value in SIGNER.items() if name != "d"}]}))
    admin_port = free_port()
    running = Running(
        directory / "a", "--token-keys", str(keys), "--token-issuers", "issuer", "--token-audiences", "viewers",
        "--admin", f"127.0.0.1:{admin_port}",
    )  # fmt: skip
    shutil.copytree(directory / "source", running.volume)
    await running.start()
    yield Guarded(running, f"/v1/title/{folder.name}", admin_port)
    assert await running.end() == 0


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/t/{token}{path}", ()),
        ("{path}", (f"{NAME}: {{token}}",)),
        ("{path}", (f"Cookie: other=1; {NAME}={{token}}",)),
        ("{path}?cat={token}", ()),
        ("{path}?CMCD=bl%3D100&cat={token}", ()),
    ],
)
@pytest.mark.parametrize("jwk", [MAC, SIGNER], ids=["mac", "signature"])
async def test_a_token_opens_wherever_it_is_carried(
    guarded: Guarded, path: str, headers: tuple[str, ...], jwk: dict[str, Any]
) -> None:
    text = token(claims({AUD: "viewers"}), jwk)
    with guarded.client() as client:
        for _ in range(3):  # verified, remembered, and by the shortest way
            answer = client.ask(
                path.format(token=text, path=guarded.path), *(header.format(token=text) for header in headers)
            )
            assert (answer.status, answer.body) == (200, PLAYLIST)


async def test_without_a_token_there_is_no_content_and_the_answer_says_what_is_missing(guarded: Guarded) -> None:
    for method in ("GET", "HEAD"):
        answer = guarded.ask(guarded.path, method=method)
        assert denied(answer) == (401, "token")
        assert answer.headers["www-authenticate"] == NAME
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["access-control-allow-origin"] == "*"
    assert "Nearcast-Token" in answer.headers["access-control-expose-headers"]


async def test_what_one_client_may_have_is_not_opened_for_the_next(guarded: Guarded) -> None:
    opened = guarded.ask(f"/t/{token(claims({AUD: 'viewers'}))}{guarded.path}")
    assert opened.status == 200
    assert guarded.ask(guarded.path).status == 401
    assert guarded.ask(f"/t/x{guarded.path}").status == 401
    with guarded.client() as client:
        assert client.ask(f"/t/{token(claims({AUD: 'viewers'}))}{guarded.path}").status == 200
        assert client.ask(guarded.path).status == 401  # on the same connection


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({EXP: 1}, (401, "exp")),
        ({NBF: 4_000_000_000}, (401, "nbf")),
        ({ISS: "somebody"}, (403, "iss")),
        ({AUD: "others"}, (403, "aud")),
        ({AUD: "viewers", CATM: ["HEAD"]}, (403, "catm")),
        ({AUD: "viewers", CATNIP: [CBORTag(52, ipaddress.ip_address("192.0.2.1").packed)]}, (403, "catnip")),
        ({AUD: "viewers", CATU: {3: {1: "/v1/other/"}}}, (403, "catu")),
        ({AUD: "viewers", CATU: {0: {0: "https"}}}, (403, "catu")),
        ({AUD: "viewers", CATH: {"User-Agent": {0: "player"}}}, (403, "cath")),
        ({AUD: "viewers", 282: "u0"}, (403, "geohash")),
    ],
)
async def test_the_answer_names_the_claim_that_failed(
    guarded: Guarded, more: dict[Any, Any], expected: tuple[int, str]
) -> None:
    text = token(claims(more))
    for answer in (guarded.ask(f"/t/{text}{guarded.path}"), guarded.ask(guarded.path, f"{NAME}: {text}")):
        assert denied(answer) == expected
        assert ("www-authenticate" in answer.headers) is (expected[0] == 401)


@pytest.mark.parametrize(
    "more",
    [
        {CATM: ["GET", "HEAD"]},
        {CATNIP: [CBORTag(52, [8, b"\x7f"])]},
        {CATU: {0: {0: "http"}, 3: {1: "/v1/title/"}, 8: {0: ".m3u8"}}},
        {CATH: {"User-Agent": {1: "player"}}},
        {CATREPLAY: 2, CTI: b"counted"},
    ],
)
async def test_conditions_that_hold_open_and_are_asked_again_for_each_request(
    guarded: Guarded, more: dict[Any, Any]
) -> None:
    text = token(claims({AUD: "viewers", **more}))
    with guarded.client() as client:
        for _ in range(3):
            assert client.ask(f"/t/{text}{guarded.path}", "User-Agent: player/1").status == 200
        if CATU in more:
            other = client.ask(f"/t/{text}{guarded.base}/v360/1.m4s", "User-Agent: player/1")
            assert denied(other) == (403, "catu")
        if CATH in more:
            assert denied(client.ask(f"/t/{text}{guarded.path}", "User-Agent: other")) == (403, "cath")


async def test_a_token_ends_in_the_middle_of_a_connection(guarded: Guarded) -> None:
    text = token({ISS: "issuer", AUD: "viewers", EXP: int(time.time()) + 2})
    with guarded.client() as client:
        opened = [client.ask(f"/t/{text}{guarded.path}").status for _ in range(10)]
        assert opened == [200] * 10
        await until(lambda: client.ask(f"/t/{text}{guarded.path}").status != 200)
        assert denied(client.ask(f"/t/{text}{guarded.path}")) == (401, "exp")
        assert denied(client.ask(guarded.path, f"{NAME}: {text}")) == (401, "exp")


async def test_a_token_that_may_come_once_opens_once(guarded: Guarded) -> None:
    text = token(claims({AUD: "viewers", CATREPLAY: 1, CTI: b"once"}))
    with guarded.client() as client:
        assert client.ask(f"/t/{text}{guarded.path}").status == 200
        assert denied(client.ask(f"/t/{text}{guarded.path}")) == (403, "catreplay")
    assert denied(guarded.ask(guarded.path, f"{NAME}: {text}")) == (403, "catreplay")


@pytest.mark.parametrize("folder", ["!title", "title%21", "%74itle", "title.x", "~", "a=b"])
@pytest.mark.parametrize("first", ["t", "%74"])
async def test_what_a_token_is_judged_by_is_what_is_served(guarded: Guarded, first: str, folder: str) -> None:
    """A folder before /v1/ that is no token must not lend its name to a match of catu and then be passed over."""
    text = token(claims({AUD: "viewers", CATU: {3: {3: folder}}}))
    assert guarded.ask(guarded.path, f"{NAME}: {text}").status == 403
    assert guarded.ask(f"/{first}/{folder}{guarded.path}", f"{NAME}: {text}").status != 200
    assert guarded.ask(f"/{first}/{folder}{guarded.path}?cat={text}").status != 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/other/../title{rest}",
        "/v1/other/%2e%2e/title{rest}",
        "//v1/title{rest}",
        "/v1//title{rest}",
        "/v1/%2e/title{rest}",
    ],
)
async def test_paths_that_could_be_settled_elsewhere_open_nothing(guarded: Guarded, path: str) -> None:
    text = token(claims({AUD: "viewers", CATU: {3: {3: "/v1/"}}}))
    asked = path.format(rest=guarded.path.removeprefix("/v1/title"))
    for answer in (guarded.ask(f"/t/{text}{asked}"), guarded.ask(asked, f"{NAME}: {text}")):
        assert answer.status in (401, 403, 404)


async def test_a_token_in_the_path_counts_before_the_others(guarded: Guarded) -> None:
    good, bad = token(claims({AUD: "viewers"})), token(claims({AUD: "viewers"}), P384)
    assert guarded.ask(f"/t/{good}{guarded.path}", f"{NAME}: {bad}").status == 200
    assert denied(guarded.ask(f"/t/{bad}{guarded.path}", f"{NAME}: {good}")) == (401, "kid")


async def test_no_answer_tells_anything_of_keys(guarded: Guarded) -> None:
    good = token(claims({AUD: "viewers"}))
    texts = [good[:-4], good + "AAAA", "x", "x" * 4096, token(claims(), ED25519), token(claims({EXP: 1})), good]
    for text in texts:
        answer = guarded.ask(f"/t/{text}{guarded.path}")
        seen = repr(answer)
        for secret in (MAC["kid"], MAC["k"], SIGNER["kid"], "keys.json", "issuer", "viewers"):
            assert secret not in seen


@pytest.mark.parametrize("name", ["cat\r\nSet-Cookie: a=b", 'cat"x', "cat→", "cat" + "x" * 500])
async def test_the_name_of_a_claim_never_breaks_an_answer(guarded: Guarded, name: str) -> None:
    answer = guarded.ask(f"/t/{token(claims({AUD: 'viewers', name: 1}))}{guarded.path}")
    assert answer.status == 403
    assert re.fullmatch(r'denied; claim="[!-~]+"', answer.headers["nearcast-token"])
    assert answer.headers["nearcast-token"].count('"') == 2 and "set-cookie" not in answer.headers


async def test_a_wrong_signature_stays_wrong_after_the_right_one_was_seen(guarded: Guarded) -> None:
    good = token(claims({AUD: "viewers"}))
    changed = good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB")
    with guarded.client() as client:
        for _ in range(2):
            assert client.ask(f"/t/{good}{guarded.path}").status == 200
            assert denied(client.ask(f"/t/{changed}{guarded.path}"))[0] == 401


async def test_relative_addresses_of_a_playlist_keep_the_token(guarded: Guarded) -> None:
    prefix = f"/t/{token(claims({AUD: 'viewers'}))}"
    playlist = f"{prefix}{guarded.path}"
    with guarded.client() as client:
        assert client.ask(playlist).status == 200
        segments = [client.ask(f"{playlist.rpartition('/')[0]}/v360/{number}.m4s") for number in (1, 2, 1)]
    assert [segment.status for segment in segments] == [200] * 3
    assert segments[0].body == segments[2].body != segments[1].body


@pytest.mark.parametrize(
    "field",
    ["Content-Length: 5", "Host: b", "Transfer-Encoding: chunked", "X: " + "x" * 20000, "X : y", "X: \1", "Range"],
)
async def test_a_malformed_request_opens_nothing(guarded: Guarded, field: str) -> None:
    assert guarded.ask(f"/t/{token(claims({AUD: 'viewers'}))}{guarded.path}").status == 200  # so it is ready to be sent
    for method in ("GET", "HEAD"):
        assert 400 <= guarded.ask(guarded.path, field, method=method).status < 500


async def test_neither_a_preflight_nor_an_event_needs_a_token(guarded: Guarded) -> None:
    preflight = guarded.ask(guarded.path, "Origin: http://b", "Access-Control-Request-Method: GET", method="OPTIONS")
    assert preflight.status == 204 and NAME in preflight.headers["access-control-allow-headers"]
    with guarded.client() as client:
        assert client.ask("/cmcd", method="POST", body=b'e=ps,sta=p,ts=1,v=2,sid="s"').status == 204


async def test_ranges_conditions_and_head_are_answered_behind_the_gate_too(guarded: Guarded) -> None:
    path = f"/t/{token(claims({AUD: 'viewers'}))}{guarded.path}"
    with guarded.client() as client:
        whole = client.ask(path)
        assert client.ask(path, "Range: bytes=1-3").body == whole.body[1:4]
        assert client.ask(path, f"If-None-Match: {whole.headers['etag']}").status == 304
        assert client.ask(path, method="HEAD").headers["content-length"] == str(len(whole.body))
        assert client.ask(path.replace("v360.m3u8", "nothing")).status == 404


async def test_a_token_that_ends_soon_is_renewed_in_the_way_it_came(guarded: Guarded) -> None:
    text = token(claims({AUD: "viewers", CATR: {0: 0, 1: 7200, 2: 3600}}))
    with guarded.client() as client:
        by_header = client.ask(guarded.path, f"{NAME}: {text}")
        assert by_header.status == 200
        renewed = by_header.headers[NAME.lower()].partition(";")[0]
        assert renewed != text and client.ask(f"/t/{renewed}{guarded.path}").status == 200
        by_cookie = client.ask(guarded.path, f"Cookie: {NAME}={text}")
        assert by_cookie.headers["set-cookie"].startswith(f"{NAME}=")
        by_query = client.ask(f"{guarded.path}?cat={text}")
        assert by_query.status == 302
        assert client.ask(by_query.headers["location"]).status == 200


async def test_a_renewal_that_gains_nothing_is_no_redirect_without_end(guarded: Guarded) -> None:
    """Where `expadd` is less than `deadline`, the new token is as near its end as the old one was."""
    path = f"{guarded.path}?cat={token(claims({AUD: 'viewers', CATR: {0: 3, 1: 300, 2: 3600}}, lives_s=200))}"
    with guarded.client() as client:
        for _ in range(3):
            answer = client.ask(path)
            path = answer.headers.get("location", path)
    assert answer.status == 200


async def test_refusals_and_replays_are_counted_and_the_log_names_no_token(guarded: Guarded, tmp_path: Path) -> None:
    before = await metric(guarded.admin_port, "nearcast_oca_tokens_refused_total")
    seen = await metric(guarded.admin_port, "nearcast_oca_tokens_replayed_total")
    twice = token(claims({AUD: "viewers", CATREPLAY: 2, CTI: b"twice"}))
    guarded.ask(guarded.path)
    guarded.ask(guarded.path)
    for _ in range(3):
        assert guarded.ask(f"/t/{twice}{guarded.path}").status == 200

    async def are_counted() -> bool:
        refused = await metric(guarded.admin_port, "nearcast_oca_tokens_refused_total")
        replayed = await metric(guarded.admin_port, "nearcast_oca_tokens_replayed_total")
        return refused >= before + 2 and replayed >= seen + 2

    await until(are_counted)
    log = (guarded.running.state / "access.log").read_text()
    assert log and twice not in log and twice[:40] not in log


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "expected JSON"),
        ('{"keys": []}', "expected one key at least"),
        ('{"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2hvcnQ"}]}', "32 bytes or more"),
    ],
)
async def test_an_appliance_does_not_start_with_keys_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(text)
    running = Running(tmp_path / "a", "--token-keys", str(keys))
    with pytest.raises(AssertionError, match=said) as caught:
        await running.start()
    assert "c2hvcnQ" not in str(caught.value) and "Traceback" not in str(caught.value)
