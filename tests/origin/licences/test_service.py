"""The licence endpoint as players ask it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from config.licences import LicenceSettings
from encoder.errors import ProtectionError
from oca.tokens.envelope import seal
from oca.tokens.grants import CATREPLAY, Verifier
from oca.tokens.keys import Keys, parse_keys
from origin.errors import LicenceError
from origin.licences.keystore import KeyStore
from origin.licences.service import LicenceService, open_service
from steering.sessions.access import Access

Client = TestClient[web.Request, web.Application]
Connect = Callable[..., Awaitable[Client]]

KEY_ID, OTHER = "a7e61c373e214902b1bf7a4f2e3d1d00", "a7e61c373e214902b1bf7a4f2e3d1d01"
SECRET = "8d3a1f0c5e7b49268f0a1c2d3e4f5061"
PACKAGE = "7d462174ae9b2650ccdb9256013a8b88"


def kid(key_id: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(key_id)).rstrip(b"=").decode()


def key_file(key_id: str = KEY_ID) -> str:
    return f'[[keys]]\nid = "{key_id}"\nkey = "{SECRET}"\ntracks = ["all"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "film.toml").write_text(key_file())
    return folder


@pytest.fixture
async def connect(folder: Path) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def start(
        verifier: Verifier | None = None, clock: Callable[[], float] = time.time, proxies: tuple[str, ...] = ()
    ) -> Client:
        service = LicenceService(KeyStore(folder, clock()), verifier, clock, proxies)
        client = TestClient(TestServer(service.application))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def test_a_licence_has_the_keys_that_are_known(connect: Connect) -> None:
    client = await connect()
    answer = await client.post("/clearkey", json={"kids": [kid(KEY_ID), kid(OTHER)], "type": "temporary"})
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    (key,) = (await answer.json())["keys"]
    assert key == {"kty": "oct", "kid": kid(KEY_ID), "k": kid(SECRET)}


async def test_a_key_alone_is_its_16_bytes(connect: Connect) -> None:
    client = await connect()
    answer = await client.get(f"/keys/{KEY_ID}")
    assert await answer.read() == bytes.fromhex(SECRET)
    assert (await client.get(f"/keys/{OTHER}")).status == 404
    assert (await client.get("/keys/film")).status == 400


async def test_bad_requests_get_sentences(connect: Connect) -> None:
    client = await connect()
    for body, status, complaint in (
        (b"nothing", 400, "A licence request is JSON"),
        (json.dumps({"kids": [kid(OTHER)]}).encode(), 404, "None of these keys is known here."),
        (b"x" * 9000, 413, "POST /clearkey"),
    ):
        answer = await client.post("/clearkey", data=body)
        problem = json.loads(await answer.read())
        assert answer.status == problem["status"] == status and complaint in problem["detail"]
    assert (await client.get("/clearkey")).status == 405
    assert (await client.get("/elsewhere")).status == 404


async def test_pages_of_other_origins_may_ask(connect: Connect) -> None:
    client = await connect()
    answer = await client.options("/clearkey")
    assert answer.status == 204
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]


async def test_who_asks_all_the_time_is_refused(connect: Connect) -> None:
    client = await connect(clock=lambda: 1000.0)
    answers = [(await client.get(f"/keys/{KEY_ID}")).status for _ in range(62)]
    assert answers == [200] * 60 + [429] * 2


async def test_viewers_behind_a_trusted_proxy_do_not_share_what_they_may_ask(connect: Connect) -> None:
    client = await connect(clock=lambda: 1000.0, proxies=("127.0.0.0/8",))
    for viewer in ("203.0.113.1", "203.0.113.2"):
        headers = {"X-Forwarded-For": f"192.0.2.1, {viewer}"}
        answers = [(await client.get(f"/keys/{KEY_ID}", headers=headers)).status for _ in range(61)]
        assert answers == [200] * 60 + [429]


async def test_request_that_does_not_come_to_its_end_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("origin.licences.service._BODY_TIMEOUT_S", 0.01)
    client = await connect()
    assert client.port is not None
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /clearkey HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_key_files_that_come_later_are_found(connect: Connect, folder: Path) -> None:
    now = 1000.0
    client = await connect(clock=lambda: now)
    assert (await client.get(f"/keys/{OTHER}")).status == 404
    (folder / "later.toml").write_text(key_file(OTHER))
    (folder / "broken.toml").write_text("[[keys")
    now += 2
    assert (await client.get(f"/keys/{OTHER}")).status == 200


@pytest.fixture
def keys() -> Keys:
    secret = base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
    jwk = {"kty": "oct", "kid": "one", "alg": "HS256", "k": secret}
    return parse_keys(json.dumps({"keys": [jwk]}).encode(), "keys.jwks")


async def test_where_tokens_are_asked_for_a_films_token_gets_its_keys(connect: Connect, keys: Keys) -> None:
    client = await connect(Verifier(keys))
    access = Access(next(iter(keys)), 60.0)
    expiry = access.expiry(time.time(), 60.0)
    right = access.token(f"/v1/film/{PACKAGE}/", "session", expiry)
    other = access.token(f"/v1/other/{PACKAGE}/", "session", expiry)
    expired = access.token(f"/v1/film/{PACKAGE}/", "session", 1000)
    asked = {"kids": [kid(KEY_ID)]}

    async def status(token: str, package: str = PACKAGE) -> int:
        query = {"package": package, **({"cat": token} if token else {})}
        return (await client.post("/clearkey", params=query, json=asked)).status

    assert await status(right) == 200
    assert [await status(other), await status(right, "0" * 32)] == [403, 403]
    assert [await status(""), await status(expired), await status("nonsense")] == [401, 401, 401]
    assert (await client.get(f"/keys/{KEY_ID}", headers={"CTA-Common-Access-Token": right})).status == 403
    answer = await client.get(
        f"/keys/{KEY_ID}", params={"package": PACKAGE}, headers={"CTA-Common-Access-Token": right}
    )
    assert answer.status == 200


async def test_without_a_token_nobody_learns_which_keys_there_are(connect: Connect, keys: Keys) -> None:
    client = await connect(Verifier(keys))
    asked = [{"kids": [kid(KEY_ID)]}, {"kids": [kid(OTHER)]}, {"kids": 1}]
    assert [(await client.post("/clearkey", json=body)).status for body in asked] == [401] * 3
    assert [(await client.get(f"/keys/{key_id}")).status for key_id in (KEY_ID, OTHER)] == [401] * 2


async def test_token_of_one_film_opens_no_other_by_what_stands_for_the_package(connect: Connect, keys: Keys) -> None:
    client = await connect(Verifier(keys))
    access = Access(next(iter(keys)), 60.0)
    token = access.token("/v1/film/", "session", access.expiry(time.time(), 60.0))
    other = access.token(f"/v1/other/{PACKAGE}/", "session", access.expiry(time.time(), 60.0))
    for package in (f"../other/{PACKAGE}", f"%2e%2e/other/{PACKAGE}", f"x/../../other/{PACKAGE}"):
        answer = await client.get(f"/keys/{KEY_ID}", params={"package": package, "cat": other})
        assert answer.status == 403
    assert (await client.get(f"/keys/{KEY_ID}", params={"cat": token})).status == 200


async def test_token_of_either_of_two_films_gets_the_key_that_they_share(
    connect: Connect, keys: Keys, folder: Path
) -> None:
    (folder / "sequel.toml").write_text(key_file())
    client = await connect(Verifier(keys))
    access = Access(next(iter(keys)), 60.0)
    for title, status in (("film", 200), ("sequel", 200), ("other", 403)):
        token = access.token(f"/v1/{title}/{PACKAGE}/", "session", access.expiry(time.time(), 60.0))
        answer = await client.get(f"/keys/{KEY_ID}", params={"package": PACKAGE, "cat": token})
        assert answer.status == status


async def test_host_that_is_none_is_a_bad_request(connect: Connect, keys: Keys) -> None:
    client = await connect(Verifier(keys))
    access = Access(next(iter(keys)), 60.0)
    token = access.token("/v1/film/", "session", access.expiry(time.time(), 60.0))
    for host in ("a:b", "a:65536"):
        answer = await client.get(f"/keys/{KEY_ID}", params={"cat": token}, headers={"Host": host})
        assert answer.status == 400 and "Host" in await answer.text()


async def test_token_that_is_good_once_is_refused(connect: Connect, keys: Keys) -> None:
    client = await connect(Verifier(keys))
    access = Access(next(iter(keys)), 60.0)
    claims = {**access.claims("/v1/film/", "session", access.expiry(time.time(), 60.0)), CATREPLAY: 1}
    answer = await client.get(f"/keys/{KEY_ID}", params={"cat": seal(claims, next(iter(keys)))})
    assert answer.status == 403 and "good once only" in await answer.text()


async def test_metrics_count_answers(connect: Connect) -> None:
    client = await connect()
    await client.get(f"/keys/{KEY_ID}")
    assert 'nearcast_licences_requests_total{code="200"} 1.0' in await (await client.get("/metrics")).text()
    assert (await client.get("/healthz")).status == 200


def test_files_that_cannot_be_used_are_said_at_the_start(folder: Path, tmp_path: Path) -> None:
    assert open_service(LicenceSettings(keys=folder / "film.toml"))
    with pytest.raises(LicenceError, match=r"token_keys .* cannot be read"):
        open_service(LicenceSettings(keys=folder, token_keys=tmp_path / "none.jwks"))
    (folder / "broken.toml").write_text("[[keys")
    with pytest.raises(ProtectionError, match=r"broken\.toml is not TOML"):
        open_service(LicenceSettings(keys=folder))
    with pytest.raises(ProtectionError, match="cannot be read"):
        open_service(LicenceSettings(keys=tmp_path / "none"))
